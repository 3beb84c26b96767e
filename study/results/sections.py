"""What the result pages ask and of which arms: one entry a section, in the words that a reader sees."""

from dataclasses import dataclass, field

from study.results.arms import LENGTH, arm_lengths, is_short, length_words, own_settings, plain_options, question_cells
from study.results.tables import best_on_validation, by_arm, read_question

WITHOUT, PAL = "without PAL", "PAL"
BOTH = {WITHOUT: {"strategy": "none"}, PAL: {"strategy": "mean"}}

FACES = {
    "test_accuracy": "accuracy (%)",
    "test_mean_class_accuracy": "mean-class accuracy (%)",
    "ferplus_accuracy": "accuracy by FER+'s labels, with their shares (%)",
    "uncopied_accuracy": "accuracy without copies (%)",
    "detected_accuracy": "accuracy where landmarks were detected (%)",
    "guessed_accuracy": "accuracy where they were guessed (%)",
    "validation_accuracy": "accuracy on validation faces (%)",
    "training_accuracy": "accuracy on training faces (%)",
}
"""Scores on real faces (``study.results.scores``); those that no record has are left out of a table."""

VALIDATION = {"validation_accuracy": "accuracy on validation faces (%)"}
"""What a weight is chosen by."""

DRAWN = {"shortcut_free_accuracy": "accuracy, patch at random (%)", "test_accuracy": "accuracy, patch as in training (%)"}

CONDITIONS = {
    "test": "as they are",
    "patch_off": "patch beside the face",
    "patch_eyes": "patch on the eyes",
    "patch_mouth": "patch on the mouth",
    "shift_10": "shifted by a tenth",
    "shift_20": "shifted by a fifth",
    "blur_1": "weak blur",
    "blur_2": "medium blur",
    "blur_4": "strong blur",
}
"""Test conditions in a reader's words."""

RIVALS = {"pal": PAL, "energy": "energy outside", "rrr": "right for the right reasons", "cosine": "feature cosine"}
"""Losses of the attribution, by option, in a reader's words."""


CIRCUMSTANCES = {
    "width": {f"{PAL}, all channels": "with all of the network's channels"},
    "noisy-labels": {f"{PAL}, 40 % wrong": "with 40 % of the training labels replaced at random"},
    "little-data": {f"{PAL}, 5 % of the faces": "with 5 % of the training faces"},
    "faces-strategies": {
        f"{PAL} (all)": "with each channel compared by itself (the strategy `all`)",
        f"{PAL} (mean), short": "trained short",
    },
    "knows-faces": {PAL: "from a network that knows faces"},
}
"""What the first page compares with the same training without PAL, by section and label, in its words."""

INSTEAD = {RIVALS["cosine"]: "the feature cosine", "face crops": "face crops"}
"""Other uses of the landmarks, of the section ``rivals`` without the chosen weight, that the first page compares with PAL."""

HARDER = {
    "patch_eyes": "tested with a patch on the eyes",
    "patch_mouth": "tested with a patch on the mouth",
    "shift_20": "tested on faces shifted by a fifth",
    "blur_2": "tested on blurred faces",
}
"""Test conditions of ``CONDITIONS`` that the first page speaks of, in the same words."""


@dataclass(frozen=True)
class Section:
    """One question of a page.

    - ``question`` of ``study/grid.yml``; ``arms``: ``{label: {option: value}}`` as in the grid, without lists;
    - ``scores``: ``{column: heading}``; the first is compared;
    - ``baseline``: the label that all are compared with, or ``{label: its baseline}``;
    - ``primary``: group of primary comparisons that are stated here.
    """

    question: str
    arms: dict
    scores: dict = field(default_factory=lambda: FACES)
    baseline: str | dict = WITHOUT
    primary: str | None = None

    @property
    def score(self):
        """The column that is compared."""
        return next(iter(self.scores))

    @property
    def heading(self):
        """That column in words."""
        return self.scores[self.score]

    @property
    def pairs(self):
        """``{label: label of its baseline}``."""
        if isinstance(self.baseline, dict):
            return self.baseline
        return {label: self.baseline for label in self.arms if label != self.baseline}


def _percent(share):
    return f"{100 * share:g} %"


def _guided(option, values):
    """``{label: PAL with one option changed}``."""
    return {label: {"strategy": "mean", option: value} for label, value in values.items()}


def _each(question, option, values, **options):
    """Both arms for each value of an option, ``{words: value}``, each with a baseline of its own."""
    arms = {f"{label}, {words}": arm | {option: value} for words, value in values.items() for label, arm in BOTH.items()}
    return Section(question, arms, baseline={f"{PAL}, {words}": f"{WITHOUT}, {words}" for words in values}, **options)


OTHERS = _guided("landmark_source", {"another face's landmarks": "shuffled"})
TEMPLATE = _guided("landmark_source", {"a template": "template"})
WRONG = TEMPLATE | OTHERS | _guided("landmark_source", {"landmarks upside down": "upside_down", "points in the middle": "centre"})
"""PAL with wrong landmarks on purpose."""

MOVED = _guided("landmark_jitter", {f"landmarks moved by {_percent(share)}": share for share in (0.05, 0.1)})
STRATEGIES = {WITHOUT: {"strategy": "none"}, **{f"PAL ({name})": {"strategy": name} for name in ("mean", "all", "half")}}


def _backbones(question):
    """Strategies, wrong landmarks, and faces placed at random, for both large backbones, as far as the grid has them.

    Strategies are compared with training without PAL, wrong landmarks with PAL with each face's own.
    """
    arms, pairs = {}, {}
    settings = (("", STRATEGIES | WRONG, {}, f"{PAL} (mean)"), (", placed", BOTH | TEMPLATE, {"placed": True}, PAL))
    for backbone, name in (("vgg16", "VGG16"), ("resnet50", "ResNet50")):
        for words, kinds, placed, guided in settings:
            own = {f"{name}{words}, {label}": {"backbone": backbone, **placed, **arm} for label, arm in kinds.items()}
            arms |= own
            pairs |= {
                f"{name}{words}, {kind}": f"{name}{words}, {guided if kind in WRONG else WITHOUT}"
                for kind in kinds
                if kind != WITHOUT
            }
    return Section(question, arms, baseline=pairs)


def sections():
    """``{name: Section}``: all sections of all pages but that of the rivals."""
    words = {"gradient times input": "grad_input", "gradient": "grad"}
    methods = {
        f"{label}, {word}": arm | {"attribution": method}
        for word, method in words.items()
        for label, arm in STRATEGIES.items()
        if label != WITHOUT
    }
    changes = {
        "without the jaw": {"strategy": "mean", "jaw": 0},
        **_guided("sigma", {"half the width": 0.0134, "twice the width": 0.0536}),
        "an earlier layer": {"strategy": "mean", "layer": "block3_conv2"},
    }
    balance = {
        "as they come": {"strategy": "none"},
        "class weights": {"strategy": "none", "class_weight": "balanced"},
        "balanced sampling": {"strategy": "none", "sampling": "balanced"},
    }
    weights = {f"weight {weight:g}": {"strategy": "mean", "pal_weight": weight} for weight in (1.0, 10.0, 30.0)}
    tried = {f"a template, weight {weight:g}": TEMPLATE["a template"] | {"pal_weight": weight} for weight in (0.3, 1.0, 3.0, 10.0)}
    trained = {"trained on FER2013's labels": "own", "trained on FER+'s labels": "ferplus"}
    cleaner = {
        "ferplus_accuracy": "accuracy by FER+'s labels, with their shares (%)",
        "test_accuracy": "accuracy by FER2013's labels, with their shares (%)",
    }
    rare = {name: FACES[name] for name in ("test_mean_class_accuracy", "test_accuracy")}
    found = [
        Section("faces", BOTH, primary="P1"),
        Section("aligned-landmarks", BOTH | WRONG, baseline=dict.fromkeys([WITHOUT, *WRONG], PAL), primary="P2"),
        Section("placed", BOTH | TEMPLATE, baseline=dict.fromkeys([WITHOUT, *TEMPLATE], PAL), primary="P3"),
        _each("labels", "labels", trained, scores=cleaner, primary="P4"),
        Section("shortcut", BOTH | WRONG, DRAWN, primary="P5"),
        Section("shortcut-strategies", {WITHOUT: {"strategy": "none"}} | methods, DRAWN),
        Section("shortcut-full", BOTH, DRAWN),
        _each("shortcut-strength", "shortcut", {f"{_percent(share)} true": share for share in (0.5, 0.9, 1.0)}, scores=DRAWN),
        Section("shortcut-weight", {WITHOUT: {"strategy": "none"}} | weights, dict(reversed(DRAWN.items()))),
        Section("shortcut-landmarks", BOTH | OTHERS | MOVED, DRAWN, PAL),
        Section("faces-strategies", STRATEGIES),
        Section("width", BOTH),
        Section("template-weight", {PAL: {"strategy": "mean"}} | tried, FACES | VALIDATION, PAL),
        Section("knows-faces", {label: arm | {"backbone": "face_resnet"} for label, arm in BOTH.items()}),
        Section("imbalance", balance, rare, "as they come"),
        *map(_backbones, ("faces-gpu", "rafdb", "affectnet")),
        _each("little-data", "train_share", {f"{_percent(share)} of the faces": share for share in (0.05, 0.1, 0.3, 1.0)}),
        _each("noisy-labels", "label_noise", {f"{_percent(share)} wrong": share for share in (0.0, 0.2, 0.4)}),
        Section("landmarks", BOTH | OTHERS | MOVED | changes, baseline=PAL),
    ]
    return {section.question: section for section in found}


def rivals(results=None):
    """PAL and its rivals, each at the weight that was best on the validation faces, and everything that was tried.

    :return: ``(section, section of all weights)``.
    """
    runs, tried, chosen = read_question("rivals", results), {}, {}
    cells = [cell.options for cell in question_cells("rivals") if cell.options["strategy"] != "none"]
    default = plain_options("rivals") if cells else {}
    for loss, name in RIVALS.items():
        weights = {cell.get("pal_weight", default["pal_weight"]) for cell in cells if cell.get("loss", default["loss"]) == loss}
        own = {f"{name}, weight {weight:g}": {"strategy": "mean", "loss": loss, "pal_weight": weight} for weight in sorted(weights)}
        # Only chosen weights are trained at full length: the choice is among those trained for as long as most are.
        tries = {}
        for label, arm in own.items():
            for words, found in lengths("rivals", arm).items():
                tries.setdefault(words, {})[label] = found
        most = max(tries.values(), key=len, default={})
        best = best_on_validation(by_arm(runs, most), most)
        tried |= own
        chosen |= {best: own[best]} if best else {}
    none = {WITHOUT: {"strategy": "none", "crop": None}}
    arms = none | chosen | {"face crops": {"strategy": "none", "crop": 0.1}}
    return Section("rivals", arms, FACES), Section("rivals", none | tried, VALIDATION | FACES)


def lengths(question, arm):
    """``{suffix: {seed: name of the run}}`` of an arm: ``", short"`` where it was trained for less than the settings say."""
    found = {}
    for length, cells in arm_lengths(question, arm).items():
        words = "" if set(arm) & set(LENGTH) else length_words(question, length)
        suffix = ", short" if is_short(question, length) else f", {words}" if words else ""
        if suffix in found:
            raise ValueError(f"arm {arm} of question {question} was trained short in two ways: name {', '.join(LENGTH)} in it")
        found[suffix] = cells
    return found


def lengths_sentence(section):
    """What ``short`` means in a section, and full length where no label says it; then what else its question has of its own."""
    meant, question = {}, section.question
    for arm in section.arms.values():
        for length in arm_lengths(question, arm):
            if is_short(question, length):
                meant.setdefault("Short", set()).add(length)
            elif set(arm) & set(LENGTH) and length_words(question, length):
                meant.setdefault("Full length", set()).add(length)
    parts = [f"{head}: {'; '.join(length_words(question, length) for length in sorted(meant[head]))}." for head in sorted(meant)]
    if own := ", ".join(f"`{option}` {value}" for option, value in own_settings(question).items()):
        parts.append(f"All runs here have settings of their own, the short ones but for their length: {own}.")
    return " ".join(parts)


def labelled(section):
    """The runs of a section's arms, each arm apart for each length of training, the short ones last.

    :return: ``({label: {seed: name of the run}}, {label: label of its baseline, trained for as long})``.
    """
    arms, pairs = {}, {}
    for label, arm in section.arms.items():
        for words, cells in lengths(section.question, arm).items():
            arms[label + words] = cells
            if label in section.pairs:
                pairs[label + words] = section.pairs[label] + words
    arms = dict(sorted(arms.items(), key=lambda item: item[0].endswith(", short")))
    return arms, {label: pairs[label] for label in arms if pairs.get(label) in arms}
