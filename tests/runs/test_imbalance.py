"""Class imbalance: what the options ``class_weight`` and ``sampling`` do to the loss and to the faces that are shown."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.runs import faces as run_faces
from palcore.runs import training
from palcore.training import balanced_weights, build, check_options


@pytest.fixture(scope="module")
def faces():
    """Forty faces, twenty of them surprised and two of them afraid."""
    faces = load("synthetic", count=140, image_size=32)
    wanted = {0: 20, 1: 2, 2: 5, 3: 5, 4: 4, 5: 2, 6: 2}
    rows = np.concatenate([np.flatnonzero(faces.labels == label)[:count] for label, count in wanted.items()])
    return faces.subset(rows)


def options(**changes):
    return check_options(**{"image_size": 32, "units": 8, "dropout": 0.0, "batch_size": 40, "augment": False, **changes})


@pytest.mark.parametrize("strategy", ["none", "mean"])
def test_class_weights_reach_the_loss(strategy, faces):
    classifier, model = build(options(strategy=strategy), 32, steps=1)
    classifier.get_layer("logits").bias.assign(np.linspace(-1, 1, 7))  # or all classes would cost nearly the same
    guided = strategy != "none"
    weights = balanced_weights(faces.labels)
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


@pytest.mark.parametrize("strategy", ["none", "mean"])
@pytest.mark.parametrize("changes", [{}, {"class_weight": "balanced"}, {"sampling": "balanced"}])
def test_the_options_reach_the_training_batches(strategy, changes, faces):
    given = options(strategy=strategy, **changes)
    batches, validation = training._batches(given, run_faces.RunFaces(faces, faces, {}, None), devices=1)
    assert validation.options.class_weight is None
    shown = np.bincount(faces.labels[batches.order], minlength=7)
    if changes.get("sampling") == "balanced":
        assert shown[0] < 20 and shown[1] > 2
    else:
        assert shown.tolist() == [20, 2, 5, 5, 4, 2, 2]
    if changes.get("class_weight") == "balanced":
        weights = np.array([batches.options.class_weight[label] for label in range(7)])
        np.testing.assert_allclose(weights * np.bincount(faces.labels), 40 / 7, rtol=1e-6)
        assert np.mean(weights[faces.labels]) == pytest.approx(1) and balanced_weights(np.array([0, 0, 1]))[2] == 0
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
