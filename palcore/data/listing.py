"""What a data set's folder holds, with everything that is wrong with it: ``load`` stops at the first problem, the check lists all.

A data set is one module with ``PUBLISHED``, ``SIDE`` and ``list_faces(data_dir, split, landmarks=None, ...)``, which never stops at
a bad file; ``palcore.data.load`` is ``faces_of`` that listing.
"""

import gzip
import warnings
import zlib
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from palcore.data.table import Faces, LazyImages

KINDS = {
    "layout": FileNotFoundError,  # a folder or table is missing, or holds nothing
    "table": ValueError,  # a table cannot be read
    "label": ValueError,  # no number, out of range, given twice
    "repeated": ValueError,  # the same face twice in a table
    "label missing": FileNotFoundError,
    "face box": ValueError,  # outside the picture
    "image missing": FileNotFoundError,
    "image unreadable": ValueError,  # no image, or cut short
    "image size": ValueError,  # not that of the other faces
    "landmarks missing": FileNotFoundError,
    "landmarks unreadable": ValueError,
    "landmarks not 68": ValueError,
    "landmarks not finite": ValueError,
    "landmarks swapped": ValueError,  # (row, column) taken for (x, y), or the other way round
    "landmarks elsewhere": ValueError,  # not on the image: in pixels of another size
    "note": ValueError,  # said by ``load`` as well, and no face is lost
}
"""The kinds of problem, and the error that each is where it stops a run."""

UNKNOWN = -1
"""Label of a face whose own label makes no sense."""


def one_line(problem):
    """What an error of a library's says, which may have several lines."""
    return " ".join(str(problem).split())


@contextmanager
def no_cell_lost(table, form):
    """Within it, whatever keeps ``pandas.read_csv(..., index_col=False)`` from reading a whole table is one ``ValueError``.

    Rows longer than the header are among that: pandas would leave the last cells out with a warning, and without
    ``index_col=False`` shift all names by one without a word.

    :param table: what is read, and ``form``, what it must be, for the sentence.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except (ValueError, pd.errors.ParserWarning, EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise ValueError(f"{table} cannot be read ({one_line(problem)}): it must be {form}") from None


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: its kind (``KINDS``), the face or the path that it concerns, and the sentence that says so.

    One that is not ``fatal`` costs that face and no more.
    """

    kind: str
    file: str
    sentence: str
    fatal: bool = True


@dataclass(frozen=True)
class Listing:
    """One split of a data set as its owner ships it, unchecked; one row a face, the faces with problems among them.

    - ``files``: ``(N,)`` str, each face's name in its data set; landmark tables use it.
    - ``items``: what ``read`` takes; ``read(item)`` is the image ``(H, W, 3)`` uint8 RGB, or raises ``FileNotFoundError`` or
      ``ValueError``. ``path(item)`` says where that image is.
    - ``labels``: ``(N,)`` int64 in 0..6, or ``UNKNOWN``.
    - ``landmarks``: ``(N, 68, 2)`` float32 in fractions as in ``Faces``; NaN where there are none.
    - ``frames``: ``(N, 2)`` width and height of each image as far as it was looked at (0: it was not, or it cannot be read).
    - ``problems``: what was noticed so far; images have not been decoded.
    - ``dropped``: ``{class: count}`` of the faces that are no part of the seven-class task.
    - ``side``: side in pixels that the owner's images have; None where they differ.
    """

    name: str
    split: str
    files: np.ndarray
    items: Sequence
    read: Callable
    path: Callable
    labels: np.ndarray
    landmarks: np.ndarray
    frames: np.ndarray
    side: int | None
    problems: list = field(default_factory=list)
    dropped: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.files)

    def subset(self, rows):
        """Some of the faces (indices or a mask), with the problems that concern them or no single face."""
        rows = np.arange(len(self))[rows]
        others = set(self.files) - set(self.files[rows])
        items = self.items[rows] if isinstance(self.items, np.ndarray) else [self.items[row] for row in rows]
        return replace(
            self,
            files=self.files[rows],
            items=items,
            labels=self.labels[rows],
            landmarks=self.landmarks[rows],
            frames=self.frames[rows],
            problems=[problem for problem in self.problems if problem.file not in others],
        )


def empty_listing(name, split, side, problems):
    """A split without faces, and why."""
    landmarks, frames = np.zeros((0, 68, 2), np.float32), np.zeros((0, 2), np.int32)
    return Listing(name, split, np.zeros(0, str), [], None, None, np.zeros(0, np.int64), landmarks, frames, side, problems)


def faces_of(listing, image_size=None):
    """The faces of a listing, once nothing fatal is wrong with it.

    Faces with problems that are not fatal are left out, counted in ``dropped``, and warned of.

    :param image_size: side in pixels; None for the owner's.
    :raises ValueError: the first fatal problem's sentence, with the number of the others.
    :raises FileNotFoundError: likewise, where something is missing.
    """
    fatal = [problem for problem in listing.problems if problem.fatal]
    if fatal:
        others = f" ({len(fatal) - 1} more: `python -m palcore check {listing.name}` lists all)" if len(fatal) > 1 else ""
        raise KINDS[fatal[0].kind](fatal[0].sentence + others)
    dropped = dict(listing.dropped)
    kept = np.ones(len(listing), bool)
    for problem in listing.problems:
        if problem.kind == "note":
            warnings.warn(problem.sentence, stacklevel=3)
    costly = [problem for problem in listing.problems if problem.kind != "note"]
    if costly:
        kept = ~np.isin(listing.files, [problem.file for problem in costly])
        for problem in costly:
            dropped[problem.kind] = dropped.get(problem.kind, 0) + 1
        left_out = f"{(~kept).sum()} of {len(listing)} faces left out"
        warnings.warn(f"{listing.name} {listing.split}: {left_out}, first: {costly[0].sentence}", stacklevel=3)
    faces = Faces(
        listing.name,
        listing.split,
        LazyImages(listing.items, listing.read, image_size or listing.side),
        listing.landmarks,
        listing.labels,
        listing.files,
        dropped,
    )
    return faces if kept.all() else faces.subset(kept)
