"""The primary comparisons, named in ``study/grid.yml`` before their runs: each measured once, and put into words once.

Those of a family are corrected together, and only they; whatever else a page compares is exploratory and gets intervals without a
verdict. Two things are asked of a difference. Would other seeds show it too? The test over seeds decides, with the spread pooled
over the arms of the question and Holm's correction. Would other test faces show it too? It is called higher or lower only where the
interval with seeds *and* faces at random leaves out zero as well.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from tabulate import tabulate

from study.results.arms import arms_of, read
from study.results.scores import read_facts, right_faces
from study.results.statistics import LEVEL, holm
from study.results.tables import compared, number, over_faces, read_question, results_folder, span, with_intervals

PACE, LESS = "epochs_to_baseline", 0.005
"""The score of a comparison of pace: epochs until the validation accuracy with which the baseline of the same seed ends, less
half a point. A network that never reaches it counts as one that reaches it an epoch after its last."""

ROWS = 7
"""Of the table of answers: what a reader takes in at once."""

NAMES = {
    "higher": "yes, higher",
    "lower": "no, lower",
    "faces": "on these test faces only",
    "same": "no difference worth a point",
    "inconclusive": "inconclusive",
    "early": "too early",
    "missing": "still to come",
}
"""What each outcome is called in a table."""

COLUMNS = (
    "How to read the columns: the first interval is over seeds, with the spread of all arms of the question; the second draws the "
    "test faces again as well. Each is that of one comparison by itself. The first p is small where chance alone seldom makes such "
    "a difference between seeds. The second is small where any difference is smaller than the margin (two one-sided tests), and "
    "near 1 where that cannot be said. Both are corrected over all comparisons of a family, after Holm. The last column is the "
    "difference that so many seeds, as far apart as these, find with a power of 80 %, at the strictest step of that correction."
)
"""What the columns of ``table`` mean, for a reader without statistics."""

BESIDE = {
    "training_accuracy": "training faces",
    "validation_accuracy": "validation faces",
    "test_accuracy": "test faces",
    "test_mean_class_accuracy": "mean over classes",
    "detected_accuracy": "those with detected landmarks",
    "guessed_accuracy": "those without",
    "ferplus_accuracy": "by FER+'s labels",
}
"""What ``beside`` sets side by side, by column of ``study.results.tables.read_runs``."""


@dataclass(frozen=True)
class Comparison:
    """One entry of ``comparisons`` in ``study/grid.yml``.

    - ``asks``: the question; ``counts``: what would count as an answer; ``family``: with which it is corrected;
    - ``question``: of the grid, which names the ``arms``, the second of which is the baseline;
    - ``score``: a column of ``study.results.tables.read_runs``, or ``PACE``;
    - ``where`` and ``words``: the sentence's place and its two arms, "with PAL" and "without it"; ``what``: what it speaks of;
    - ``minus``: two other arms whose difference is taken off: an interaction;
    - ``glance``: whether it stands in ``answers``.
    """

    name: str
    asks: str
    family: str
    question: str
    arms: list
    score: str
    counts: str
    where: str
    words: list
    what: str = "the accuracy"
    glance: bool = True
    minus: list = ()

    @property
    def dataset(self):
        return read()[0]["questions"][self.question]["dataset"]

    @property
    def cells(self):
        """``[{seed: name of the run}]`` of ``arms`` and ``minus``; empty where an arm's settings are still to be chosen."""
        return [arms_of(self.question).get(name, {}) for name in self.all_arms]

    @property
    def all_arms(self):
        return (*self.arms, *self.minus)

    @property
    def scale(self):
        return 1 if self.score == PACE else 100

    def amount(self, value, sign=False):
        """``1.4 points``, or ``3.0 epochs``."""
        text = number(self.scale * value, 1, sign)
        return f"{text} {'epoch' if self.score == PACE else 'point'}{'' if text.lstrip('+-') == '1.0' else 's'}"

    def level(self, value):
        """``64.5 %``, or ``26.0 epochs``; of an interaction, what the arm adds."""
        return self.amount(value, bool(self.minus)) if self.minus or self.score == PACE else f"{number(100 * value)} %"

    def spans(self, row, words="{} to {}"):
        """The intervals of a row of ``measure`` in the unit of ``amount``: over seeds, and over faces too, as far as known."""
        found = [span(row[f"low{part}"], row[f"high{part}"], words, self.scale) for part in ("", "_faces")]
        return [text for text in found if text != "-"]


def declared():
    """``{name: Comparison}`` in the grid's order; empty where it names none.

    :raises ValueError: for an entry that lacks a key, has an unknown one, or names an arm that its question lacks.
    """
    comparisons = {}
    for name, entry in (read()[0].get("comparisons") or {}).items():
        where = f"comparison {name} of study/grid.yml"
        try:
            asked = comparisons[name] = Comparison(name, **entry)
        except TypeError as error:
            raise ValueError(f"{where}: {error}") from None
        there = [arm.get("name") for arm in read()[0]["questions"].get(asked.question, {}).get("arms", [])]
        for arm in asked.all_arms:
            if arm not in there:
                raise ValueError(f"{where}: question {asked.question} has no arm {arm!r}")
    return comparisons


def margin():
    """Half the width of what counts as no difference, as a share; None where the grid names none."""
    return read()[0].get("margin")


def runs_of(asked, results=None):
    """The runs of a comparison's question by arm, with a column ``PACE``."""
    runs = read_question(asked.question, results)
    ends = {seed: curve[-1] - LESS for seed, curve in curves_of(runs, asked.arms[1]).items()}
    pairs = zip(runs["seed"], runs["curve"], strict=True)
    return runs.assign(**{PACE: [epochs_until(curve, ends[seed]) if seed in ends else np.nan for seed, curve in pairs]})


def curves_of(runs, arm):
    """``{seed: accuracy on validation faces after each epoch}`` of an arm."""
    return runs[runs["arm"] == arm].set_index("seed")["curve"].to_dict()


def leads(runs, asked):
    """By how much the first arm of a comparison leads on validation faces after each epoch, ``(epochs,)``, mean over the seeds that
    both arms have.

    :param runs: from ``runs_of``.
    """
    first, second = (curves_of(runs, arm) for arm in asked.arms)
    return np.mean([np.subtract(first[seed], second[seed]) for seed in first if seed in second], axis=0)


def epochs_until(curve, target):
    """The first epoch, from 1, after which a curve reaches the target; one more than it has where it never does."""
    reached = np.flatnonzero(np.asarray(curve) >= target)
    return float(reached[0] + 1 if len(reached) else len(curve) + 1)


def measure(results=None):
    """The primary comparisons as far as their runs are in.

    :param results: folder that holds ``runs/``; None for the study's own.
    :return: table by name: the columns of ``study.results.tables.compared``, ``low_faces`` and ``high_faces`` (of ``two_way``),
        ``p_holm`` and ``same_holm`` corrected over all that the grid names of the family, ``planned`` (seeds), ``outcome``.
    """
    comparisons, rows = declared(), {}
    for name, asked in comparisons.items():
        table = runs_of(asked, results)
        planned = set.intersection(*map(set, asked.cells)) or read()[0]["questions"][asked.question]["seeds"]
        # The strictest step of the correction: a difference that passes it is found whatever the others show.
        level = LEVEL / sum(other.family == asked.family for other in comparisons.values())
        row = compared(table, asked.score, asked.all_arms, None if asked.score == PACE else margin(), level)
        row = {"seeds": 0, "values": {}, "levels": [], "low_faces": np.nan, "high_faces": np.nan} | row
        # On drawn faces each seed draws its own, so that the interval over seeds is over faces as well.
        if asked.score != PACE and asked.dataset != "synthetic":
            row["low_faces"], row["high_faces"] = over_test_faces(table, asked.all_arms, asked.score, row["values"], results)
        rows[name] = row | {"family": asked.family, "planned": len(planned)}
    columns = ["family", "planned", "values", "levels", "seeds", "difference", "low", "high"]
    columns += ["low_faces", "high_faces", "detectable", "p", "p_same"]
    measured = pd.DataFrame(list(rows.values()), index=list(rows), columns=columns)
    for column, corrected in (("p", "p_holm"), ("p_same", "same_holm")):
        measured[corrected] = measured.groupby("family")[column].transform(lambda values: holm(values.astype(float)))
    measured["outcome"] = [_outcome(row) for _, row in measured.iterrows()]
    return measured


def over_test_faces(runs, arms, score, seeds, results=None):
    """The interval of a difference in accuracy with seeds and test faces at random; NaN where predictions are missing."""
    folder, facts = results_folder(results) / "runs", read_facts(results_folder(results))

    def right(name, config):
        found = right_faces(folder, name, config, score.removesuffix("_accuracy"), facts)
        return found and found[0]

    return over_faces(runs, arms, seeds, right)


def _outcome(row):
    if row["seeds"] < 2:
        return "early" if row["seeds"] else "missing"
    if row["p_holm"] < LEVEL:
        if row["low_faces"] <= 0 <= row["high_faces"]:
            return "faces"
        return "higher" if row["difference"] > 0 else "lower"
    return "same" if row["same_holm"] < LEVEL else "inconclusive"


def beside(measured, results=None):
    """Each comparison's difference on training, validation and test faces, with and without detected landmarks, and by the other
    labels: points and the interval over seeds, as texts. ``measured`` is from ``measure``."""
    rows, comparisons = {}, declared()
    for name in measured.index[measured["seeds"] > 1]:
        asked = comparisons[name]
        table = read_question(asked.question, results)
        wanted = BESIDE if asked.score in (*BESIDE, PACE) else {asked.score: "test faces, patch at random"} | BESIDE
        if asked.score == "ferplus_accuracy":  # the mean over classes is by these labels too
            wanted = {score.replace("test_mean", "ferplus_mean"): words for score, words in wanted.items()}
            wanted |= {"test_accuracy": "by FER2013's labels"}
        found = {words: row for score, words in wanted.items() if (row := compared(table, score, asked.all_arms))}
        rows[name] = with_intervals(pd.DataFrame(found).T).to_dict()
    return pd.DataFrame(rows).T.fillna("-")


def sentence(asked, row):
    """What came out, in words for a reader without statistics; what the seeds could have shown, and where some are still missing.

    :param asked: a ``Comparison``.
    :param row: of ``measure``.
    """
    this, that = asked.words
    whether = f"whether {asked.what} is higher {this} than {that}"
    size, which = asked.amount(abs(row["difference"])), "higher" if row["difference"] > 0 else "lower"
    apart = f"{asked.what} is {size} {which} {this} than {that}"
    spans = "; with other test faces too, ".join(asked.spans(row, "between {} and {}"))
    found = {
        "missing": f"{whether} is not known yet",
        "early": f"{apart} in one seed, which cannot tell an effect from chance",
        "higher": f"{apart} ({spans})",
        "lower": f"{apart} ({spans})",
        "faces": f"{apart} on these test faces ({spans}), and on others like them not certainly so",
        "same": f"{asked.what} is the same {this} and {that} to within {100 * (margin() or 0):g} point ({spans})",
        "inconclusive": f"{apart} ({spans}), which leaves open whether it is higher or lower",
    }
    text = f"{asked.where[:1].upper()}{asked.where[1:]}, {found[row['outcome']]}."
    if row["outcome"] == "inconclusive" and row["detectable"] > 0:
        size = asked.amount(row["detectable"])
        text += f" With {row['seeds']} seeds that differ like these, a difference of {size} is found four times in five."
    if 0 < row["seeds"] < row["planned"]:
        text += f" So far {row['seeds']} of {row['planned']} seeds are in."
    return text


def answers(results=None):
    """The answers at a glance, in Markdown, the same wherever they stand: at most ``ROWS``, those on a good baseline first; below
    them the names of the others."""
    comparisons, measured, rows = declared(), measure(results), []
    shown = [name for name, asked in comparisons.items() if asked.glance and measured.loc[name, "seeds"] > 1]
    told = sorted(shown, key=lambda name: comparisons[name].family != "second")[:ROWS]
    for name in told:
        asked, row = comparisons[name], measured.loc[name]
        levels = row["levels"]
        levels = [levels[0] - levels[1], levels[2] - levels[3]] if asked.minus else levels
        texts = [f"{words}: {asked.level(level)}" for words, level in zip(asked.words, levels, strict=True)]
        difference = f"{asked.amount(row['difference'], True)} ({'; '.join(asked.spans(row))})"
        rows.append([f"{name}, {asked.where}", difference, NAMES[row["outcome"]], *texts, f"{row['seeds']} of {row['planned']}"])
    heads = ["where", "difference (other seeds; other faces too)", "verdict", "this", "against that", "seeds"]
    others = [name for name in comparisons if name not in told]
    left = f"\n\nNot in this table: {', '.join(others)}; the page of the tests has all." if others else ""
    return tabulate(rows, heads, "github", disable_numparse=True) + left if rows else "No runs are in yet."


def table(measured):
    """``measure`` for a page: effects, intervals, tests and power as texts."""
    rows, comparisons = {}, declared()
    for name, row in measured.iterrows():
        asked = comparisons[name]
        rows[name] = {
            "outcome": NAMES[row["outcome"]],
            "seeds": f"{row['seeds']} of {row['planned']}",
            "difference": asked.amount(row["difference"], True) if row["seeds"] else "-",
            "95 % interval, other seeds": span(row["low"], row["high"], scale=asked.scale),
            "other seeds and faces": span(row["low_faces"], row["high_faces"], scale=asked.scale),
            "p of no difference": _p(row["p_holm"]),
            "p of none beyond the margin": _p(row["same_holm"]),
            "found with 80 % power": asked.amount(row["detectable"]) if np.isfinite(row["detectable"]) else "-",
        }
    return pd.DataFrame(rows).T


def _p(value):
    return "-" if not np.isfinite(value) else "below 0.001" if value < 0.001 else f"{value:.2g}"
