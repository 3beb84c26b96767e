"""What the result pages share: tables of arms and their comparisons, made from run records when the book is built.

An arm is a set of options, ``{"strategy": "mean", "loss": "energy"}``; its runs are those records that have them, one a seed.
"""

import csv
import shlex
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from palcore.book.grid import grid_module
from palcore.book.statistics import bootstrap_within_seeds, holm, mcnemar, mean_interval, paired_by_seed
from palcore.runs.options import Options
from palcore.runs.records import read_predictions, read_record, read_results, repository_root

ALWAYS = ("image_size", "epochs", "learning_rate")
"""Options that a command states even where they are the defaults: the notebook's own differ."""

LEVEL = 0.05
"""Below this a corrected p value counts as an effect."""


def runs_folder(results=None):
    """Where the committed records and predictions lie, a pair of files a run: ``runs`` in ``results``; None: the study's own."""
    return (repository_root() / "results" if results is None else Path(results)) / "runs"


def read_question(question, results=None):
    """The records of a question's runs as a table, see ``palcore.runs.records.read_results``; empty where there is none yet.

    A run may answer several questions; ``workflow/grid.yml`` says which. Options that are newer than a record have their
    defaults.

    :param question: a question of ``workflow/grid.yml``.
    :param results: folder that holds ``runs/``; None for the study's own.
    """
    folder, wanted = runs_folder(results), set(grid_cells(question))
    paths = [path for path in sorted(folder.glob("*.json")) if path.stem in wanted]
    if not paths:
        return pd.DataFrame(columns=["name", *asdict(Options())])
    table = read_results(folder, paths)
    configs = [read_record(path)["config"] for path in paths]
    for option, default in asdict(Options()).items():
        table[option] = [config.get(option, default) for config in configs]
    return table


def arm_rows(table, arm):
    """The runs of an arm, by seed.

    :param table: from ``read_question``.
    :param arm: ``{option: value}``; None stands for an option that is not set.
    :raises ValueError: for an option that no record has, or two runs of one seed.
    """
    chosen = np.ones(len(table), bool)
    for option, value in arm.items():
        if option not in table:
            raise ValueError(f"arm {arm}: no option {option!r} in the records")
        same = table[option].isna() if value is None else table[option] == value
        chosen &= same.to_numpy(bool)
    rows = table[chosen]
    if rows["seed"].duplicated().any():
        seed = rows.loc[rows["seed"].duplicated(), "seed"].iloc[0]
        twice = sorted(rows.loc[rows["seed"] == seed, "name"])
        raise ValueError(f"arm {arm} has two runs of one seed, {twice[0]} and {twice[1]}: name the option that tells them apart")
    return rows.sort_values("seed")


def label_arms(table, arms):
    """The runs of some arms, with a column ``arm``; arms without a run are left out.

    :param arms: ``{label: {option: value}}``, in the order of the table to be.
    """
    return pd.concat([arm_rows(table, arm).assign(arm=label) for label, arm in arms.items()], ignore_index=True)


def summary(table, arms, scores):
    """Mean and 95 % interval over seeds of each arm, as numbers.

    :param table: from ``read_question``.
    :param arms: ``{label: {option: value}}``.
    :param scores: ``{column: heading}``, such as ``{"test_accuracy": "accuracy"}``.
    :return: table by arm with ``seeds`` and, for each heading, ``(heading, "mean")``, ``"low"`` and ``"high"``; NaN where there is
        no run, or a single one to make an interval of.
    """
    rows = {}
    for label, arm in arms.items():
        runs = arm_rows(table, arm)
        row = {("seeds", ""): len(runs)}
        for column, heading in scores.items():
            values = runs[column].dropna() if column in runs else []
            found = mean_interval(values) if len(values) else (np.nan,) * 3
            row |= {(heading, part): value for part, value in zip(("mean", "low", "high"), found, strict=True)}
        rows[label] = row
    shown = pd.DataFrame(rows).T
    shown.columns = pd.MultiIndex.from_tuples(shown.columns)
    shown.index.name = "arm"
    return shown.astype({("seeds", ""): int})


def with_intervals(numbers, percent=True, digits=None):
    """A ``summary`` for the page: ``71.3 [70.1, 72.5]``.

    :param percent: show shares in per cent.
    :param digits: after the point; None for 1 in per cent and 2 otherwise.
    """
    factor, digits = (100, 1 if digits is None else digits) if percent else (1, 2 if digits is None else digits)
    shown = pd.DataFrame({"seeds": numbers[("seeds", "")]})
    for heading in dict.fromkeys(numbers.columns.get_level_values(0)):
        if heading != "seeds":
            texts = []
            for mean, low, high in numbers[heading][["mean", "low", "high"]].to_numpy(float) * factor:
                interval = "" if np.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
                texts.append("-" if np.isnan(mean) else f"{mean:.{digits}f}{interval}")
            shown[heading] = texts
    return shown


def best_on_validation(table, arms):
    """The label of the arm with the highest mean accuracy on the validation faces: how a weight is chosen, the test unseen.

    Only seeds that all arms share are compared: those that the chosen arm got afterwards say nothing about the others.

    :param arms: ``{label: {option: value}}``; those without a run are left out.
    :raises ValueError: where no arm has a run, or no seed is shared.
    """
    runs = {label: rows for label, arm in arms.items() if len(rows := arm_rows(table, arm))}
    if not runs:
        raise ValueError(f"no runs to choose from among {', '.join(arms)}")
    shared = set.intersection(*(set(rows["seed"]) for rows in runs.values()))
    if not shared:
        raise ValueError(f"no seed that {', '.join(runs)} share, to choose by")
    means = {label: rows[rows["seed"].isin(shared)]["validation_accuracy"].mean() for label, rows in runs.items()}
    return max(means, key=means.get)


def comparisons(table, arms, score="test_accuracy", baseline="none"):
    """Every arm against its baseline, paired by seed, with Holm's correction over the whole table.

    :param table: from ``read_question``.
    :param arms: ``{label: {option: value}}``, the baselines among them.
    :param score: a column of the table.
    :param baseline: a label; or ``{label of an arm: label of its baseline}``, where baselines differ.
    :return: table by arm with ``seeds``, ``difference``, ``low``, ``high``, ``p``, ``p_holm`` and ``cohens_d``. An arm that shares
        no seed with its baseline is left out.
    :raises ValueError: where a baseline is no label of ``arms``.
    """
    pairs = baseline if isinstance(baseline, dict) else {label: baseline for label in arms if label != baseline}
    for label in {*pairs, *pairs.values()} if isinstance(baseline, dict) else {baseline}:
        if label not in arms:
            raise ValueError(f"no baseline {label!r} among the arms: choose from {', '.join(arms)}")
    runs = label_arms(table, arms)
    seeds = {label: set(runs.loc[runs["arm"] == label, "seed"]) for label in arms}
    pairs = {label: base for label, base in pairs.items() if seeds[label] & seeds[base]}
    rows = [paired_by_seed(runs, score, label, base, by="arm") for label, base in pairs.items()]
    columns = ["seeds", "difference", "low", "high", "p", "cohens_d"]
    found = pd.DataFrame(rows, index=pd.Index(list(pairs), name="arm"), columns=columns)
    found.insert(5, "p_holm", holm(found["p"].to_numpy(float)))
    return found


def face_tests(table, arm, baseline, folder, condition="test"):
    """Two arms on the same test faces, seed by seed, and the bootstrap over faces within all seeds.

    :param table: from ``read_question``.
    :param arm: ``{option: value}``.
    :param baseline: likewise.
    :param folder: where the predictions lie, see ``runs_folder``.
    :param condition: test condition.
    :return: ``(table by seed, (difference, low, high))``: the table has the faces that only one of the two names rightly and
        McNemar's p, corrected after Holm over the seeds in ``p_holm``.
    :raises ValueError: where the arms share no seed, or were tested on other faces.
    """
    names = [arm_rows(table, options).set_index("seed")["name"] for options in (baseline, arm)]
    seeds = sorted(set(names[0].index) & set(names[1].index))
    if not seeds:
        raise ValueError(f"arms {arm} and {baseline} have no seed in common: run both on the same seeds")
    pairs, rows = [], []
    for seed in seeds:
        found = [read_predictions(folder, name[seed], condition) for name in names]
        # Of disturbed faces only the expression called is kept; their labels are those of the run's own test.
        labels = [read_predictions(folder, name[seed]).get("labels") for name in names]
        if not np.array_equal(*labels):
            raise ValueError(f"{names[0][seed]} and {names[1][seed]} were tested on other faces: compare runs on the same data")
        answers = [arrays["called"] if "called" in arrays else arrays["probabilities"] for arrays in found]
        pairs.append((labels[0], *answers))
        test = mcnemar(labels[0], *answers)
        rows.append({"only_baseline": test["only_first"], "only_arm": test["only_second"], "p": test["p"]})
    shown = pd.DataFrame(rows, index=pd.Index(seeds, name="seed"))
    shown["p_holm"] = holm(shown["p"].to_numpy(float))
    return shown, bootstrap_within_seeds(pairs)


def verdict(row, what="accuracy", cause="PAL", unit="points", factor=100):
    """One sentence on a row of ``comparisons``. An effect has a corrected p below ``LEVEL``; where the correction is what takes it
    away, the sentence says so; else no effect is shown.

    :param row: with ``seeds``, ``difference``, ``low``, ``high``, ``p_holm`` and ``cohens_d``.
    :param what: the score, as the sentence names it.
    :param cause: the arm.
    :param unit: of the difference times ``factor``.
    """
    seeds, begun = int(row["seeds"]), cause[:1].upper() + cause[1:]
    change = f"{factor * row['difference']:+.1f} {unit}"
    if seeds < 2 or np.isnan(row["low"]):
        return f"{begun} changed the {what} by {change} in one seed, which cannot tell an effect from chance."
    interval = f"95 % interval {factor * row['low']:+.1f} to {factor * row['high']:+.1f}"
    p = row["p_holm"]
    test = "no test possible, all differences are equal" if np.isnan(p) else f"corrected p = {p:.2g}"
    facts = f"{change} over {seeds} seeds, {interval}, {test}"
    if np.isnan(p) or (p >= LEVEL and row["low"] <= 0 <= row["high"]):
        return f"No effect of {cause} on the {what} is shown ({facts})."
    facts += f", Cohen's d {row['cohens_d']:.1f}"
    if p >= LEVEL:
        effect = "raise" if row["difference"] > 0 else "lower"
        return f"{begun} may {effect} the {what}, but not beyond doubt once p is corrected ({facts})."
    effect = "raised" if row["difference"] > 0 else "lowered"
    return f"{begun} {effect} the {what} ({facts})."


def command(config):
    """The papermill line that repeats a run.

    :param config: a record's ``config``, or a row of ``read_question``.
    """
    words = ["papermill", "notebooks/train.ipynb", "OUT.ipynb"]
    for option, default in asdict(Options()).items():
        value = config.get(option, default)
        value = None if isinstance(value, float) and np.isnan(value) else value
        if option in ("data_dir", "out_dir", "landmarks"):
            if option == "data_dir" and config["dataset"] != "synthetic":
                words += ["-p", "data_dir", "DIR"]
        elif option in ALWAYS or value != default:
            words += ["-p", option, str(value.item() if isinstance(value, np.generic) else value)]
    return shlex.join(words)


def listing(table, scores):
    """Every run, one a row: its scores, device and commit, a link to its record and the command that made it.

    :param table: from ``read_question``.
    :param scores: ``{column: heading}``.
    :return: a table whose column ``record`` is Markdown.
    """
    shown = pd.DataFrame({"record": [f"[{name}](../results/runs/{name}.json)" for name in table["name"]]})
    shown["seed"] = table["seed"].to_numpy()
    for column, heading in scores.items():
        shown[heading] = table[column].to_numpy() if column in table else np.nan
    for column in ("minutes", "device", "commit"):
        shown[column] = table[column].to_numpy() if column in table else None
    shown["command"] = [command(row) for row in table.to_dict("records")]
    return shown


def grid_cells(question, root=None):
    """Names of the runs that the grid asks of a question."""
    return [cell.name for cell in grid_module(root)[1] if question in cell.questions]


def progress(question, results=None):
    """How far a question is: ``{"runs": of the grid, "in": with a record, "attempts": ..., "failed": ...}``.

    Failed attempts count too, those included that were repeated and went well then; None where no attempt was noted.
    """
    folder, wanted = runs_folder(results), grid_cells(question)
    found = {"runs": len(wanted), "in": sum((folder / f"{name}.json").exists() for name in wanted)}
    try:
        with (folder / "attempts.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["cell"] in wanted]
    except FileNotFoundError:
        rows = []
    return found | {column: sum(int(row[column]) for row in rows) if rows else None for column in ("attempts", "failed")}


def progress_sentence(question, results=None):
    """``progress`` in words, for the page."""
    done = progress(question, results)
    tried = "" if done["attempts"] is None else f" Training was started {done['attempts']} times and failed {done['failed']} times."
    return f"{done['in']} of {done['runs']} runs are in.{tried}"
