"""The grid of runs, ``study/grid.yml``, as the result pages read it: which runs an arm of a question has."""

import functools

from palcore.runs.records import repository_root
from study.cells import defaults, expand, read_grid

LENGTH = ("epochs", "train_share", "width_multiplier", "batch_size")
"""Options that say how long a run trains, on how much, how large it is, and in how many steps."""


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


def own_settings(question):
    """``{option: value}`` that a question has in place of its data set's settings; empty where the grid has no such question."""
    return read()[0]["questions"].get(question, {}).get("settings", {})


def plain_options(question):
    """``{option: value}`` of a question, before an arm says otherwise."""
    grid, _, known = read()
    dataset = grid["questions"][question]["dataset"]
    return {**known, **grid["settings"][dataset], "dataset": dataset, **own_settings(question)}


def arm_lengths(question, arm):
    """The runs of an arm, apart for each length of training that the question has of it.

    An option that the arm does not name is that of the settings, where the runs of the question that fit the arm differ in it.

    :param question: of ``study/grid.yml``.
    :param arm: ``{option: value}``, as in the grid but without lists.
    :return: ``{(value of each option in LENGTH): {seed: name of the run}}``; empty where the grid has no such run.
    :raises ValueError: for an unknown option, or one that the arm should name.
    """
    cells = question_cells(question)
    if not cells:
        return {}
    plain, known = plain_options(question), read()[2]
    unknown = sorted(set(arm) - set(known))
    if unknown:
        raise ValueError(f"arm {arm} of question {question}: unknown option {unknown[0]!r}; see notebooks/train.ipynb")
    values = {cell.name: known | cell.options for cell in cells}
    fit = {name: options for name, options in values.items() if all(options[option] == value for option, value in arm.items())}
    free = [option for option in known if option not in (*arm, *LENGTH, "seed", "robustness")]
    differ = [option for option in free if len({options[option] for options in fit.values()}) > 1]
    found = {}
    for name, options in fit.items():
        if all(options[option] == plain[option] for option in differ):
            seeds = found.setdefault(tuple(options[option] for option in LENGTH), {})
            if options["seed"] in seeds:
                twice = f"{seeds[options['seed']]} and {name}"
                raise ValueError(f"arm {arm} of question {question} has two runs of one seed: {twice}")
            seeds[options["seed"]] = name
    if fit and not found:
        raise ValueError(f"arm {arm} of question {question} is not clear: name {', '.join(differ)} in it")
    return found


def arm_cells(question, arm):
    """``{seed: name of the run}`` of an arm, at the length of the settings where the question has it at several.

    :raises ValueError: see ``arm_lengths``; also where none of several lengths is that of the settings.
    """
    lengths = arm_lengths(question, arm)
    if len(lengths) < 2:
        return next(iter(lengths.values()), {})
    plain = tuple(plain_options(question)[option] for option in LENGTH)
    if plain not in lengths:
        raise ValueError(f"arm {arm} of question {question} was trained at {len(lengths)} lengths: name {', '.join(LENGTH)} in it")
    return lengths[plain]


def arms_as_long(question, names):
    """All arms of a question that were trained for as long as some runs, a list of names of runs each, one a seed."""
    known, arms = read()[2], {}
    wanted = set(names)
    values = {cell.name: known | cell.options for cell in question_cells(question)}
    lengths = {tuple(options[option] for option in LENGTH) for name, options in values.items() if name in wanted}
    for name, options in values.items():
        if tuple(options[option] for option in LENGTH) in lengths:
            key = tuple((option, str(value)) for option, value in options.items() if option not in ("seed", "robustness"))
            arms.setdefault(key, []).append(name)
    return list(arms.values())


def is_short(question, length):
    """Whether a network sees fewer faces in so long a training than the settings give it."""
    plain = plain_options(question)
    return length[0] * length[1] < plain["epochs"] * plain["train_share"]


def length_words(question, length):
    """How a length of training differs from that of the settings, in words, ``4 epochs, 30 % of the faces``; empty where not."""
    plain = plain_options(question)
    (epochs, share, width, batch), (own_epochs, own_share, own_width, own_batch) = length, [plain[option] for option in LENGTH]
    words = [f"{epochs} epochs" if epochs > 1 else "1 epoch"] if epochs != own_epochs else []
    words += [f"{share_words(share)} faces"] if share != own_share else []
    words += [f"{share_words(width)} channels"] if width != own_width else []
    words += [f"batches of {batch}"] if batch != own_batch else []
    return ", ".join(words)


def share_words(share):
    """``30 % of the``, or ``all``."""
    return "all" if share == 1 else f"{100 * share:g} % of the"


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
