"""One run: flat options in, a folder with the record, the predictions and the classifier out."""

import time
from pathlib import Path

import keras
import numpy as np

from palcore.data.batches import FaceBatches
from palcore.heatmaps import region_weights
from palcore.losses import attribution_loss
from palcore.models import build_classifier, with_attribution
from palcore.runs.evaluation import evaluate_conditions
from palcore.runs.faces import describe_data, load_faces, reading_threads, run_faces, training_faces
from palcore.runs.options import Options, check_options
from palcore.runs.records import commit, write_record

__all__ = ["Options", "balanced_weights", "build", "check_options", "load_faces", "run_folder", "train", "training_faces"]


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
    faces = run_faces(options, folder.parent / "index")
    guided = options.strategy != "none"
    batches = FaceBatches(
        faces.train,
        options.batch_size,
        augment=options.augment,
        shuffle=True,
        seed=options.seed,
        balanced=options.sampling == "balanced",
        class_weight=balanced_weights(faces.train.labels) if options.class_weight == "balanced" else None,
        attribution=guided,
        threads=reading_threads(options),
    )
    validation = FaceBatches(faces.validation, options.batch_size, attribution=guided, threads=reading_threads(options))
    classifier, model = build(options, faces.train.images.size, steps=len(batches) * options.epochs)
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
    metrics, predictions = evaluate_conditions(options, classifier, faces.tests)
    np.savez_compressed(folder / "predictions.npz", **predictions)
    write_record(
        folder,
        options,
        image_size=faces.train.images.size,
        parameters=classifier.count_params(),
        window=None if faces.window is None else faces.window.tolist(),
        data=describe_data({"train": faces.train, "validation": faces.validation, **faces.tests}),
        metrics=metrics,
        history=history,
        seconds=round(time.perf_counter() - started, 1),
        seconds_training=round(trained - started, 1),
        commit=code,
    )
    return folder
