"""One run: flat options in, a folder with the record, the predictions and the classifier out."""

import math
import os
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import keras
import numpy as np

from palcore import __version__
from palcore.attribution import METHODS, SCORES, STRATEGIES
from palcore.data import DATASETS, load
from palcore.data.batches import FaceBatches
from palcore.data.landmark_files import ORDERS
from palcore.data.splits import noisy_labels, take_share
from palcore.evaluate import evaluate
from palcore.heatmaps import SIGMA, region_weights
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import BACKBONES, build_classifier, with_attribution
from palcore.records import commit, device, versions, write_json


@dataclass(frozen=True)
class Options:
    """Everything that makes a run what it is. Defaults train ``compact`` on the synthetic faces."""

    dataset: str = "synthetic"  # one of palcore.data.DATASETS
    data_dir: str | None = None  # folder of the data set; synthetic needs none
    backbone: str = "compact"  # compact, vgg16 or resnet50
    layer: str | None = None  # layer to attribute; None: the last convolutional map
    weights: str | None = None  # None, "imagenet", or a file with the backbone's weights
    strategy: str = "mean"  # none (cross-entropy only), all, mean or half
    attribution: str = "grad_input"  # grad or grad_input
    score: str = "abs_logits"  # abs_logits or logits
    pal_weight: float = 1.0  # total loss = cross-entropy + pal_weight * PAL
    sigma: float = SIGMA  # width of a landmark's Gaussian, as a fraction of the image side
    jaw: float = 1.0  # weight of the 17 jaw landmarks in the heatmap; 0 leaves them out
    image_size: int | None = None  # side of the input in pixels; None: the data set's own
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-4  # Adam
    schedule: str = "cosine"  # cosine (decays to 0 over the run) or constant
    units: int = 512  # width of each of the two dense layers
    dropout: float = 0.5
    augment: bool = True  # flip, small shift, rotation and scale of training faces, landmarks moved along
    precision: str = "float32"  # float32 or mixed_bfloat16; attributions, head and losses stay in float32
    class_weight: str = "none"  # none, or balanced: each class weighs the same in the cross-entropy
    sampling: str = "natural"  # natural, or balanced: each class is drawn equally often
    train_share: float = 1.0  # share of the training faces used, drawn by class
    label_noise: float = 0.0  # share of the training labels replaced by another class
    shortcut: float | None = 0.9  # synthetic only: how often the patch shows the label; None: no patch
    landmarks: str | None = None  # landmark table or folder, where the data set's own is elsewhere
    landmark_order: str = "row_column"  # rafdb's text files: row_column or x_y
    seed: int = 0
    out_dir: str | None = None  # the run's folder; None: runs/<dataset>-<backbone>-<strategy>-<seed>


def _choice(name, choices):
    return lambda value: None if value in choices else f"choose from {', '.join(map(str, choices))}"


def _number(lowest, highest=math.inf, whole=False, open_end=False):
    def check(value):
        kinds = int if whole else (int, float)
        good = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
        if good and lowest <= value <= highest and not (open_end and value == highest):
            return None
        kind = "a whole number" if whole else "a number"
        bound = f"of at least {lowest}" if highest == math.inf else f"in [{lowest}, {highest}{')' if open_end else ']'}"
        return f"it must be {kind} {bound}"

    return check


def _text(value):
    return None if value is None or isinstance(value, str) else "it must be text or None"


def _optional(check):
    return lambda value: None if value is None else check(value)


CHECKS = {
    "dataset": _choice("dataset", tuple(DATASETS)),
    "data_dir": _text,
    "backbone": _choice("backbone", BACKBONES),
    "layer": _text,
    "weights": _text,
    "strategy": _choice("strategy", ("none", *STRATEGIES)),
    "attribution": _choice("attribution", METHODS),
    "score": _choice("score", SCORES),
    "pal_weight": _number(0),
    "sigma": _number(1e-4, 1),
    "jaw": _number(0),
    "image_size": _optional(_number(32, 1024, whole=True)),
    "epochs": _number(1, whole=True),
    "batch_size": _number(2, whole=True),
    "learning_rate": _number(1e-8, 1),
    "schedule": _choice("schedule", ("cosine", "constant")),
    "units": _number(1, whole=True),
    "dropout": _number(0, 1, open_end=True),
    "augment": _choice("augment", (True, False)),
    "precision": _choice("precision", ("float32", "mixed_bfloat16")),
    "class_weight": _choice("class_weight", ("none", "balanced")),
    "sampling": _choice("sampling", ("natural", "balanced")),
    "train_share": _number(0.001, 1),
    "label_noise": _number(0, 1, open_end=True),
    "shortcut": _optional(_number(0, 1)),
    "landmarks": _text,
    "landmark_order": _choice("landmark_order", ORDERS),
    "seed": _number(0, 2**31 - 1, whole=True),
    "out_dir": _text,
}


def check_options(**values):
    """Options from keyword values, each checked, as a papermill cell hands them over.

    Papermill passes ``true``, ``false`` and ``none`` on the command line as text: they are understood for the options that take
    them. An empty text stands for None.

    :raises ValueError: for an unknown option or a value that makes no sense, naming it and what would be right.
    """
    known = [field.name for field in fields(Options)]
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"unknown option {name!r}: choose from {', '.join(known)}")
        if isinstance(value, str):
            word = value.strip().lower()
            if name == "augment" and word in ("true", "false"):
                values[name] = word == "true"
            elif word == "" or (word == "none" and CHECKS[name]("none")) or (word == "none" and CHECKS[name] is _text):
                values[name] = None
        problem = CHECKS[name](values[name])
        if problem:
            raise ValueError(f"option {name} is {value!r}: {problem}")
    options = Options(**values)
    if options.dataset == "synthetic":
        if options.data_dir is not None:
            raise ValueError(f"option data_dir is {options.data_dir!r} for the synthetic faces: they are drawn, leave it out")
    elif options.data_dir is None:
        raise ValueError(f"option data_dir is missing: dataset {options.dataset} needs the folder that holds it")
    if options.class_weight == "balanced" and options.sampling == "balanced":
        raise ValueError("options class_weight and sampling are both balanced: choose one, or classes are balanced twice")
    return options


def load_faces(options, split, **changes):
    """The faces of one split as the options describe them (see ``palcore.data.load``).

    The seed of a run does not reach the real data sets: whatever is held out for validation is the same in all runs. What is
    read once, AffectNet's small files, is kept in ``index/`` beside the run's folder.
    """
    extra = {}
    if options.dataset == "synthetic":
        extra = {"shortcut": options.shortcut, "seed": options.seed}
    elif options.landmarks is not None:
        extra = {"landmarks": options.landmarks}
    if options.dataset == "rafdb":
        extra["landmark_order"] = options.landmark_order
    elif options.dataset == "affectnet":
        extra["index_dir"] = run_folder(options).parent / "index"
    return load(options.dataset, options.data_dir, split, **{"image_size": options.image_size, **extra, **changes})


def training_faces(options):
    """Training faces after ``train_share`` and ``label_noise``."""
    faces = load_faces(options, "train")
    if options.train_share < 1:
        faces = take_share(faces, options.train_share, options.seed)
    if options.label_noise > 0:
        faces = replace(faces, labels=noisy_labels(faces.labels, options.label_noise, options.seed))
    return faces


def balanced_weights(labels):
    """Weight of each class that makes all weigh the same, ``{label: weight}``; their mean over the faces is 1."""
    counts = np.bincount(labels, minlength=7)
    present = counts > 0
    return {label: float(len(labels) / (present.sum() * count)) if count else 0.0 for label, count in enumerate(counts)}


def build(options, image_size, steps):
    """The classifier, and the compiled model that trains it.

    The training model is the classifier itself for the strategy ``none``, and else the one with the attribution as its second
    output and PAL as that output's loss.
    """
    classifier = build_classifier(options.backbone, image_size, options.weights, units=options.units, dropout=options.dropout)
    rate = options.learning_rate
    if options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, max(steps, 1))
    # XLA on TensorFlow only approximates the second-order gradient of max-pooling; JAX always compiles.
    compiling = {"optimizer": keras.optimizers.Adam(rate), "jit_compile": keras.backend.backend() == "jax"}
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    if options.strategy == "none":
        classifier.compile(loss=cross_entropy, weighted_metrics=[], metrics=[accuracy], **compiling)
        return classifier, classifier
    model = with_attribution(classifier, options.layer, options.attribution, options.strategy, options.score)
    weights = None if options.jaw == 1 else region_weights(jaw=options.jaw)
    model.compile(
        loss={
            "expression": cross_entropy,
            "attribution": PrivilegedAttributionLoss(options.sigma, landmark_weights=weights),
        },
        loss_weights={"expression": 1.0, "attribution": options.pal_weight},
        metrics={"expression": [accuracy]},
        **compiling,
    )
    return classifier, model


def _history(logs, strategy):
    """Keras's history under the same names for every strategy, as plain numbers."""
    if strategy == "none":
        logs = {
            f"{'val_' if name.startswith('val_') else ''}expression_{name.removeprefix('val_')}": values
            for name, values in logs.items()
        }
    return {name: [round(float(value), 6) for value in values] for name, values in logs.items()}


def _facts(faces):
    """What a record says about the faces of a split."""
    dropped = {"dropped": faces.dropped} if faces.dropped else {}
    return {"faces": len(faces), "fingerprint": faces.fingerprint(), **dropped}


def run_folder(options):
    """Where a run with these options is written."""
    if options.out_dir is not None:
        return Path(options.out_dir)
    return Path("runs") / f"{options.dataset}-{options.backbone}-{options.strategy}-{options.seed}"


def _test_conditions(options):
    """``{condition: faces}``: the test split, and for a shortcut also the same faces with the patch at random."""
    conditions = {"test": load_faces(options, "test")}
    if options.dataset == "synthetic" and options.shortcut is not None:
        conditions["shortcut_free"] = load_faces(options, "test", shortcut=0.0)
    return conditions


def train(options, verbose=2):
    """Train, evaluate on the test split once, and write the run folder.

    The folder holds ``record.json`` (configuration, versions, device, data fingerprints, history, metrics), ``predictions.npz``
    (labels, probabilities and attribution correlations of each test condition) and ``classifier.keras``, the plain classifier.
    The validation split is only watched; the weights are those of the last epoch.

    :param options: from ``check_options``.
    :param verbose: Keras's progress: 0 silent, 2 one line an epoch.
    :return: path of the run folder.
    :raises FileExistsError: where the folder already holds a record.
    :raises FloatingPointError: where the loss is no longer a number, after saving what there is.
    """
    folder = run_folder(options)
    if (folder / "record.json").exists():
        raise FileExistsError(f"{folder} already holds a run's record.json: give another out_dir, or remove that folder")
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(options.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(options.precision)
    try:
        return _train(options, folder, verbose)
    finally:
        keras.config.set_dtype_policy(policy)


def _train(options, folder, verbose):
    started = time.perf_counter()
    code = commit()  # now: the tree may change while this trains
    faces = {"train": training_faces(options), "validation": load_faces(options, "validation")}
    image_size = faces["train"].images.size
    guided = options.strategy != "none"
    # Files are decoded side by side; drawn faces are kept once drawn, and several threads would only draw some of them twice.
    threads = 1 if options.dataset == "synthetic" else min(8, os.cpu_count() or 1)
    batches = FaceBatches(
        faces["train"],
        options.batch_size,
        augment=options.augment,
        shuffle=True,
        seed=options.seed,
        balanced=options.sampling == "balanced",
        class_weight=balanced_weights(faces["train"].labels) if options.class_weight == "balanced" else None,
        attribution=guided,
        threads=threads,
    )
    classifier, model = build(options, image_size, steps=len(batches) * options.epochs)
    validation = FaceBatches(faces["validation"], options.batch_size, attribution=guided, threads=threads)
    fitted = model.fit(
        batches,
        validation_data=validation,
        epochs=options.epochs,
        verbose=verbose,
        callbacks=[keras.callbacks.TerminateOnNaN(), keras.callbacks.CSVLogger(str(folder / "history.csv"))],
    )
    trained = time.perf_counter()
    history = _history(fitted.history, options.strategy)
    classifier.save(folder / "classifier.keras")
    losses = [value for name, values in history.items() if name.endswith("loss") for value in values]
    if not np.all(np.isfinite(losses)) or len(history["expression_loss"]) < options.epochs:
        raise FloatingPointError(f"the loss of {folder} is not a number: try a lower learning_rate than {options.learning_rate}")

    watched = with_attribution(classifier, options.layer, options.attribution, "mean", options.score)
    metrics, predictions = {}, {}
    for condition, test in _test_conditions(options).items():
        metrics[condition], arrays = evaluate(watched, FaceBatches(test, options.batch_size, threads=threads), options.sigma)
        predictions |= {f"{condition}_{name}": array for name, array in arrays.items()}
        faces[condition] = test
    np.savez_compressed(
        folder / "predictions.npz",
        **{name: array.astype(np.uint8 if name.endswith("labels") else np.float16) for name, array in predictions.items()},
    )
    hidden = {"data_dir", "out_dir", "landmarks"}
    config = {name: value for name, value in asdict(options).items() if name not in hidden}
    config["image_size"] = image_size
    config["weights"] = options.weights and Path(options.weights).name
    record = {
        "config": config,
        "parameters": classifier.count_params(),
        "data": {name: _facts(split) for name, split in faces.items()},
        "metrics": metrics,
        "history": history,
        "seconds": round(time.perf_counter() - started, 1),
        "seconds_training": round(trained - started, 1),
        "backend": keras.backend.backend(),
        "device": device(),
        "versions": {"palcore": __version__, **versions()},
        "commit": code,
    }
    write_json(folder / "record.json", record)
    return folder
