"""What some options do: those that a better baseline is tuned by, to the network, the optimizer, the loss and the landmarks; those
against class imbalance, to the loss and to the faces that are shown; and those of a data set, to how it is read."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.data.changes import landmarks_from
from palcore.losses import SmoothedCrossEntropy
from palcore.models import build_classifier, with_attribution
from palcore.runs import faces as run_faces
from palcore.runs import training
from palcore.runs.options import check_options
from palcore.runs.records import read_record
from tests.conftest import on_jax

SMALL = {"width_multiplier": 0.125, "units": 8, "image_size": 32, "epochs": 2}


@pytest.mark.parametrize(("backbone", "normalisation", "layer"), [
    ("compact", "block", "block4_conv2"),
    ("compact", "convolution", "block4_relu2"),
    ("plain", "convolution", "block4_relu2"),
])  # fmt: skip
def test_the_attributed_map_is_what_leaves_the_last_convolution(backbone, normalisation, layer):
    classifier = build_classifier(backbone, 48, width_multiplier=0.125, normalisation=normalisation)
    assert with_attribution(classifier).attributed_layer == layer
    norms = [one for one in classifier.layers if isinstance(one, keras.layers.BatchNormalization)]
    assert len(norms) == {"block": 3, "convolution": 6 if backbone == "compact" else 8}[normalisation]


def test_optimizer_rate_and_decay_are_those_of_the_options():
    options = check_options(
        **SMALL, optimizer="sgd", learning_rate=0.04, weight_decay=0.01, warmup=2.0, label_smoothing=0.1, strategy="none"
    )
    _, model = training.build(options, 48, steps=100, epoch_steps=10)
    optimizer = model.optimizer
    assert isinstance(optimizer, keras.optimizers.SGD) and optimizer.nesterov and optimizer.momentum == 0.9
    rates = [float(optimizer._learning_rate(step)) for step in (0, 10, 20, 60, 100)]
    np.testing.assert_allclose(rates, [0, 0.02, 0.04, 0.02, 0], atol=1e-6)  # up over two epochs, then the cosine
    decayed = {variable.path.rsplit("/", 1)[-1] for variable in model.trainable_variables if optimizer._use_weight_decay(variable)}
    assert decayed == {"kernel"}
    assert isinstance(model.loss, SmoothedCrossEntropy)


def test_pal_ends_where_its_share_of_the_epochs_ends(small, tmp_path):
    """From then on the total loss is the cross-entropy; the correlation is still watched, and momentum is carried on."""
    few = {**SMALL, "epochs": 4, "batch_size": 35}  # Keras weighs a smaller last batch otherwise in the total than in its parts
    options = check_options(**few, pal_share=0.5, pal_weight=2.0, out_dir=str(tmp_path / "run"))
    history = read_record(training.train(options, verbose=0))["history"]
    parts = [np.array(history[name]) for name in ("loss", "expression_loss", "attribution_loss")]
    np.testing.assert_allclose(parts[0][:2], parts[1][:2] + 2 * parts[2][:2], atol=0.05)
    np.testing.assert_allclose(parts[0][2:], parts[1][2:], atol=0.05)
    assert np.all(np.abs(2 * parts[2]) > 0.1)


def test_a_template_in_each_faces_box_is_one_shape_at_every_face_s_place():
    faces = load("synthetic", None, "test").subset(slice(0, 30))
    points = landmarks_from(faces, "box").landmarks
    low, high = points.min(axis=1), points.max(axis=1)
    shapes = (points - low[:, None]) / (high - low)[:, None]
    np.testing.assert_allclose(shapes, np.broadcast_to(shapes[0], shapes.shape), atol=1e-5)
    # In the mean it lies where the faces' own landmarks do, and it is no face's own.
    np.testing.assert_allclose(points.mean(axis=(0, 1)), faces.landmarks.mean(axis=(0, 1)), atol=0.01)
    assert np.abs(points - faces.landmarks).max() > 0.01


SHARED = """
import json, sys
from pathlib import Path
from palcore.runs.options import check_options
from palcore.runs.records import read_record
from palcore.runs.training import train
from tests.runs.kill_twenty import make_small

make_small()
cache, folder, small = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
small |= {"warp": "device", "optimizer": "sgd", "weight_decay": 0.01, "batch_size": 20}
runs = [{"pal_weight": 1.0, "learning_rate": 0.02, "epochs": 2}]
runs += [{"pal_weight": 5.0, "learning_rate": 0.01, "epochs": 3, "warmup": 1.0}]
steps, losses = [], []
for number, run in enumerate(runs):
    history = read_record(train(check_options(**small, **run, out_dir=str(folder / str(number))), verbose=0))["history"]
    steps.append(sum("train_step" in path.name for path in cache.rglob("*")))
    losses.append([history[name][0] for name in ("loss", "expression_loss", "attribution_loss")])
print(json.dumps([steps, losses]))
"""


def test_runs_of_another_weight_rate_and_length_share_what_is_compiled_for_a_device(tmp_path):
    settings = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    settings |= {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    small = {name: value for name, value in SMALL.items() if name != "epochs"}
    said = on_jax(SHARED, tmp_path / "cache", tmp_path / "runs", json.dumps(small), **settings)
    steps, losses = json.loads(said.splitlines()[-1])
    assert steps[0] >= 1 and steps[1] == steps[0]
    for (total, expression, attribution), weight in zip(losses, (1.0, 5.0), strict=True):  # PAL's loss is noted without its weight
        assert -1 <= attribution <= 1 and abs(total - expression - weight * attribution) < 0.05


def test_the_cosine_of_variables_is_that_of_keras():
    optimizer = keras.optimizers.SGD(0.1)
    schedule = training.CosineOfVariables(0.04, 20, 100).of(optimizer)
    theirs = keras.optimizers.schedules.CosineDecay(0.0, 80, warmup_target=0.04, warmup_steps=20)
    steps = (0, 7, 20, 21, 60, 100, 120)
    np.testing.assert_allclose([float(schedule(step)) for step in steps], [float(theirs(step)) for step in steps], atol=1e-7)
    assert {id(variable) for variable in schedule.kept.values()} <= {id(variable) for variable in optimizer.variables}


@pytest.fixture(scope="module")
def faces():
    """Forty faces, twenty of them surprised and two of them afraid."""
    faces = load("synthetic", count=140, image_size=32)
    wanted = {0: 20, 1: 2, 2: 5, 3: 5, 4: 4, 5: 2, 6: 2}
    rows = np.concatenate([np.flatnonzero(faces.labels == label)[:count] for label, count in wanted.items()])
    return faces.subset(rows)


def options(**changes):
    return check_options(**{**SMALL, "dropout": 0.0, "batch_size": 40, "augment": False, **changes})


@pytest.mark.parametrize("strategy", ["none", "mean"])
def test_class_weights_reach_the_loss(strategy, faces):
    classifier, model = training.build(options(strategy=strategy), 32, steps=1)
    classifier.get_layer("logits").bias.assign(np.linspace(-1, 1, 7))  # or all classes would cost nearly the same
    guided = strategy != "none"
    weights = training.balanced_weights(faces.labels)
    logits = keras.ops.convert_to_numpy(classifier(faces.images[:])).astype(float)
    entropy = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(40), faces.labels]
    each = np.array([weights[label] for label in faces.labels])

    def losses(class_weight):
        batches = FaceBatches(faces, 40, class_weight=class_weight, attribution=guided)
        found = model.evaluate(batches, verbose=0, return_dict=True)
        return found["expression_loss"] if guided else found["loss"], found.get("attribution_loss")

    plain, weighted = losses(None), losses(weights)
    assert plain[0] == pytest.approx(entropy.mean(), rel=1e-3)
    assert weighted[0] == pytest.approx((each * entropy).mean(), rel=1e-3)
    assert abs(weighted[0] - plain[0]) > 1e-2
    if guided:
        assert weighted[1] == pytest.approx(plain[1], rel=1e-4)  # PAL is not weighted


@pytest.mark.parametrize("changes", [{}, {"class_weight": "balanced"}, {"sampling": "balanced"}])
def test_the_options_reach_the_training_batches(changes, faces):
    batches, validation = training._batches(options(**changes), run_faces.RunFaces(faces, faces, {}, None), devices=1)
    assert validation.options.class_weight is None
    shown = np.bincount(faces.labels[batches.order], minlength=7)
    if changes.get("sampling") == "balanced":
        assert shown[0] < 20 and shown[1] > 2
    else:
        assert shown.tolist() == [20, 2, 5, 5, 4, 2, 2]
    if changes.get("class_weight") == "balanced":
        weights = np.array([batches.options.class_weight[label] for label in range(7)])
        np.testing.assert_allclose(weights * np.bincount(faces.labels), 40 / 7, rtol=1e-6)
        assert np.mean(weights[faces.labels]) == pytest.approx(1) and training.balanced_weights(np.array([0, 0, 1]))[2] == 0
    else:
        assert batches.options.class_weight is None


@pytest.mark.parametrize(
    ("dataset", "own"),
    [
        ("synthetic", {"shortcut": 0.9, "seed": 4}),
        ("rafdb", {"landmarks": "points", "index_dir": "kept", "landmark_order": "x_y"}),
        ("fer2013", {"landmarks": "points", "index_dir": "kept", "labels": "ferplus"}),
        ("affectnet", {"landmarks": "points", "index_dir": "kept"}),
    ],
)
def test_each_data_set_is_given_its_own_options(dataset, own, monkeypatch):
    place = None if dataset == "synthetic" else "there"
    options = {"data_dir": place, "image_size": 48, "placed": False, "shortcut": 0.9, "seed": 4, "labels": "ferplus"}
    options = SimpleNamespace(dataset=dataset, landmarks="points", landmark_order="x_y", **options)
    monkeypatch.setattr(run_faces, "load", lambda *given, **options: (given, options))
    assert run_faces.load_faces(options, "test", "kept") == ((dataset, place, "test"), {"image_size": 48, **own})
