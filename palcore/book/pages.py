"""What the result pages show of a question, as far as its runs are in: table, comparisons, verdicts, figure, list of runs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from palcore import EMOTIONS
from palcore.book import figures as plots
from palcore.book.tables import (
    arm_rows,
    comparisons,
    face_tests,
    listing,
    progress_sentence,
    read_question,
    runs_folder,
    summary,
    verdict,
    with_intervals,
)
from palcore.runs.records import read_record


def in_points(found):
    """``comparisons`` for the page: differences in percentage points, with interval, p values and effect size."""
    interval = [
        f"{100 * low:+.1f} to {100 * high:+.1f}" if np.isfinite(low) else "-" for low, high in found[["low", "high"]].values
    ]
    return pd.DataFrame(
        {
            "seeds": found["seeds"].astype(int),
            "difference (points)": [f"{100 * value:+.1f}" for value in found["difference"]],
            "95 % interval": interval,
            "p": [f"{value:.2g}" if np.isfinite(value) else "-" for value in found["p"].astype(float)],
            "p (Holm)": [f"{value:.2g}" if np.isfinite(value) else "-" for value in found["p_holm"].astype(float)],
            "Cohen's d": [f"{value:.1f}" if np.isfinite(value) else "-" for value in found["cohens_d"].astype(float)],
        },
        index=found.index,
    )


def show_question(question, arms, scores, compare="test_accuracy", baseline="none", what="accuracy", results=None):
    """Show how far a question is, its table, the comparisons with the baseline, and a verdict for each arm.

    :param question: a question of ``workflow/grid.yml``.
    :param arms: ``{label: {option: value}}``.
    :param scores: ``{column: heading}``; shares, shown in per cent.
    :param compare: the column whose differences are tested.
    :param baseline: label of the arm that the others are compared with, or ``{label: label of its baseline}``.
    :param what: ``compare`` in the words of a sentence.
    :param results: folder that holds ``runs/``; None for the study's own.
    :return: the table of runs, see ``palcore.book.tables.read_question``.
    """
    table = read_question(question, results)
    display(Markdown(progress_sentence(question, results)))
    if table.empty:
        return table
    display(with_intervals(summary(table, arms, scores)))
    found = comparisons(table, arms, compare, baseline)
    if found.empty:
        display(Markdown("**Verdict.** None yet: no arm has a seed in common with its baseline."))
        return table
    display(Markdown("Differences from the baseline, paired by seed:"))
    display(in_points(found))
    sentences = [f"- {verdict(row, what, label)}" for label, row in found.iterrows()]
    lead = f"**Verdict.** {len(found)} comparison{'s' if len(found) > 1 else ''}, corrected together:"
    display(Markdown("\n".join([lead, "", *sentences])))
    return table


def show_face_tests(table, arms, results=None, baseline="none"):
    """Show, for each arm, the faces that only it or only the baseline names rightly, seed by seed, and the bootstrap over faces.

    :param table: from ``palcore.book.tables.read_question``; where it is empty nothing is shown.
    :param arms: ``{label: {option: value}}``, the baseline among them.
    :param results: folder that holds ``runs/``; None for the study's own.
    """
    for label, arm in arms.items():
        seeds = [set(arm_rows(table, options)["seed"]) for options in (arms[baseline], arm)]
        if label == baseline or not set.intersection(*seeds):
            continue
        rows, (difference, low, high) = face_tests(table, arm, arms[baseline], runs_folder(results))
        headings = {
            "only_baseline": f"only {baseline} right",
            "only_arm": f"only {label} right",
            "p": "McNemar p",
            "p_holm": "p (Holm)",
        }
        shown = rows.rename(columns=headings)
        for heading in ("McNemar p", "p (Holm)"):
            shown[heading] = [f"{value:.2g}" for value in shown[heading]]
        display(shown)
        interval = f"95 % bootstrap interval over faces within the seeds {100 * low:+.1f} to {100 * high:+.1f}"
        display(Markdown(f"`{label}` against `{baseline}`: {100 * difference:+.1f} points, {interval}."))


def draw_recalls(table, arms, results=None):
    """Recall of each expression on the test faces, mean over the seeds of each arm, as bars side by side. Returns the figure.

    Parameters as for ``show_face_tests``.
    """
    figure, axes = plt.subplots(figsize=(7.6, 3.8), layout="constrained")
    folder, width = runs_folder(results), 0.8 / len(arms)
    for number, (label, arm) in enumerate(arms.items()):
        records = [read_record(folder / f"{name}.json") for name in arm_rows(table, arm)["name"]]
        if not records:
            continue
        recalls = [[record["metrics"]["test"]["recall"][expression] for expression in EMOTIONS] for record in records]
        places = np.arange(len(EMOTIONS)) + width * (number - (len(arms) - 1) / 2)
        heights = 100 * np.mean(recalls, axis=0)
        hatch = ("", "//", "..", "xx")[number % 4]
        axes.bar(places, heights, 0.92 * width, color=plots.COLOURS[number % len(plots.COLOURS)], hatch=hatch, label=label)
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=25, ha="right")
    axes.set(ylabel="recall (%)", ylim=(0, 100))
    axes.legend(frameon=False, ncols=len(arms), loc="upper left")
    return figure


def draw_arms(table, arms, scores, label):
    """Mean and 95 % interval over seeds of each arm, one colour and marker a score. Returns the figure.

    :param table: from ``palcore.book.tables.read_question``.
    :param arms: ``{label: {option: value}}``; those without a run are left out.
    :param scores: ``{column: heading}``; shares, drawn in per cent.
    :param label: of the axis.
    """
    numbers = summary(table, arms, scores)
    numbers = numbers[numbers[("seeds", "")] > 0]
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.45 * max(len(numbers), 2)), layout="constrained")
    places = np.arange(len(numbers))[::-1]
    for number, heading in enumerate(scores.values()):
        mean, low, high = (100 * numbers[(heading, part)].to_numpy(float) for part in ("mean", "low", "high"))
        spread = np.nan_to_num([mean - low, high - mean])
        offset = 0.16 * ((len(scores) - 1) / 2 - number)
        colour, marker = plots.COLOURS[number % len(plots.COLOURS)], "osD^v"[number % 5]
        axes.errorbar(mean, places + offset, xerr=spread, fmt=marker, color=colour, capsize=3, label=heading)
    axes.set_yticks(places, numbers.index)
    axes.set(xlabel=label, ylim=(-0.6, len(numbers) - 0.4))
    if len(scores) > 1:
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def show_runs(table, scores):
    """Every run with the record that it comes from and the command that made it, as a table in Markdown.

    :param table: from ``palcore.book.tables.read_question``.
    :param scores: ``{column: heading}``.
    """
    shown = listing(table, scores)
    if shown.empty:
        return
    for heading in scores.values():
        shown[heading] = shown[heading].map(lambda value: f"{value:.3f}")
    shown["minutes"] = shown["minutes"].map(lambda value: f"{value:.1f}")
    shown["command"] = [f"`{line}`" for line in shown["command"]]
    lines = ["| " + " | ".join(shown.columns) + " |", "|" + "---|" * len(shown.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in shown.to_numpy()]
    display(Markdown("\n".join(lines)))
