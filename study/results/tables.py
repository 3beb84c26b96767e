"""Tables of arms and their differences, made from run records when the book is built.

``runs`` are always such a table as ``by_arm`` returns: a run a row, with the arm of ``study/grid.yml`` that it belongs to.
"""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from palcore.runs.records import read_record, repository_root
from study.results.arms import SHORT, arms_of, read
from study.results.committed import read_results
from study.results.scores import fair_scores, read_facts
from study.results.statistics import contrast, pooled


def results_folder(results=None):
    """Where records lie, in ``runs``, and what else was committed; None: the study's own ``results``."""
    return repository_root() / "results" if results is None else Path(results)


def read_runs(names, results=None):
    """The records of some runs as a table by name, see ``study.results.committed.read_results``; those not there yet are left out.

    Options that are newer than a record have their defaults. FER2013's runs are scored as ``study.results.scores`` says.

    :param results: folder that holds ``runs/``; None for the study's own.
    """
    folder, known = results_folder(results) / "runs", read()[2]
    paths = [path for name in sorted(set(names)) if (path := folder / f"{name}.json").is_file()]
    if not paths:
        return pd.DataFrame(columns=[*known, "validation_accuracy", "minutes", "device", "commit"], index=pd.Index([], name="name"))
    table, facts = read_results(folder, paths, known).set_index("name"), read_facts(results_folder(results))
    for name, config in table[table["dataset"] == "fer2013"].iterrows():
        for column, value in fair_scores(folder, name, config, facts).items():
            table.loc[name, column] = value
    unknown = [column for column in table if str(column).endswith("_accuracy") and table[column].isna().all()]
    return table.drop(columns=unknown)


def curve_of(name, results=None):
    """A run's accuracy on validation faces after each epoch; empty where its record is not there yet."""
    path = results_folder(results) / "runs" / f"{name}.json"
    return read_record(path)["history"]["val_expression_accuracy"] if path.is_file() else []


def read_question(question, results=None):
    """The runs of a question by arm, see ``by_arm``."""
    return by_arm(arms_of(question), results)


def by_arm(arms, results=None):
    """``read_runs`` of some arms, with a column ``arm``, in the arms' order.

    :param arms: ``{label: {seed: name of the run}}``.
    """
    table = read_runs([name for names in arms.values() for name in names.values()], results)
    parts = [table.loc[[name for name in names.values() if name in table.index]].assign(arm=label) for label, names in arms.items()]
    return pd.concat(parts) if parts else table.iloc[:0].assign(arm=[])


def spreads(runs, score):
    """``{True: Spread of the arms that were trained short, False: of the others}``: see ``study.results.statistics.pooled``."""
    groups = {True: [], False: []}
    for label, arm in runs.groupby("arm") if score in runs else ():
        groups[label.endswith(SHORT)].append(arm[score].dropna())
    return {short: pooled(arms) for short, arms in groups.items()}


def summary(runs, labels, score):
    """``mean``, ``low`` and ``high``, a 95 % interval over seeds, of a score of each arm, a table by arm.

    NaN where there is no run, or a single one to make an interval of.
    """
    spread, rows = spreads(runs, score), {}
    for label in labels:
        values = runs.loc[runs["arm"] == label, score].dropna() if score in runs else []
        rows[label] = contrast([values], spread[label.endswith(SHORT)]) if len(values) else {}
    return pd.DataFrame(rows, index=["difference", "low", "high"]).T.rename(columns={"difference": "mean"}).astype(float)


def by_seed(runs, score, *labels):
    """The scores of some arms, a column each, for the seeds that all of them have, in their order."""
    known = score in runs and set(labels) <= set(runs["arm"])
    columns = [runs[runs["arm"] == label].set_index("seed")[score].astype(float) for label in labels] if known else []
    scores = pd.concat(columns, axis=1, keys=labels, join="inner") if columns else pd.DataFrame(columns=labels, dtype=float)
    return scores.dropna().sort_index()


def seed_differences(runs, score, arm, baseline):
    """The score of one arm minus that of another, by seed, for the seeds that both have; empty where none is shared."""
    scores = by_seed(runs, score, arm, baseline)
    return scores[arm] - scores[baseline] if len(scores) else pd.Series(dtype=float)


def comparisons(runs, pairs, score, margin=None):
    """Arms against their baselines, over the seeds that both have: see ``study.results.statistics.contrast`` for the columns.

    :param pairs: ``{label: label of its baseline}``; those that share no seed are left out.
    """
    spread, rows = spreads(runs, score), {}
    for label, base in pairs.items():
        scores = by_seed(runs, score, label, base)
        if len(scores):
            rows[label] = contrast([scores[label], scores[base]], spread[label.endswith(SHORT)], margin)
    return pd.DataFrame(rows).T


def number(value, digits=1, sign=False):
    """A number as text: a dash for none, and no minus before a zero."""
    if value is None or not np.isfinite(value):
        return "-"
    value = round(float(value), digits) + 0.0
    return f"{value:{'+' if sign and value else ''}.{digits}f}"


def interval(mean, low, high):
    """``71.3 [70.1, 72.5]``: the mean of a share and its interval in per cent, which ends where the score does."""
    mean, low, high = (number(100 * value) for value in (mean, *np.clip([low, high], 0, 1)))
    return mean if low == "-" else f"{mean} [{low}, {high}]"


def between(row, words="between {} and {}"):
    """``between -0.7 and +4.6``: the interval of a row of ``comparisons`` in points; a dash for a single seed."""
    return words.format(*(number(100 * row[part], 1, True) for part in ("low", "high"))) if np.isfinite(row["low"]) else "-"


def with_intervals(differences):
    """``+2.1 (-0.7 to +4.6)`` for each row of ``comparisons`` that has an interval, in points: a Series by label."""
    rows = {label: row for label, row in differences.iterrows() if np.isfinite(row["low"])}
    texts = {label: f"{number(100 * row['difference'], 1, True)} ({between(row, '{} to {}')})" for label, row in rows.items()}
    return pd.Series(texts, dtype=object)


def to_markdown(frame, first=""):
    """A table in Markdown: texts and numbers, its index the first column with the heading ``first``, the others to the right."""
    shown = frame.map(lambda cell: number(cell, 0 if cell == int(cell) else 3) if isinstance(cell, int | float) else str(cell))
    sides = ["left"] + ["left" if shown[column].str.len().max() > LONG else "right" for column in shown]
    return shown.rename_axis(first).to_markdown(colalign=sides, disable_numparse=True)


LONG = 32
"""A column with a text of more characters than this stands to the left."""


def command(config):
    """The papermill line that repeats a run: the options that differ from the notebook's own.

    :param config: of a record, or a row of ``read_runs``.
    """
    words = ["papermill", "notebooks/train.ipynb", "OUT.ipynb"]
    words += ["-p", "data_dir", "DIR"] if config["dataset"] != "synthetic" else []
    for option, default in read()[2].items():
        value = config.get(option, default)
        value = None if isinstance(value, float) and np.isnan(value) else value
        if option not in ("data_dir", "out_dir", "landmarks") and value != default:
            words += ["-p", option, str(value.item() if isinstance(value, np.generic) else value)]
    return shlex.join(words)


COMMAND = "command, or where it differs from the row above"


def listing(runs, scores):
    """Every run, one a row: its record, seed, scores in per cent, minutes, commit, and the command that made it; where that differs
    from the row before in its seed alone, only this.

    :param scores: ``{column: heading}``.
    """
    shown = pd.DataFrame(index=[f"[{name}](../results/runs/{name}.json)" for name in runs.index])
    shown["seed"] = runs["seed"].to_numpy()
    for column, heading in scores.items():
        shown[heading] = [number(100 * value) for value in runs[column]] if column in runs else "-"
    shown["minutes"] = [number(value) for value in runs["minutes"]]
    shown["commit"] = runs["commit"].to_numpy()
    shown[COMMAND], before = "", None
    for name, row in zip(shown.index, runs.to_dict("records"), strict=True):
        rest = command({**row, "seed": 0})
        shown.loc[name, COMMAND] = f"`-p seed {row['seed']}`" if rest == before else f"`{command(row)}`"
        before = rest
    return shown


def progress(names, results=None):
    """How far some runs are, in words: how many have a record."""
    done = sum((results_folder(results) / "runs" / f"{name}.json").is_file() for name in names)
    return f"{done} of {len(names)} runs {'is' if len(names) == 1 else 'are'} in."
