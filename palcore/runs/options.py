"""The options of a run: flat, each with its default and its check, which gives the value as it is used."""

import math
import os
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real

from palcore import choose
from palcore.attribution import METHODS, SCORES, STRATEGIES
from palcore.data import DATASETS
from palcore.data.changes import SOURCES
from palcore.data.landmark_table import ORDERS
from palcore.heatmaps import SIGMA
from palcore.losses import LOSSES
from palcore.models import BACKBONES, FILTERS, NORMALISATIONS
from palcore.runs import OF_ATTRIBUTION


def _option(default, check):
    return field(default=default, metadata={"check": check})


def _choice(*choices):
    def check(value):
        if value not in choices:
            raise ValueError(f"choose from {', '.join(choices)}")
        return value

    return check


def _switch(value):
    if str(value).strip().lower() not in ("true", "1", "false", "0"):
        raise ValueError("choose from True, False")
    return str(value).strip().lower() in ("true", "1")


def _number(lowest, highest=math.inf, whole=False, open_end=False):
    def check(value):
        good = isinstance(value, Integral if whole else Real) and not isinstance(value, bool) and math.isfinite(value)
        if good and lowest <= value <= highest and not (open_end and value == highest):
            return int(value) if whole else float(value)
        kind = "a whole number" if whole else "a number"
        bound = f"of at least {lowest}" if highest == math.inf else f"in [{lowest}, {highest}{')' if open_end else ']'}"
        raise ValueError(f"it must be {kind} {bound}")

    return check


def _or_none(check):
    def check_or_none(value):
        nothing = value is None or (isinstance(value, str) and value.strip().lower() in ("", "none"))
        return None if nothing else check(value)

    return check_or_none


def _text(value):
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("it must be text or None")
    return value


def _place(value):
    return os.path.expanduser(_text(os.fspath(value) if isinstance(value, os.PathLike) else value))


@dataclass(frozen=True)
class Options:
    """Everything that makes a run what it is. Defaults train ``compact`` on the synthetic faces."""

    dataset: str = _option("synthetic", _choice(*DATASETS))
    data_dir: str | None = _option(None, _or_none(_place))  # folder of the data set; synthetic needs none
    backbone: str = _option("compact", _choice(*BACKBONES))
    width_multiplier: float | None = _option(None, _or_none(_number(0.125, 4)))  # share of compact's, plain's channels; None: 0.5
    normalisation: str = _option("block", _choice(*NORMALISATIONS))  # compact, plain: after each block, or each convolution
    layer: str | None = _option(None, _or_none(_text))  # layer to attribute; None: the last convolutional map
    weights: str | None = _option(None, _or_none(_place))  # None, "imagenet", "hed", "dlib", or a file of the backbone's
    strategy: str = _option("mean", _choice("none", *STRATEGIES))  # none: cross-entropy only
    attribution: str = _option("grad_input", _choice(*METHODS))
    score: str = _option("abs_logits", _choice(*SCORES))
    loss: str = _option("pal", _choice(*LOSSES))  # loss of the attribution: pal, or a rival
    pal_weight: float = _option(1.0, _number(0, 1e6))  # total loss = cross-entropy + pal_weight * PAL (or its rival)
    pal_share: float = _option(1.0, _number(0, 1))  # share of the epochs, from the first, in which that loss counts
    sigma: float = _option(SIGMA, _number(1e-4, 1))  # width of a landmark's Gaussian, as a fraction of the image side
    jaw: float = _option(1.0, _number(0, 1000))  # weight of the 17 jaw landmarks in the heatmap; 0 leaves them out
    landmark_source: str = _option("own", _choice(*SOURCES))  # landmarks that training aims at: own, or as a control others
    landmark_jitter: float = _option(0.0, _number(0, 1))  # deviation of noise on them, fraction of the image side, as a control
    placed: bool = _option(False, _switch)  # put all faces at a random place and scale on a textured ground
    crop: float | None = _option(None, _or_none(_number(0, 1)))  # crop faces to their landmarks' box with this margin (crop_faces)
    image_size: int | None = _option(None, _or_none(_number(32, 1024, whole=True)))  # side in pixels; None: the data set's own
    epochs: int = _option(20, _number(1, whole=True))
    batch_size: int = _option(64, _number(2, 65536, whole=True))
    optimizer: str = _option("adam", _choice("adam", "sgd"))  # sgd: with Nesterov momentum of 0.9
    learning_rate: float = _option(1e-4, _number(1e-8, 1))
    weight_decay: float = _option(0.0, _number(0, 1))  # of kernels, decoupled: each step takes learning_rate * weight_decay of them
    schedule: str = _option("cosine", _choice("cosine", "constant"))  # cosine decays to 0 over the run
    warmup: float = _option(0.0, _number(0, 100))  # epochs in which the rate rises from 0, before the cosine
    label_smoothing: float = _option(0.0, _number(0, 1, open_end=True))  # share of each label spread over all classes
    units: int = _option(512, _number(1, 65536, whole=True))  # width of each of the two dense layers
    dropout: float = _option(0.5, _number(0, 1, open_end=True))
    augment: bool = _option(True, _switch)  # flip, small shift, rotation and scale of training faces, landmarks moved along
    augment_strength: float = _option(1.0, _number(0, 4))  # factor of the greatest shift, rotation and scale
    warp: str = _option("host", _choice("host", "device"))  # where faces are augmented; device: on the GPU (JAX), from its memory
    distribute: str = _option("none", _choice("none", "data"))  # data: each batch divided among all devices
    precision: str = _option("float32", _choice("float32", "mixed_bfloat16"))  # attributions, head and losses stay in float32
    class_weight: str = _option("none", _choice("none", "balanced"))  # balanced: each class weighs the same in the cross-entropy
    sampling: str = _option("natural", _choice("natural", "balanced"))  # balanced: each class is drawn equally often
    train_share: float = _option(1.0, _number(0.001, 1))  # share of the training faces used, drawn by class
    label_noise: float = _option(0.0, _number(0, 1, open_end=True))  # share of the training labels replaced by another class
    shortcut: float | None = _option(0.9, _or_none(_number(0, 1)))  # synthetic: how often the patch shows the label; None: no patch
    landmarks: str | None = _option(None, _or_none(_place))  # landmark table or folder, where the data set's own is elsewhere
    labels: str = _option("own", _choice("own", "ferplus"))  # fer2013's: own, or those that most of FER+'s ten votes agree on
    landmark_order: str = _option("row_column", _choice(*ORDERS))  # of rafdb's text files
    robustness: bool = _option(False, _switch)  # test also under patches, shifts and blur (see palcore.data.changes)
    seed: int = _option(0, _number(0, 2**31 - 1, whole=True))
    out_dir: str | None = _option(None, _or_none(_place))  # the run's folder; None: runs/<dataset>-<backbone>-<strategy>-<seed>


OPTIONS = {option.name: option for option in fields(Options)}


def _meaningless(options):
    """``(options, what was chosen, why they mean nothing for it)``; their defaults pass, since a notebook gives all."""
    data, backbone = f"dataset {options.dataset}", f"backbone {options.backbone}"
    drawn, narrow = options.dataset == "synthetic", options.backbone in FILTERS
    of_narrow = ("normalisation",) if options.width_multiplier == 1 else ("width_multiplier", "normalisation")
    cases = [
        (drawn, ("data_dir", "landmarks"), "the synthetic faces", "they are drawn"),
        (not drawn and options.shortcut is not None, ("shortcut",), data, "only drawn faces have a patch"),
        (options.dataset != "rafdb", ("landmark_order",), data, "only rafdb's text files have an order"),
        (options.dataset != "fer2013", ("labels",), data, "only fer2013 has others"),
        (narrow, ("weights",), backbone, "it has none to load"),
        (not narrow, of_narrow, backbone, "only compact and plain take one"),
        (options.schedule == "constant", ("warmup",), "schedule constant", "it has no start of its own"),
        (options.strategy == "none", OF_ATTRIBUTION, "strategy none", "it has no loss of the attribution"),
    ]
    return [case for applies, *case in cases if applies]


def check_options(**values) -> Options:
    """Options from keyword values, each checked, as a papermill cell hands them over.

    The texts ``true``, ``false``, ``none`` and an empty one (None) are understood, as are 0 and 1 for switches and ``~`` in a path.

    :raises ValueError: for an unknown option, a value that makes no sense, or one that means nothing for what was chosen, naming
        it and what would be right.
    """
    for name, value in values.items():
        choose(name, OPTIONS, f"unknown option {name!r}")
        try:
            values[name] = OPTIONS[name].metadata["check"](value)
        except ValueError as problem:
            raise ValueError(f"option {name} is {value!r}: {problem}") from None
    options = Options(**values)
    if options.width_multiplier is None:
        options = replace(options, width_multiplier=0.5 if options.backbone in FILTERS else 1.0)
    for names, chosen, why in _meaningless(options):
        for name in names:
            value = getattr(options, name)
            if value != OPTIONS[name].default:
                raise ValueError(f"option {name} is {value!r} for {chosen}: {why}, leave it out")
    if options.dataset != "synthetic" and options.data_dir is None:
        raise ValueError(f"option data_dir is missing: dataset {options.dataset} needs the folder that holds it")
    if options.warmup > options.epochs:
        raise ValueError(
            f"option warmup is {options.warmup} for {options.epochs} epochs: the rate would not be reached, give fewer"
        )
    if options.class_weight == "balanced" and options.sampling == "balanced":
        raise ValueError("options class_weight and sampling are both balanced: choose one, or classes are balanced twice")
    return options


def options_of(config: dict, **places) -> Options:
    """The options among some values: a record's ``config``, or a notebook's ``globals()``; ``places``: what a record leaves out."""
    return check_options(**{**{name: value for name, value in config.items() if name in OPTIONS}, **places})
