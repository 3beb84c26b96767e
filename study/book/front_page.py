"""The study's answer from the committed records, as it stands in the README and is written into the book while that is built."""

import numpy as np

from palcore.runs.records import read_record
from study.results.primary import answers, beside, clause, declared, leads, measure, sentence
from study.results.tables import results_folder

MARK = "<!-- the answer, from results/: study/book/front_page.py -->"
"""Stands in `book/intro.md` where the sentences belong."""

TABLE = "<!-- the answers, from results/: study/book/front_page.py -->"
"""Stands in a page of the book where the table of answers belongs."""

PATCH = "<!-- the patch, from results/: study/book/front_page.py -->"
"""Stands in the caption of the first picture."""

SHOWN = ("C1", "C6", "P1", "P5")
"""The primary comparisons of ``study/grid.yml`` that answer the book's question: on real faces, from a good baseline with all
faces and with few, from a weak one, and on drawn faces."""

ELSEWHERE = "where one network without other data reaches 73.28 % {cite}`khaireddin2021facial`"


def answer(results=None):
    """A sentence for each of ``SHOWN``, as the result pages say it, and what the network gains early, as a list in Markdown.

    :param results: folder that holds ``runs/``; None for the study's own.
    :raises ValueError: where the grid has no such comparison, or results/ no runs of two seeds.
    """
    comparisons, found = declared(), measure(results)
    for name in SHOWN:
        if name not in comparisons or found.loc[name, "outcome"] in ("missing", "early"):
            raise ValueError(f"the front page speaks of {' and '.join(SHOWN)}: {name} is not in study/grid.yml, or has no runs yet")
    good, few, drawn = (sentence(comparisons[name], found.loc[name]) for name in ("C1", "C6", "P5"))
    ahead = beside(found.loc[["C1", "C6", "P1"]], results)["training faces"]
    faster = f"There the network leads on the faces that it trains on as well, by {ahead['P1']}: it learns faster."
    good_level, weak_level = (f"{100 * found.loc[name, 'levels'][1]:.1f} %" for name in ("C1", "P1"))
    level = f"The good baseline has {good_level}, the weak one {weak_level}, {ELSEWHERE}."
    weak = f"From a weak baseline, {clause(comparisons['P1'], found.loc['P1'])}."
    all_faces, tenth = (_beside(comparisons[name], ahead[name], results) for name in ("C1", "C6"))
    return f"- {good} {all_faces}\n- {few} {tenth}\n- {weak} {faster} {level}\n- {drawn}\n"


def _beside(asked, training, results):
    """The difference on training faces, and what PAL's lead on validation faces is at most and at the end."""
    lead = leads(asked, results)
    most = f"{asked.amount(lead.max())} at most, after epoch {lead.argmax() + 1} of {len(lead)}"
    last = f"after the last by {asked.amount(lead[-1])}"
    return (
        f"On the faces that it trains on the difference is {training} points; on validation faces PAL leads by {most}, and {last}."
    )


def patch_means(results=None):
    """A sentence: how much of the attribution lies on the patch, and what covering it costs, without PAL and with it."""
    said = []
    for words, strategy in (("without PAL", "none"), ("with PAL", "mean")):
        paths = sorted((results_folder(results) / "runs").glob(f"synthetic-compact-{strategy}-seed=*.json"))
        patches = [read_record(path)["metrics"]["test"]["reliance"]["patch"] for path in paths]
        share, cost = (100 * np.mean([patch[name] for patch in patches]) for name in ("share", "accuracy"))
        said.append(f"{words} {share:.1f} % of it lies on the patch, and covering the patch costs {-cost:.1f} points of accuracy")
    return f"Means over {len(paths)} networks of each kind: {'; '.join(said)}."


def patch_sentences(results=None):
    """``patch_means``, what follows from them, and how the two networks do that a reader can try."""
    records = [read_record(results_folder(results) / "browser" / f"{strategy}.json") for strategy in ("none", "mean")]
    right = [f"{100 * record['int8']['changes']['shortcut_free']['accuracy']:.0f} %" for record in records]
    return (
        f"{patch_means(results)} So attribution moved is not reliance moved: with PAL the map has left the patch almost wholly, "
        "the answer only in part. The two networks that you can try are one of each kind, without PAL and with it: right on "
        f"{' and '.join(right)} of the test faces whose patch has a random colour."
    )


def with_answer(text, results=None):
    """The front page's text with the answer in its place, the table, and the caption of its picture.

    :raises ValueError: if a place is gone.
    """
    return with_table(_replaced(_replaced(text, MARK, answer(results)), PATCH, patch_sentences(results)), results)


def with_table(text, results=None):
    """A page's text with the table of answers in its place.

    :raises ValueError: if the place is gone.
    """
    return _replaced(text, TABLE, answers(results).replace(" %", "\u00a0%"))  # no line of a narrow cell begins with the sign


def _replaced(text, mark, words):
    if mark not in text:
        raise ValueError(f"a page of the book has no line {mark!r}: the answer has no place there")
    return text.replace(mark, words)
