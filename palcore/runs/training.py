"""One run: flat options in, a folder with the record, the predictions and the classifier out."""

import contextlib
import math
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np

from palcore.data.batches import DeviceBatches, FaceBatches, given_to_fit
from palcore.files import whole_file, write_arrays, write_json
from palcore.heatmaps import region_weights
from palcore.losses import LOSSES, SmoothedCrossEntropy
from palcore.models import build_classifier, with_attribution
from palcore.progress import attended
from palcore.runs.devices import computing_in, data_parallel, keep_compiled
from palcore.runs.evaluation import evaluate_conditions, watched_model
from palcore.runs.faces import run_data, run_faces
from palcore.runs.options import OPTIONS, Options
from palcore.runs.records import STATE, commit, history_of, identity, machine_facts, run_facts
from palcore.runs.resume import STOPPED, NotANumber, Progress, clear, only_process, stopped_by_sigterm
from palcore.weights import weights_digest


def balanced_weights(labels: np.ndarray) -> dict[int, float]:
    """Weight of each class that makes all weigh the same, ``{label: weight}``; their mean over the faces is 1."""
    counts = np.bincount(labels, minlength=7)
    present = counts > 0
    return {label: float(len(labels) / (present.sum() * count)) if count else 0.0 for label, count in enumerate(counts)}


def build(options: Options, image_size: int, steps: int, epoch_steps: int | None = None) -> tuple[keras.Model, keras.Model]:
    """The classifier, and the compiled model that trains it: itself for the strategy ``none``, else the one with the attribution
    as its second output and PAL, or the rival that the options name, as that output's loss.

    :param steps: of the whole training; ``epoch_steps``: of one epoch, which the warm-up counts in.
    """
    names = ("backbone", "weights", "units", "dropout", "width_multiplier", "normalisation")
    classifier = model = build_classifier(image_size=image_size, **{name: getattr(options, name) for name in names})
    if options.strategy != "none":
        _, features = LOSSES[options.loss]
        model = with_attribution(classifier, options.layer, features or options.attribution, options.strategy, options.score)
    compile_model(model, options, _optimizer(options, steps, epoch_steps or steps), options.pal_weight)
    return classifier, model


class CosineOfVariables(keras.optimizers.schedules.LearningRateSchedule):
    """Warm-up and cosine decay as Keras's ``CosineDecay``, whose rate and lengths are variables of the optimizer.

    As constants they would be a part of what is compiled, and each other length or rate would take another minute on a GPU.
    """

    def __init__(self, rate: float, warm: int, steps: int):
        self.values = {"rate": rate, "warm": warm, "steps": max(steps - warm, 1)}

    def of(self, optimizer: keras.Optimizer) -> "CosineOfVariables":
        """The same, its values kept by ``optimizer``."""
        self.kept = {name: optimizer.add_variable((), dtype="float32", name=f"schedule_{name}") for name in self.values}
        for name, variable in self.kept.items():
            variable.assign(self.values[name])
        return self

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rate, warm, steps = (keras.ops.convert_to_tensor(self.kept[name]) for name in ("rate", "warm", "steps"))
        decayed = 0.5 * (1 + keras.ops.cos(math.pi * keras.ops.clip((step - warm) / steps, 0.0, 1.0)))
        return rate * keras.ops.where(step < warm, step / keras.ops.maximum(warm, 1.0), decayed)

    def get_config(self):
        return dict(self.values)


def _optimizer(options, steps, epoch_steps):
    """The options' optimizer, its rate rising over the warm-up and then falling to 0 along a cosine, if it is to."""
    rate, warm = options.learning_rate, round(options.warmup * epoch_steps)
    varying = options.schedule == "cosine" and options.warp == "device"
    if varying:
        rate = CosineOfVariables(rate, warm, steps)
    elif options.schedule == "cosine":
        warming = {"warmup_target": rate, "warmup_steps": warm} if warm else {}
        rate = keras.optimizers.schedules.CosineDecay(0.0 if warm else rate, max(steps - warm, 1), **warming)
    decay = {"weight_decay": options.weight_decay} if options.weight_decay else {}
    if options.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **decay)
    else:
        optimizer = keras.optimizers.Adam(rate, **decay)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if varying:
        rate.of(optimizer)
    return optimizer


def compile_model(model: keras.Model, options: Options, optimizer: keras.Optimizer, pal_weight: float) -> None:
    """Compile a training model of ``build``; again with another weight of PAL and the same optimizer where PAL ends early."""
    # XLA on TensorFlow only approximates the second-order gradient of max-pooling; JAX always compiles.
    compiling = {"optimizer": optimizer, "jit_compile": keras.backend.backend() == "jax"}
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if options.label_smoothing:
        cross_entropy = SmoothedCrossEntropy(options.label_smoothing)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    if options.strategy == "none":
        model.compile(loss=cross_entropy, weighted_metrics=[], metrics=[accuracy], **compiling)
        return
    weights = None if options.jaw == 1 else region_weights(jaw=options.jaw)
    loss = LOSSES[options.loss][0](options.sigma, landmark_weights=weights)
    loss.told = False  # a data set's landmarks were judged when it was read
    weight = float(pal_weight > 0) if options.warp == "device" else pal_weight  # there each face brings its own
    model.compile(
        loss={"expression": cross_entropy, "attribution": loss},
        loss_weights={"expression": 1.0, "attribution": weight},
        metrics={"expression": [accuracy]},
        **compiling,
    )
    if keras.backend.backend() == "tensorflow":
        # Keras makes the means of both losses in the first step; that step, its longest, would then be traced a second time.
        outputs = {name: np.zeros((1, *output.shape[1:]), np.float32) for name, output in model.output.items()}
        model.compute_loss(y={"expression": np.zeros(1), "attribution": np.full((1, 68, 2), 0.5, np.float32)}, y_pred=outputs)


def run_folder(options: Options) -> Path:
    """Where a run with these options is written."""
    if options.out_dir is not None:
        return Path(options.out_dir)
    # JupyterLab starts a notebook in its own folder: its runs go where those of the command line go.
    study = Path("..") if Path.cwd().name == "notebooks" and Path("../_toc.yml").is_file() else Path()
    return study / "runs" / f"{options.dataset}-{options.backbone}-{options.strategy}-{options.seed}"


@contextlib.contextmanager
def _conditions(options):
    """What a run sets for the whole process: seeds, TensorFlow's deterministic operations, and, while it lasts, the precision."""
    keras.utils.set_random_seed(options.seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Not on GPUs, where an operation without a deterministic form would stop the run.
        if not tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
    with computing_in(options.precision):
        yield


def train(options: Options, verbose: int | None = None) -> Path:
    """Train, evaluate on the test split once, and write the run folder, whose path is returned.

    It holds ``record.json`` (configuration, versions, device, data fingerprints, history, metrics), ``predictions.npz`` (labels,
    probabilities and attribution correlations of each test condition and of the validation split) and the plain
    ``classifier.keras``. The validation split is only watched; the weights are those of the last epoch. However the process ends
    before, the same call goes on (``palcore.runs.resume``).

    :param verbose: Keras's: 0 silent, 1 a bar, 2 lines for each epoch; None for the bar where somebody watches, and lines in a log.
    :raises FileExistsError: where the folder already holds a record.
    :raises ValueError: where it can't be written to, another process trains in it, or it holds another half-finished run.
    :raises FloatingPointError: where a loss is no number, after writing ``stopped.json``.
    :raises OSError: where a file can't be written.
    """
    folder = run_folder(options)
    with only_process(folder), stopped_by_sigterm(), _conditions(options):
        if (folder / "record.json").exists():
            clear(folder)  # a process that was killed a moment after it wrote the record
            raise FileExistsError(f"{folder} already holds a run's record.json: give another out_dir, or remove that folder")
        try:
            return _train(options, folder, (1 if attended(sys.stdout) else 2) if verbose is None else verbose)
        except KeyboardInterrupt:
            print(f"{folder}: stopped; the same command goes on from its last epoch", file=sys.stderr)
            raise


def _train(options, folder, verbose):
    code = commit()  # now: the tree may change while this trains
    keep_compiled(folder.parent / "index" / "compiled")
    faces = run_faces(options, folder.parent / "index")
    with data_parallel(options.distribute, options.batch_size) as devices:
        batches, validation = _batches(options, faces, devices)
        classifier, model = build(options, faces.train.images.size, len(batches) * options.epochs, len(batches))
        watched = watched_model(options, classifier)  # now: a layer that is not there fails before the first epoch
        window = None if faces.window is None else faces.window.tolist()
        facts = run_facts(options, faces.train.images.size, window, run_data(faces))
        progress = Progress(folder, model, batches, facts, code)
        try:
            _fit(options, model, progress, validation, verbose)
        except NotANumber as error:
            _give_up(options, folder, progress, error)
    trained = progress.seconds
    with whole_file(folder / "classifier.keras", ".tmp.keras") as draft:
        classifier.save(draft)
    metrics, predictions = evaluate_conditions(options, classifier, watched, {**faces.tests, "validation": faces.validation})
    write_arrays(folder / "predictions.npz", predictions)
    record = {
        **facts,
        "identity": identity(facts),
        "parameters": classifier.count_params(),
        "weights": weights_digest(classifier),
        "labels": {name: split.counts() for name, split in faces.splits.items()},
        "metrics": metrics,
        "history": history_of(progress.history, options),
        "seconds": round(progress.seconds, 1),
        "seconds_training": round(trained, 1),
        "commit": ", ".join(filter(None, progress.codes)) or None,
        **machine_facts(),
    }
    write_json(folder / "record.json", record)
    clear(folder)
    return folder


def _batches(options, faces, devices):
    """Batches to train on and to watch, ``palcore.data.batches.FaceBatches``."""
    kind = FaceBatches if options.warp == "host" else partial(DeviceBatches, pal_weight=options.pal_weight)
    reading = {"batch_size": options.batch_size, "attribution": options.strategy != "none"}
    batches = kind(
        faces.train,
        augment=options.augment,
        strength=options.augment_strength,
        shuffle=True,
        seed=options.seed,
        balanced=options.sampling == "balanced",
        class_weight=balanced_weights(faces.train.labels) if options.class_weight == "balanced" else None,
        # Devices share every batch equally; and where batches are compiled for, a smaller last one would take another minute.
        drop_remainder=devices > 1 or options.warp == "device",
        **reading,
    )
    return batches, kind(faces.validation, drop_remainder=devices > 1, **reading)


def _fit(options, model, progress, validation, verbose):
    """Train from the epoch that ``progress`` has reached to the last."""
    validation = given_to_fit(validation)
    for last, weight in _stages(options):
        if progress.epoch >= last:
            continue
        if weight != options.pal_weight:
            compile_model(model, options, model.optimizer, weight)
        model.fit(
            given_to_fit(progress.batches),
            validation_data=validation,
            epochs=last,
            initial_epoch=progress.epoch,
            shuffle=False,  # the batches are in another order in each epoch by themselves
            verbose=verbose,
            callbacks=[progress],
        )


def _stages(options):
    """``[(epoch, weight of PAL until then), ...]``: one, or two where PAL ends early."""
    last = options.epochs if options.strategy == "none" else round(options.pal_share * options.epochs)
    return [(last, options.pal_weight), (options.epochs, 0.0)][: 1 + (last < options.epochs)]


def _give_up(options, folder, progress, error):
    """Say where a loss was no number, in ``stopped.json`` too, by which the grid tells such a run from one that was killed."""
    where = {"epoch": error.epoch + 1, "step": None if error.batch is None else error.batch + 1, "losses": error.losses}
    write_json(folder / STOPPED, {**where, **progress.facts})
    # Whichever is farther above its default is the likelier cause.
    above = {name: getattr(options, name) / OPTIONS[name].default for name in ("learning_rate", "pal_weight")}
    cause = max(above, key=above.get) if options.strategy != "none" else "learning_rate"
    place = f"epoch {error.epoch + 1}" + ("'s validation" if error.batch is None else f", step {error.batch + 1}")
    raise FloatingPointError(
        f"the loss of {folder} is not a number in {place}: try a lower {cause} than {getattr(options, cause)}; {STATE} keeps the "
        f"weights of epoch {progress.epoch}"
    )
