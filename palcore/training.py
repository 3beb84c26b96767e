"""One run: flat options in, a folder with the record, the predictions and the classifier out."""

import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np

from palcore import __version__
from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.data.controls import jittered_landmarks, shuffled_landmarks
from palcore.data.crops import crop_faces, face_windows
from palcore.data.disturb import CONDITIONS, disturbed
from palcore.data.splits import noisy_labels, take_share
from palcore.evaluate import evaluate
from palcore.heatmaps import region_weights
from palcore.models import build_classifier, with_attribution
from palcore.options import Options, check_options
from palcore.records import commit, device, versions, write_json
from palcore.rivals import attribution_loss

__all__ = ["Options", "balanced_weights", "build", "check_options", "load_faces", "run_folder", "train", "training_faces"]


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


def _threads(options):
    """Files are decoded side by side; drawn faces are kept once drawn, and several threads would only draw some of them twice."""
    return 1 if options.dataset == "synthetic" else min(8, os.cpu_count() or 1)


def training_faces(options):
    """Training faces after ``train_share`` and ``label_noise``; images whole and landmarks their own, whatever the options."""
    faces = load_faces(options, "train")
    if options.train_share < 1:
        faces = take_share(faces, options.train_share, options.seed)
    if options.label_noise > 0:
        faces = replace(faces, labels=noisy_labels(faces.labels, options.label_noise, options.seed))
    return faces


def _aim(faces, options):
    """The same faces with the landmarks that training aims at: their own, or wrong ones as a control."""
    if options.landmark_source == "shuffled":
        faces = shuffled_landmarks(faces, options.seed)
    if options.landmark_jitter > 0:
        faces = jittered_landmarks(faces, options.landmark_jitter, options.seed)
    return faces


def balanced_weights(labels):
    """Weight of each class that makes all weigh the same, ``{label: weight}``; their mean over the faces is 1."""
    counts = np.bincount(labels, minlength=7)
    present = counts > 0
    return {label: float(len(labels) / (present.sum() * count)) if count else 0.0 for label, count in enumerate(counts)}


def build(options, image_size, steps):
    """The classifier, and the compiled model that trains it.

    The training model is the classifier itself for the strategy ``none``, and else the one with the attribution as its second
    output and PAL, or the rival that the options name, as that output's loss.
    """
    classifier = build_classifier(
        options.backbone,
        image_size,
        options.weights,
        units=options.units,
        dropout=options.dropout,
        width_multiplier=options.width_multiplier,
    )
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
    weights = None if options.jaw == 1 else region_weights(jaw=options.jaw)
    loss, features = attribution_loss(options.loss, options.sigma, weights)
    model = with_attribution(classifier, options.layer, features or options.attribution, options.strategy, options.score)
    model.compile(
        loss={"expression": cross_entropy, "attribution": loss},
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


def run_folder(options):
    """Where a run with these options is written."""
    if options.out_dir is not None:
        return Path(options.out_dir)
    return Path("runs") / f"{options.dataset}-{options.backbone}-{options.strategy}-{options.seed}"


def _test_conditions(options):
    """``{condition: faces}``: the test split, for a shortcut also with the patch at random, and what ``robustness`` adds.

    Where there is a shortcut, it is the faces with the patch at random that are disturbed.
    """
    conditions = {"test": load_faces(options, "test")}
    plain = "test"
    if options.dataset == "synthetic" and options.shortcut is not None:
        plain = "shortcut_free"
        conditions[plain] = load_faces(options, "test", shortcut=0.0)
    if options.robustness:
        conditions |= {condition: disturbed(conditions[plain], condition) for condition in CONDITIONS}
    return conditions


def evaluate_conditions(options, classifier, window=None, but=()):
    """A classifier on every test condition of the options.

    The places that are scored are the true landmarks, whatever training aimed at.

    :param options: from ``check_options``.
    :param classifier: the plain classifier.
    :param window: ``(3,)``, to which all faces are cropped first (see ``palcore.data.crops``); None for whole images.
    :param but: names of conditions to leave out.
    :return: ``(metrics, predictions, faces)``, each by condition; predictions are arrays for an ``.npz`` file, named
        ``<condition>_labels``, ``<condition>_probabilities`` and ``<condition>_correlation``. Of the conditions that ``robustness``
        adds there is ``<condition>_called`` in place of labels and probabilities.
    """
    watched = with_attribution(classifier, options.layer, options.attribution, "mean", options.score)
    metrics, predictions, faces, threads = {}, {}, {}, _threads(options)
    for condition, test in _test_conditions(options).items():
        if condition in but:
            continue
        test = test if window is None else crop_faces(test, window)
        metrics[condition], arrays = evaluate(watched, FaceBatches(test, options.batch_size, threads=threads), options.sigma)
        if condition in CONDITIONS:
            arrays = {"called": np.argmax(arrays["probabilities"], axis=-1), "correlation": arrays["correlation"]}
        for name, array in arrays.items():
            kind = np.uint8 if name in ("labels", "called") else np.float16
            predictions[f"{condition}_{name}"] = array.astype(kind)
        faces[condition] = test
    return metrics, predictions, faces


def describe_data(faces):
    """``{split or condition: {"faces": count, "fingerprint": ...}}`` for a record, with what was ``dropped``, if anything."""

    def facts(split):
        dropped = {"dropped": split.dropped} if split.dropped else {}
        return {"faces": len(split), "fingerprint": split.fingerprint(), **dropped}

    return {name: facts(split) for name, split in faces.items()}


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
    window = None
    if options.crop is not None:
        windows = face_windows(faces["train"].landmarks, options.crop)
        window = windows.mean(axis=0).round(6)  # as the record has it
        faces = {"train": crop_faces(faces["train"], windows), "validation": crop_faces(faces["validation"], window)}
    faces["train"] = _aim(faces["train"], options)
    image_size = faces["train"].images.size
    guided = options.strategy != "none"
    threads = _threads(options)
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

    metrics, predictions, tested = evaluate_conditions(options, classifier, window)
    np.savez_compressed(folder / "predictions.npz", **predictions)
    hidden = {"data_dir", "out_dir", "landmarks"}
    config = {name: value for name, value in asdict(options).items() if name not in hidden}
    config["image_size"] = image_size
    config["weights"] = options.weights and Path(options.weights).name
    record = {
        "config": config,
        "parameters": classifier.count_params(),
        "window": None if window is None else window.tolist(),
        "data": describe_data(faces | tested),
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
