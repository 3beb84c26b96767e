"""The front page's answer, in two sentences, from the committed records: written into `book/intro.md` while the book is built."""

from palcore.book.statistics import mean_interval
from palcore.book.tables import read_question

MARK = "<!-- the answer, from results/: workflow/front_page.py -->"
"""Stands in `book/intro.md` where the sentences belong."""


def difference(question, score, results=None):
    """PAL on the mean of the channels against no PAL, paired by seed.

    :param question: of ``workflow/grid.yml``.
    :param score: a column of its table of runs; a share.
    :param results: folder that holds ``runs/``; None for the study's own.
    :return: mean scores without and with PAL, difference with its 95 % interval (all in per cent) and number of seeds; None where
        fewer than two seeds have run both ways.
    """
    runs = read_question(question, results)
    if score not in runs:
        return None
    runs = runs[runs["attribution"] == "grad_input"]
    arms = [runs[runs["strategy"] == strategy].set_index("seed")[score] for strategy in ("none", "mean")]
    seeds = sorted(set(arms[0].index) & set(arms[1].index))
    if len(seeds) < 2:
        return None
    without, guided = (100 * arm.loc[seeds].to_numpy(float) for arm in arms)
    return without.mean(), guided.mean(), *mean_interval(guided - without), len(seeds)


def effect(found):
    """``difference`` as the second half of a sentence."""
    without, guided, mean, low, high, seeds = found
    worth = f"{mean:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, {seeds} trainings each way"
    return f"from {without:.0f} % to {guided:.0f} % ({worth})"


def answer(results=None):
    """Two sentences: what is measured on drawn faces, and on real ones."""
    drawn = difference("shortcut-strategies", "shortcut_free_accuracy", results)
    real = difference("faces-strategies", "test_accuracy", results)
    first = "On drawn faces whose coloured patch gives the answer away in training, the runs are not in yet."
    if drawn:
        settled = "raises" if drawn[3] > 0 else "lowers" if drawn[4] < 0 else "may change"
        first = (
            f"On drawn faces whose coloured patch gives the answer away in training, PAL {settled} the accuracy once the patch "
            f"misleads, {effect(drawn)}: it helps, and it does not cure, as a network that read the face alone would lose nothing."
        )
    second = "On real faces the answer is open: FER2013 is being measured again on the challenge's own pixels."
    if real:
        open_ = real[3] <= 0 <= real[4]
        second = f"On FER2013's real faces, which have no such patch, the accuracy goes {effect(real)}: " + (
            "that is inconclusive, as no difference lies within the interval." if open_ else "small, but beyond chance."
        )
    return f"{first} {second}"


def with_answer(text, results=None):
    """The front page's text with the answer in its place.

    :raises ValueError: if the place is gone.
    """
    if MARK not in text:
        raise ValueError(f"book/intro.md has no line {MARK!r}: the answer has no place there")
    return text.replace(MARK, answer(results))
