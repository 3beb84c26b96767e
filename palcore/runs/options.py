"""The options of a run: flat, each with its default and its check."""

import math
from dataclasses import dataclass, fields, replace

from palcore.attribution import METHODS, SCORES, STRATEGIES
from palcore.data import DATASETS
from palcore.data.changes import SOURCES
from palcore.data.landmark_files import ORDERS
from palcore.heatmaps import SIGMA
from palcore.losses import LOSSES
from palcore.models import BACKBONES


@dataclass(frozen=True)
class Options:
    """Everything that makes a run what it is. Defaults train ``compact`` on the synthetic faces."""

    dataset: str = "synthetic"  # one of palcore.data.DATASETS
    data_dir: str | None = None  # folder of the data set; synthetic needs none
    backbone: str = "compact"  # compact, vgg16 or resnet50
    width_multiplier: float | None = None  # share of compact's channels; None: a half, which trains twice as fast as all of them
    layer: str | None = None  # layer to attribute; None: the last convolutional map
    weights: str | None = None  # None, "imagenet", or a file with the backbone's weights
    strategy: str = "mean"  # none (cross-entropy only), all, mean or half
    attribution: str = "grad_input"  # grad or grad_input
    score: str = "abs_logits"  # abs_logits or logits
    loss: str = "pal"  # loss of the attribution: pal, or a rival (energy, rrr or cosine)
    pal_weight: float = 1.0  # total loss = cross-entropy + pal_weight * PAL (or its rival)
    sigma: float = SIGMA  # width of a landmark's Gaussian, as a fraction of the image side
    jaw: float = 1.0  # weight of the 17 jaw landmarks in the heatmap; 0 leaves them out
    landmark_source: str = "own"  # landmarks that training aims at: own, or as a control one of palcore.data.changes.SOURCES
    landmark_jitter: float = 0.0  # deviation of noise on them, as a fraction of the image side, as a control
    placed: bool = False  # put faces at a random place and scale on a textured ground, in training and in all tests
    crop: float | None = (
        None  # crop faces to their landmarks' box with this margin (see palcore.data.changes.crop_faces); None: no crop
    )
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
    labels: str = "own"  # fer2013's: own, or those that most of FER+'s ten votes agree on (ferplus)
    landmark_order: str = "row_column"  # rafdb's text files: row_column or x_y
    robustness: bool = False  # test also under patches, shifts and blur (see palcore.data.changes)
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
    "width_multiplier": _optional(_number(0.125, 4)),
    "layer": _text,
    "weights": _text,
    "strategy": _choice("strategy", ("none", *STRATEGIES)),
    "attribution": _choice("attribution", METHODS),
    "score": _choice("score", SCORES),
    "loss": _choice("loss", LOSSES),
    "pal_weight": _number(0),
    "sigma": _number(1e-4, 1),
    "jaw": _number(0),
    "landmark_source": _choice("landmark_source", SOURCES),
    "landmark_jitter": _number(0, 1),
    "placed": _choice("placed", (True, False)),
    "crop": _optional(_number(0, 1)),
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
    "labels": _choice("labels", ("own", "ferplus")),
    "landmark_order": _choice("landmark_order", ORDERS),
    "robustness": _choice("robustness", (True, False)),
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
            if name in ("augment", "placed", "robustness") and word in ("true", "false"):
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
    if options.width_multiplier is None:
        options = replace(options, width_multiplier=0.5 if options.backbone == "compact" else 1.0)
    if options.backbone != "compact" and options.width_multiplier != 1:
        raise ValueError(
            f"option width_multiplier is {options.width_multiplier!r} for backbone {options.backbone}: only compact takes one"
        )
    if options.class_weight == "balanced" and options.sampling == "balanced":
        raise ValueError("options class_weight and sampling are both balanced: choose one, or classes are balanced twice")
    return options


def options_of(config, **places):
    """The options of a finished run, from its record.

    :param config: the record's ``config``; options that are newer than the record take their defaults.
    :param places: what a record leaves out: ``data_dir``, ``landmarks``, ``weights``, ``out_dir``.
    :raises ValueError: as ``check_options``.
    """
    known = {field.name for field in fields(Options)}
    return check_options(**{**{name: value for name, value in config.items() if name in known}, **places})
