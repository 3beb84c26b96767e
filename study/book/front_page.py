"""The study's answer from the committed records, as it stands in the README and is written into the book while that is built."""

from study.results.primary import answers, beside, declared, measure, sentence

MARK = "<!-- the answer, from results/: study/book/front_page.py -->"
"""Stands in `book/intro.md` where the sentences belong."""

TABLE = "<!-- the answers, from results/: study/book/front_page.py -->"
"""Stands in a page of the book where the table of answers belongs."""

SHOWN = ("P5", "P1")
"""The primary comparisons of ``study/grid.yml`` that answer the book's question: on drawn faces, and on real ones."""

WAITING = "FER2013 is being measured again on the challenge's own pixels."


def answer(results=None):
    """A sentence for each of ``SHOWN``, as the result pages say it.

    :param results: folder that holds ``runs/``; None for the study's own.
    :raises ValueError: where the grid has no such comparison.
    """
    comparisons, found = declared(), measure(results)
    missing = [name for name in SHOWN if name not in comparisons]
    if missing:
        raise ValueError(f"study/grid.yml has no comparison {missing[0]}: the front page speaks of {' and '.join(SHOWN)}")
    sentences = [sentence(comparisons[name], found.loc[name]) for name in SHOWN]
    if found.loc[SHOWN[-1], "outcome"] in ("missing", "early"):
        sentences.append(WAITING)
    else:
        lead, level = beside(found.loc[[SHOWN[-1]]], results).iloc[0]["training faces"], 100 * found.loc[SHOWN[-1], "levels"][1]
        sentences.append(
            f"There the network leads on the faces that it trains on as well, by {lead}: it learns faster. Whether it ends better "
            f"is not known yet. The baseline has {level:.1f} %, where one network without other data reaches 73.28 % "
            "{cite}`khaireddin2021facial`."
        )
    return " ".join(sentences)


def with_answer(text, results=None):
    """The front page's text with the answer in its place, and the table.

    :raises ValueError: if a place is gone.
    """
    return with_table(_replaced(text, MARK, answer(results)), results)


def with_table(text, results=None):
    """A page's text with the table of answers in its place.

    :raises ValueError: if the place is gone.
    """
    return _replaced(text, TABLE, answers(results))


def _replaced(text, mark, words):
    if mark not in text:
        raise ValueError(f"a page of the book has no line {mark!r}: the answer has no place there")
    return text.replace(mark, words)
