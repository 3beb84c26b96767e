"""FER+ (Barsoum et al., 2016, arXiv:1608.01041): ten votes for each face of FER2013, in place of the owner's label."""

from pathlib import Path

import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.listing import UNKNOWN, no_cell_lost

FILE = "fer2013new.csv"

VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""The columns of votes; NF is "not a face"."""

LABELS = ("own", "ferplus")

LEAST_AGREEMENT, FEWEST = 0.4, 100
"""Share of faces on which FER+ and the owner must agree, and faces from which on that is asked. It is 0.72 on FER2013; labels that
belong to other rows agree by chance, in about a fifth."""


def read_votes(path):
    """The votes of all rows of FER2013's csv file, in its order.

    :param path: ``fer2013new.csv``.
    :return: ``(usages, votes)``: ``(N,)`` str, and ``(N, 10)`` int64 in the order of ``VOTES``.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: for another table, or a cell that is not a number of votes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no FER+ labels {path}: labels ferplus needs {FILE} beside fer2013.csv")
    with no_cell_lost(path, "FER+'s csv file"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    missing = [name for name in ("Usage", *VOTES) if name not in table]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}: it has Usage, Image name, {', '.join(VOTES)}")
    cells = table[list(VOTES)]
    votes = cells.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for row, column in np.argwhere(~np.isin(votes, np.arange(11)))[:1]:
        raise ValueError(
            f"{path} has {cells.iat[row, column]!r} for {VOTES[column]} in row {row}: it must be a number of votes, 0..10"
        )
    return table["Usage"].to_numpy(str), votes.astype(np.int64)


def majority(votes):
    """What more than half of each face's votes agree on.

    :param votes: ``(N, 10)`` in the order of ``VOTES``.
    :return: ``(labels, reasons)``: ``(N,)`` int64 in the order of ``palcore.EMOTIONS``, ``UNKNOWN`` where there is none; ``(N,)``
        str, why: the other class that won (``contempt``, ``unknown``, ``no face``), or ``no majority``; empty for a label.
    """
    most = votes.argmax(axis=1)
    agreed = 2 * votes[np.arange(len(votes)), most] > votes.sum(axis=1)
    winner = np.where(agreed, np.array([*VOTES[:-1], "no face"])[most], "no majority")
    numbers = {emotion: label for label, emotion in enumerate(EMOTIONS)}
    labels = np.array([numbers.get(name, UNKNOWN) for name in winner], np.int64)
    return labels, np.where(labels >= 0, "", winner)


def ferplus_labels(path, rows, usage, own):
    """FER+'s labels of one split, as ``majority``, once they are sure to be those of the same faces.

    :param path: ``fer2013new.csv``.
    :param rows: ``(N,)`` numbers of the split's faces in FER2013's csv file, all of them.
    :param usage: what the challenge calls the split.
    :param own: ``(N,)`` the owner's labels.
    :raises FileNotFoundError: as ``read_votes``.
    :raises ValueError: as ``read_votes``, and where rows are missing or in another order in either file.
    """
    usages, votes = read_votes(path)
    theirs = np.flatnonzero(usages == usage)
    if not np.array_equal(theirs, rows):
        raise ValueError(
            f"{path} has {len(theirs):,} rows of {usage}, fer2013.csv {len(rows):,}, and not the same ones: rows were removed or "
            "moved in one of the two, take the files as they were published"
        )
    labels, reasons = majority(votes[rows])
    both = (labels >= 0) & (np.asarray(own) >= 0)
    agree = (labels == own)[both].mean() if both.any() else 1
    if both.sum() >= FEWEST and agree < LEAST_AGREEMENT:
        raise ValueError(
            f"{path} agrees with fer2013.csv in {agree:.0%} of {both.sum():,} faces of {usage}, where 72% is usual: "
            "the rows are in another order in one of the two, take the files as they were published"
        )
    return labels, reasons
