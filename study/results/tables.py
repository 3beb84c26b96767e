"""Tables of arms and their differences, made from run records when the book is built.

``runs`` are always such a table as ``by_arm`` returns: a run a row, with the arm of ``study/grid.yml`` that it belongs to.
"""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from palcore.runs.records import read_record, repository_root
from study.results.arms import SHORT, arms_of, read
from study.results.scores import fair_scores, read_facts
from study.results.statistics import LEVEL, SIGNS, contrast, pooled, two_way


def results_folder(results=None):
    """Where records lie, in ``runs``, and what else was committed; None: the study's own ``results``."""
    return repository_root() / "results" if results is None else Path(results)


def read_runs(names, results=None):
    """The records of some runs as a table, one a row, by name; those not there yet are left out.

    Columns: each option, by its default where that is newer than the record; ``<test>_<score>`` for each test condition (``test``,
    ``shortcut_free``) and score (``accuracy``, ``mean_class_accuracy``, ``macro_f1``, ``correlation``, ``pointing``, ``energy`` and
    so on; scores in groups are named ``<test>_<group>_<score>``, such as ``test_reliance_patch_accuracy``), those of FER2013's runs
    as ``study.results.scores`` says; ``curve``, the accuracy on validation faces after each epoch; ``validation_accuracy``, its
    last value, and ``training_accuracy`` in the last epoch, while weights still change, dropout is on and faces are augmented;
    ``minutes``, ``device``, ``commit``.

    :param results: folder that holds ``runs/``; None for the study's own.
    """
    folder, known, rows = results_folder(results) / "runs", read()[2], {}
    facts = read_facts(results_folder(results))
    for name in sorted(set(names)):
        if not (folder / f"{name}.json").is_file():
            continue
        record = read_record(folder / f"{name}.json")
        scores = pd.json_normalize(record["metrics"], sep="_").select_dtypes("number").iloc[0]
        row = {**known, **record["config"], **{score.replace("_attribution_", "_"): value for score, value in scores.items()}}
        row["curve"] = record["history"].get("val_expression_accuracy", [])
        for column, kept in (("validation_accuracy", "val_expression_accuracy"), ("training_accuracy", "expression_accuracy")):
            row |= {column: record["history"][kept][-1]} if kept in record["history"] else {}
        row |= {"minutes": record["seconds"] / 60, "device": record["device"], "commit": record["commit"]}
        rows[name] = row | (fair_scores(folder, name, row, facts) if row["dataset"] == "fer2013" else {})
    if not rows:
        return pd.DataFrame(columns=[*known, "curve", "validation_accuracy", "minutes", "device", "commit"])
    table = pd.DataFrame(list(rows.values()), index=list(rows))
    return table.drop(columns=[column for column in table if column.endswith("_accuracy") and table[column].isna().all()])


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


def spread_like(runs, score, arm):
    """One ``Spread`` of all arms that were trained short, or of all others, as ``arm`` was: ``study.results.statistics.pooled``."""
    groups = runs.groupby("arm") if score in runs else ()
    return pooled([group[score].dropna() for label, group in groups if label.endswith(SHORT) == arm.endswith(SHORT)])


def summary(runs, labels, score):
    """``mean``, ``low`` and ``high``, a 95 % interval over seeds, of a score of each arm, a table by arm.

    NaN where there is no run, or a single one to make an interval of.
    """
    rows = {}
    for label in labels:
        values = runs.loc[runs["arm"] == label, score].dropna() if score in runs else []
        rows[label] = contrast([values], spread_like(runs, score, label)) if len(values) else {}
    return pd.DataFrame(rows, index=["difference", "low", "high"]).T.rename(columns={"difference": "mean"}).astype(float)


def compared(runs, score, arms, margin=None, level=LEVEL):
    """``study.results.statistics.contrast`` of two arms, or four, over the seeds that all of them have; {} where they share none.

    :return: with ``values``, the difference of each seed, and ``levels``, the mean of each arm.
    """
    known = score in runs and set(arms) <= set(runs["arm"])
    columns = [runs[runs["arm"] == label].set_index("seed")[score].astype(float) for label in arms] if known else []
    scores = pd.concat(columns, axis=1, keys=arms, join="inner").dropna().sort_index() if columns else ()
    if not len(scores):
        return {}
    found = contrast([scores[arm] for arm in arms], spread_like(runs, score, arms[0]), margin, level)
    return found | {"values": (scores * list(SIGNS[: len(arms)])).sum(axis=1).to_dict(), "levels": scores.mean().tolist()}


def comparisons(runs, pairs, score):
    """Arms against their baselines, a table by arm: see ``compared`` for the columns.

    :param pairs: ``{label: label of its baseline}``; those that share no seed are left out.
    """
    rows = {label: row for label, base in pairs.items() if (row := compared(runs, score, (label, base)))}
    return pd.DataFrame(rows).T


def over_faces(runs, arms, seeds, read):
    """The interval of a difference with seeds and test faces at random: ``study.results.statistics.two_way``.

    :param read: function of a run's name and options that returns a number for each test face, or None where it can't be said:
        then, and where there are no two seeds, the interval is NaN.
    """
    chosen = [runs[(runs["arm"] == arm) & runs["seed"].isin(list(seeds))].sort_values("seed").iterrows() for arm in arms]
    found = [[read(name, config) for name, config in arm] for arm in chosen]
    if len(seeds) < 2 or any(values is None for arm in found for values in arm):
        return np.nan, np.nan
    return two_way([np.array(arm) for arm in found])


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


def span(low, high, words="{} to {}", scale=100, digits=1):
    """``-0.7 to +4.6``: an interval, of shares in points unless another scale is given; a dash for that of a single seed."""
    return words.format(*(number(scale * value, digits, True) for value in (low, high))) if np.isfinite(low) else "-"


def with_intervals(differences, scale=100, digits=1):
    """``+2.1 (-0.7 to +4.6)`` for each row of ``comparisons`` that has an interval, a Series by label; see ``span``."""
    texts = {
        label: f"{number(scale * row['difference'], digits, True)} ({span(row['low'], row['high'], scale=scale, digits=digits)})"
        for label, row in differences.iterrows()
        if np.isfinite(row["low"])
    }
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
