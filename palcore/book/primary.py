"""The primary comparisons, named in ``workflow/grid.yml`` before their runs: each measured once, and put into words once.

They are corrected together, and only they; whatever else a page compares is exploratory and gets intervals without a verdict.
"""

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from palcore.book.grid import arm_cells, read
from palcore.book.statistics import LEVEL, holm, paired
from palcore.book.tables import between, effect_size, listed, number, read_runs

NAMES = {
    "higher": "yes, higher",
    "lower": "no, lower",
    "same": "no difference worth a point",
    "likely": "likely, not certain",
    "inconclusive": "inconclusive",
    "early": "too early",
    "missing": "still to come",
}
"""What each outcome is called in a table."""

COLUMNS = (
    "How to read the columns: the intervals are those of each comparison by itself. d is the difference divided by its spread "
    "between seeds (Cohen's d of paired values), rough where seeds are few. The first p is small where chance alone seldom makes "
    "such a difference. The second is small where any difference is smaller than the margin (two one-sided tests), and near 1 "
    "where that cannot be said. Both are corrected over all primary comparisons, after Holm. The last column is the difference "
    "that so many seeds, as far apart as these, find with a power of 80 %, at the strictest step of that correction; with luck a "
    "smaller one is found, too."
)
"""What the columns of ``table`` mean, for a reader without statistics."""


@dataclass(frozen=True)
class Comparison:
    """One entry of ``comparisons`` in ``workflow/grid.yml``.

    - ``asks``: the question; ``counts``: what would count as an answer;
    - ``question``: of the grid, which holds the runs of ``arm`` and ``baseline`` (``{option: value}``);
    - ``score``: a column of ``palcore.book.tables.read_runs``;
    - ``where`` and ``words``: the sentence's place and its two arms, "with PAL" and "without it"; ``what``: what it speaks of;
    - ``minus``: another ``arm`` and ``baseline`` whose difference is taken off: an interaction.
    """

    name: str
    asks: str
    question: str
    arm: dict
    baseline: dict
    score: str
    counts: str
    where: str
    words: list
    what: str = "the accuracy"
    minus: dict | None = None

    @property
    def group(self):
        """``P3`` of ``P3 against none``: rows of a group answer one question."""
        return self.name.split()[0]

    @property
    def arms(self):
        """``[arm, baseline]``, and those of ``minus``."""
        return [self.arm, self.baseline] + ([self.minus["arm"], self.minus["baseline"]] if self.minus else [])


def declared():
    """``{name: Comparison}`` in the grid's order; empty where it names none.

    :raises ValueError: for an entry that lacks a key, has an unknown one, or names an arm that the grid lacks.
    """
    found, known = {}, {field.name for field in fields(Comparison)} - {"name"}
    for name, entry in (read()[0].get("comparisons") or {}).items():
        unknown, missing = sorted(set(entry) - known), sorted(known - {"what", "minus"} - set(entry))
        if unknown or missing:
            problem = f"unknown {unknown[0]!r}" if unknown else f"missing {missing[0]!r}"
            raise ValueError(f"comparison {name} of workflow/grid.yml: {problem}")
        found[name] = Comparison(name, **entry)
        for arm in found[name].arms:
            if not arm_cells(entry["question"], arm):
                raise ValueError(f"comparison {name} of workflow/grid.yml: question {entry['question']} has no runs of {arm}")
    return found


def margin():
    """Half the width of what counts as no difference, as a share; None where the grid names none."""
    return read()[0].get("margin")


def measure(results=None):
    """The primary comparisons as far as their runs are in.

    :param results: folder that holds ``runs/``; None for the study's own.
    :return: table by name: the columns of ``palcore.book.statistics.paired``, ``p_holm`` and ``same_holm`` corrected over all that
        the grid names, ``planned`` (seeds), ``runs``, ``done`` (runs that are in), ``values`` (differences by seed), ``levels``
        (mean score of each arm over those seeds), ``outcome``.
    """
    comparisons, rows = declared(), []
    for asked in comparisons.values():
        cells = [arm_cells(asked.question, arm) for arm in asked.arms]
        names = {name for arm in cells for name in arm.values()}
        runs, values = read_runs(names, results), {}
        scores = runs[asked.score] if asked.score in runs else pd.Series(dtype=float)
        shared = sorted(set.intersection(*map(set, cells)))
        for seed in shared:
            difference = sum(sign * scores.get(arm[seed], np.nan) for sign, arm in zip((1, -1, -1, 1), cells, strict=False))
            values |= {seed: float(difference)} if np.isfinite(difference) else {}
        levels = [float(np.mean([scores[arm[seed]] for seed in values])) for arm in cells] if values else []
        row = {"planned": len(shared), "runs": len(names), "done": len(runs), "values": values, "levels": levels, "seeds": 0}
        # The strictest step of the correction: a difference that passes it is found whatever the others show.
        rows.append(row | (paired(list(values.values()), margin(), LEVEL / len(comparisons)) if values else {}))
    columns = ["planned", "runs", "done", "values", "levels", "seeds"]
    columns += ["difference", "low", "high", "spread", "effect", "detectable", "p", "p_same"]
    found = pd.DataFrame(rows, index=list(comparisons), columns=columns)
    found["p_holm"], found["same_holm"] = holm(found["p"].astype(float)), holm(found["p_same"].astype(float))
    found["outcome"] = [_outcome(row) for _, row in found.iterrows()]
    return found


def _outcome(row):
    if row["seeds"] < 2:
        return "early" if row["seeds"] else "missing"
    if row["p_holm"] < LEVEL:
        return "higher" if row["difference"] > 0 else "lower"
    if row["same_holm"] < LEVEL:
        return "same"
    return "likely" if row["p"] < LEVEL else "inconclusive"


def _points(row):
    """``1.4 points``: the size of a difference."""
    size = number(100 * abs(row["difference"]))
    return f"{size} point{'' if size == '1.0' else 's'}"


def _apart(asked, row):
    """``1.4 points higher with PAL than without it``."""
    which = "higher" if row["difference"] > 0 else "lower"
    return f"{_points(row)} {which} {asked.words[0]} than {asked.words[1]}"


def _same(asked):
    return f"{asked.what} is the same {asked.words[0]} and {asked.words[1]} to within {100 * (margin() or 0):g} point"


def _whether(asked):
    return f"whether {asked.what} is higher {asked.words[0]} than {asked.words[1]}"


def _finding(asked, row):
    """``clause`` without its place."""
    outcome, apart = row["outcome"], _apart(asked, row)
    span = f"{between(row)} points"
    words = {
        "missing": f"{_whether(asked)} is not known yet",
        "early": f"{asked.what} is {apart} in one seed, which cannot tell an effect from chance",
        "higher": f"{asked.what} is {apart} ({span})",
        "lower": f"{asked.what} is {apart} ({span})",
        "same": f"{_same(asked)} ({span})",
        "likely": f"{asked.what} seems {apart} ({span}), but with several questions asked that is not beyond doubt",
        "inconclusive": f"{_whether(asked)} is inconclusive: {span}",
    }
    return words[outcome]


def clause(asked, row):
    """What came out, in words for a reader without statistics, without a full stop.

    :param asked: a ``Comparison``.
    :param row: of ``measure``.
    """
    return f"{asked.where}, {_finding(asked, row)}"


def sentence(asked, row):
    """``clause`` as a whole sentence; says what the seeds could have shown, and where some are still missing."""
    text = clause(asked, row)
    text = f"{text[:1].upper()}{text[1:]}."
    if row["outcome"] in ("likely", "inconclusive") and row["detectable"] > 0:
        size = number(100 * row["detectable"])
        text += f" With {row['seeds']} seeds that differ like these, a difference of {size} points is found four times in five."
    if 0 < row["seeds"] < row["planned"]:
        text += f" So far {row['seeds']} of {row['planned']} seeds are in."
    return text


def answer(results=None):
    """The study's answer in two sentences, in Markdown: what is shown; what is open or still to come.

    What was found of the same two arms in several places is said once, with its size in each.
    """
    comparisons, found = declared(), measure(results)
    rows = [(asked, found.loc[name]) for name, asked in comparisons.items()]
    shown, unsure = {}, {"inconclusive": [], "likely": []}
    for asked, row in rows:
        (arm, baseline), outcome = asked.words, row["outcome"]
        if outcome in ("higher", "lower"):
            text = f"by {_points(row)} {asked.where} ({between(row)})"
            shown.setdefault(f"{asked.what} is {outcome} {arm} than {baseline}", []).append(text)
        if outcome == "same":
            shown.setdefault(_same(asked), []).append(f"{asked.where} ({between(row)})")
        if outcome in unsure:
            so_far = f", {row['seeds']} of {row['planned']} seeds" if row["seeds"] < row["planned"] else ""
            text = f"{asked.what} seems {_apart(asked, row)}" if outcome == "likely" else _whether(asked)
            unsure[outcome].append(f"{asked.where}, {text} ({between(row)} points{so_far})")
    waiting = dict.fromkeys(asked.group for asked, row in rows if row["outcome"] in ("missing", "early"))
    parts = unsure["inconclusive"] + [f"likely, but not beyond doubt: {text}" for text in unsure["likely"]]
    parts += [f"runs of {', '.join(waiting)} are still to come"] if waiting else []
    findings = "; ".join(f"{finding}, {listed(places)}" for finding, places in shown.items())
    return f"**Shown:** {findings or 'nothing yet'}.\n\n**Open:** {'; '.join(parts) or 'none of the primary questions'}."


def table(found):
    """``measure`` for a page: effects in points, intervals, effect sizes, tests and power as texts."""
    rows = {}
    for name, row in found.iterrows():
        rows[name] = {
            "outcome": NAMES[row["outcome"]],
            "seeds": f"{row['seeds']} of {row['planned']}",
            "difference (points)": number(100 * row["difference"], 1, True),
            "95 % interval": between(row, "{} to {}"),
            "d": effect_size(row),
            "p of no difference": _p(row["p_holm"]),
            "p of none beyond the margin": _p(row["same_holm"]),
            "found with 80 % power (points)": number(100 * row["detectable"]),
        }
    return pd.DataFrame(rows).T


def _p(value):
    return "-" if not np.isfinite(value) else "below 0.001" if value < 0.001 else f"{value:.2g}"
