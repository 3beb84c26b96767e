"""The cells of the grid: what `grid.yml` says, each with a name and a papermill command. Nothing is run here.

Only the standard library, PyYAML and names of palcore are imported, since Snakemake may live in an environment of its own.
"""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from palcore.runs import OF_ATTRIBUTION

ROOT = Path(__file__).resolve().parent.parent
GRID = ROOT / "study" / "grid.yml"
TUNED = ROOT / "study" / "tuned.yml"
"""What the choices of the grid have come to, see `study/choices.py`."""

RUNS = "runs/grid"
"""Folder of all runs, from the repository's root: one folder a cell."""

FACES = {"synthetic": (2800, 700), "fer2013": (28709, 3589), "rafdb": (12271, 3068), "affectnet": (283901, 3500)}
"""Training and validation faces of each data set."""

FACES_PER_SECOND = {"compact": 450, "plain": 500, "vgg16": 500, "resnet50": 500, "face_resnet": 200}
"""Training speed to plan with, a round guess and no result: compact and plain at 48 and face_resnet at 112 pixels on two cores, the
others at 112 on a GPU."""


@dataclass
class Cell:
    """One training run: its name, its options without `data_dir` and `out_dir`, and the questions that it answers; for each of
    them the name of its arm, and of the arm that this is compared with, or None."""

    name: str
    options: dict
    gpu: bool
    questions: list = field(default_factory=list)
    arms: dict = field(default_factory=dict)
    against: dict = field(default_factory=dict)

    @property
    def folder(self):
        return f"{RUNS}/{self.name}"

    @property
    def minutes(self):
        """Expected minutes on the machine that `FACES_PER_SECOND` is for, start and evaluation included."""
        training, validation = FACES[self.options["dataset"]]
        rate = FACES_PER_SECOND[self.options["backbone"]] / (self.options.get("width_multiplier") or 1.0)
        if self.options["backbone"] in ("compact", "plain"):
            rate *= (48 / self.options["image_size"]) ** 2
        epoch = training * self.options.get("train_share", 1.0) / rate + validation / (3 * rate)
        tests = 10 if self.options.get("robustness") else 2
        return (self.options["epochs"] * epoch + tests * validation / (2 * rate) + 25) / 60


def read_grid(path=GRID):
    """`grid.yml` as a dictionary.

    :raises ValueError: for a key that no question or data set has.
    """
    grid = yaml.safe_load(Path(path).read_text())
    if stray := sorted(set(grid) - {"margin", "comparisons", "series", "choices", "settings", "short", "questions"}):
        raise ValueError(f"{path}: unknown key {stray[0]!r} beside the questions: indent a question below `questions`")
    for name, question in grid["questions"].items():
        if series := question.get("series"):
            question["dataset"] = grid["series"][series]["dataset"]
        unknown = set(question) - {"asks", "dataset", "series", "gpu", "seeds", "settings", "arms"}
        missing = {"asks", "dataset", "seeds", "arms"} - set(question)
        if unknown or missing:
            raise ValueError(f"question {name} in {path}: {'unknown' if unknown else 'missing'} {sorted(unknown or missing)[0]!r}")
        if taken := {"dataset", "seed"} & set(question.get("settings", {})):
            raise ValueError(f"question {name} in {path}: its settings name {sorted(taken)[0]!r}, which is the question's own")
        if question["dataset"] not in grid["settings"]:
            raise ValueError(f"question {name} in {path}: no settings for data set {question['dataset']!r}")
    return grid


def combinations(arm):
    """`{a: [1, 2], b: 3}` as `{a: 1, b: 3}`, `{a: 2, b: 3}`."""
    lists = [value if isinstance(value, list) else [value] for value in arm.values()]
    return [dict(zip(arm, values, strict=True)) for values in itertools.product(*lists)]


def _same(first, second):
    return first == second and isinstance(first, bool) == isinstance(second, bool)


def defaults(root=ROOT):
    """`{option: default}` of notebooks/train.ipynb, from its cell of parameters."""
    notebook = json.loads((Path(root) / "notebooks" / "train.ipynb").read_text())
    [cell] = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    options = {}
    exec("".join(cell["source"]), {"__builtins__": {}}, options)  # plain assignments of constants
    return options


def read_tuned(path=TUNED):
    """`{choice: {"finals": [options], "chosen": options}}`, as far as the validation faces have chosen."""
    return (yaml.safe_load(Path(path).read_text()) or {}) if Path(path).exists() else {}


def _resolved(options, base):
    """Options in which `{times: 2}` stands for twice the base's value."""
    return {name: base[name] * value["times"] if isinstance(value, dict) else value for name, value in options.items()}


def _arms(grid, title, tuned):
    """Each arm of a question that can be trained by now, `(seed, names, options)`, lists expanded; seed by seed in a series.

    `names` are the arm's and that of the arm that it is compared with, either of them None where there is none.

    An arm that `use`s a choice is trained with what was chosen; the runs at full length of a choice follow its tries.
    """
    question = grid["questions"][title]
    arms = []
    for arm in question["arms"]:
        base = tuned.get(arm["use"], {}).get("chosen") if "use" in arm else {}
        if base is None:
            continue
        plain = {option: value for option, value in arm.items() if option not in ("name", "against", "use", "seeds")}
        full = {**grid.get("series", {}).get(question.get("series"), {}), **question.get("settings", {}), **base}
        for chosen in combinations(plain):
            names = [arm[key].format(**chosen) if key in arm else None for key in ("name", "against")]
            arms += [(seed, names, {**base, **_resolved(chosen, full)}) for seed in arm.get("seeds", question["seeds"])]
    for name, choice in grid.get("choices", {}).items():
        if choice["question"] == title:
            finals = tuned.get(name, {}).get("finals", [])
            arms += [(seed, (None, None), options) for seed in question["seeds"] for options in finals]
    return sorted(arms, key=lambda arm: question["seeds"].index(arm[0]) if question.get("series") else 0)


def cell_name(options, settings, series=None):
    """A name that tells a run from every other: data set, series, backbone, strategy, what differs from its settings, seed."""
    words = [options["dataset"], *([series] if series else []), options["backbone"], options["strategy"]]
    for option, value in sorted(options.items()):
        if option not in ("dataset", "backbone", "strategy", "seed", "robustness") and not _same(settings.get(option), value):
            words.append(f"{option}={value}")
    return "-".join([*words, f"seed={options['seed']}"]).replace("/", "_").replace(" ", "")


def expand(grid, known=None, tuned=None):
    """All cells of a grid, those of the first questions first, each once.

    :param grid: from `read_grid`.
    :param known: `{option: default}`; None for those of the notebook.
    :param tuned: from `read_tuned`; None for those of the study.
    :raises ValueError: for an option that the notebook lacks, or cells of one name that differ.
    """
    known = defaults() if known is None else known
    tuned = read_tuned() if tuned is None else tuned
    cells = {}
    for title, question in grid["questions"].items():
        series = question.get("series")
        plain = grid["series"][series] if series else {**grid["settings"][question["dataset"]], "dataset": question["dataset"]}
        settings, reference = {**plain, **question.get("settings", {})}, {**known, **plain}
        for seed, (arm, against), chosen in _arms(grid, title, tuned):
            options = {**settings, **chosen, "seed": seed}
            unknown = set(options) - set(known)
            if unknown:
                raise ValueError(f"question {title}: unknown option {sorted(unknown)[0]!r}; see notebooks/train.ipynb")
            if options.get("strategy") == "none":
                options = {name: value for name, value in options.items() if name not in OF_ATTRIBUTION}
            # What the arm repeats of the defaults says nothing: {attribution: grad_input} is the run without it.
            options = {
                name: value
                for name, value in options.items()
                if name in settings or name in ("strategy", "seed") or not _same(known[name], value)
            }
            name = cell_name(options, reference, series)
            cell = cells.setdefault(name, Cell(name, options, bool(question.get("gpu"))))
            if cell.options != options:
                # The same run with more test conditions is one run with them.
                merged = {**cell.options, **options}
                if merged != {**options, **cell.options} or (set(cell.options) ^ set(options)) - {"robustness"}:
                    raise ValueError(f"question {title}: cell {name} has other options than in {cell.questions[0]}")
                cell.options = merged
            if title not in cell.questions:
                cell.questions.append(title)
                cell.arms[title], cell.against[title] = arm, against
    return list(cells.values())


def selected(cells, questions=(), folders=(), grid=None):
    """The cells to run: those of the named questions, or of all that need no GPU; those whose data set has a folder.

    :param questions: names; empty for all without `gpu: true`.
    :param folders: data sets whose folder is known.
    :param grid: from `read_grid`; to check the names.
    :raises ValueError: for an unknown question, or a named one whose data set has no folder.
    """
    for name in questions:
        if grid and name not in grid["questions"]:
            raise ValueError(f"unknown question {name!r}: choose from {', '.join(grid['questions'])}")
    chosen = [cell for cell in cells if (set(questions) & set(cell.questions) if questions else not cell.gpu)]
    have = {"synthetic", *folders}
    lacking = sorted({cell.options["dataset"] for cell in chosen} - have)
    if lacking and questions:
        raise ValueError(f"no folder for data set {lacking[0]}: give it as --config {lacking[0]}=DIR")
    return [cell for cell in chosen if cell.options["dataset"] in have]


def parameters(cell, data_dir=None):
    """`{option: value}` that papermill is told."""
    places = {"out_dir": cell.folder} if data_dir is None else {"data_dir": str(data_dir), "out_dir": cell.folder}
    return {**cell.options, **places}


def command(cell, data_dir=None, python=None):
    """The words of the papermill line that runs a cell, to be called in the repository's root.

    :param data_dir: folder of the data set; None for synthetic faces.
    :param python: the interpreter of the study's environment; None for the plain `papermill` on the path.
    """
    start = ["papermill"] if python is None else [str(python), "-m", "papermill"]
    words = [*start, "notebooks/train.ipynb", f"{cell.folder}/log.ipynb"]
    for name, value in parameters(cell, data_dir).items():
        words += ["-p", name, str(value)]
    return words
