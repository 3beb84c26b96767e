"""The grid of runs, ``study/grid.yml``, as the result pages read it: which runs an arm of a question has."""

import functools

from palcore.runs.records import repository_root
from study.cells import combinations, defaults, expand, read_grid

SHORT = ", short"
"""Ends the name of an arm that trains for less than its question's settings say."""


def load(root):
    """``(grid, cells, defaults)`` of a copy of the study: the file's content, all cells, and the default of each option."""
    grid, known = read_grid(root / "study" / "grid.yml"), defaults(root)
    return grid, expand(grid, known), known


@functools.cache
def read():
    """``load`` of the study at hand, once."""
    return load(repository_root())


def question_cells(question):
    """The cells that the grid asks of a question; none where it has no such question."""
    return [cell for cell in read()[1] if question in cell.questions]


def arms_of(question):
    """``{arm: {seed: name of the run}}``, in the grid's order; without arms whose settings are still to be chosen."""
    named = [arm for arm in read()[0]["questions"].get(question, {}).get("arms", []) if "name" in arm]
    arms = {arm["name"].format(**options): {} for arm in named for options in combinations(arm)}
    for cell in question_cells(question):
        if name := cell.arms[question]:
            arms[name][cell.options["seed"]] = cell.name
    return {name: dict(sorted(runs.items())) for name, runs in arms.items() if runs}


def pairs_of(question):
    """``{arm: the arm that it is compared with}``, as far as the grid has both."""
    arms = arms_of(question)
    pairs = {cell.arms[question]: cell.against[question] for cell in question_cells(question)}
    return {name: pairs[name] for name in arms if pairs[name] in arms}


def share_words(share):
    """``30 % of the``, or ``all``."""
    return "all" if share == 1 else f"{100 * share:g} % of the"


def lengths_sentence(question):
    """How long a question's arms trained, where not all as their data set's settings say, and what else its settings change."""
    grid, _, known = read()
    own = grid["questions"].get(question, {}).get("settings", {})
    plain = {**known, **grid["settings"].get(grid["questions"].get(question, {}).get("dataset"), {}), **own}
    lengths = {"Short": {}, "Length": {}}
    for cell in question_cells(question):
        options = known | cell.options
        words = f"{options['epochs']} epochs on {share_words(options['train_share'])} faces in batches of {options['batch_size']}"
        lengths["Short" if (cell.arms[question] or "").endswith(SHORT) else "Length"][words] = options["epochs"] != plain["epochs"]
    parts = [f"{head}: {'; '.join(found)}." for head, found in lengths.items() if any(found.values())]
    if settings := ", ".join(f"`{option}` {value}" for option, value in own.items()):
        but = ", the short ones but for their length" if lengths["Short"] else ""
        parts.append(f"All runs here have settings of their own{but}: {settings}.")
    return " ".join(parts)


def settings_sentence(dataset):
    """What all runs of a data set share unless a table says otherwise, in words, from ``study/grid.yml`` and the defaults."""
    grid, _, known = read()
    settings = known | grid["settings"][dataset]
    # None stands for a half of compact's channels (palcore.runs.options); other backbones have all.
    width = settings["width_multiplier"] or (0.5 if settings["backbone"] == "compact" else 1)
    parts = [
        f"the backbone {settings['backbone']}" + ("" if width == 1 else f" with {100 * width:g} % of its channels"),
        f"{settings['image_size']} pixels",
        f"{settings['epochs']} epochs in batches of {settings['batch_size']}",
        f"Adam at a learning rate of {settings['learning_rate']:g}",
        f"a dropout of {settings['dropout']:g}",
        f"{share_words(settings['train_share'])} training faces",
    ]
    shared = f"Unless a table says otherwise, every run has {', '.join(parts[:-1])}, and {parts[-1]}: the same for all its arms."
    return f"{shared} PAL, where it is added, has a weight of {settings['pal_weight']:g}."
