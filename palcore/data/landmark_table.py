"""68 landmarks of a face: in a row of a csv file for the whole data set, in a text file of its own, in an array, or in a cell."""

import gzip
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from palcore.data.readers import Problem, problem_of
from palcore.files import one_line, opened, read_array, read_text

ORDERS = ("row_column", "x_y")
"""What the two numbers of a line of a text file are: the row and then the column, or the other way round."""

COORDINATES = [f"{axis}{landmark}" for landmark in range(68) for axis in "xy"]
COLUMNS, PIXEL_COLUMNS = ["file", "found", *COORDINATES], ["file", "detected", *COORDINATES]
"""Headers of the study's own form, fractions of the image's sides from the top-left corner, and of the one in pixels, the first
pixel's centre at (0, 0)."""

MAKE = "`python -m study.landmarks`"


class Landmarks(NamedTuple):
    """Landmarks of some faces as they stand in their source, and what is wrong with it.

    - ``points``: ``(N, 68, 2)``, NaN where there are none; ``pixels``: whether those are pixels, not fractions.
    - ``problems``: with the faces' rows; ``where`` they come from, for sentences, and the ``remedy`` where x and y are exchanged.
    """

    points: np.ndarray
    pixels: bool
    problems: list[Problem]
    where: str
    remedy: str


def as_points(values: np.ndarray | list, where: str) -> np.ndarray:
    """136 numbers or texts, x0 y0 x1 y1 ..., as ``(68, 2)`` float64; a ``ValueError`` for anything else."""
    try:
        values = np.asarray(values, np.float64).ravel()
    except ValueError:
        raise ValueError(f"landmarks in {where} are no numbers: there must be 136, two for each of 68") from None
    if values.size != 136:
        raise ValueError(f"landmarks in {where} are {values.size} numbers: there must be 136, two for each of 68")
    if not np.isfinite(values).all():
        raise ValueError(f"landmarks in {where} have a number that is not finite: correct it")
    return values.reshape(68, 2)


def array_points(path: Path) -> np.ndarray:
    """From a ``.npy`` file."""
    return as_points(read_array(path, "annotation"), str(path))


def cell_points(text: str, where: str) -> np.ndarray:
    """From a cell of a table, with semicolons or spaces between the numbers."""
    return as_points(re.findall(r"[^;\s]+", text), where)


def landmarks_in_files(files: np.ndarray, folder: Path, order: str) -> Landmarks:
    """Of some faces, from ``train_00001_aligned.txt`` and so on: 68 lines of two numbers in pixels, the first pixel's
    centre at (0, 0), in one of ``ORDERS``."""
    points, problems = np.full((len(files), 68, 2), np.nan), []
    for row, name in enumerate(files.tolist()):
        path = folder / f"{Path(name).stem}_aligned.txt"
        try:
            points[row] = as_points(read_text(path, "landmark file").split(), str(path))
        except (FileNotFoundError, ValueError) as error:
            problems.append(problem_of(error, "landmarks missing", "landmarks unreadable", row=row))
    points = points[..., ::-1] if order == "row_column" else points
    other = ORDERS[1 - ORDERS.index(order)]
    return Landmarks(points, True, problems, f"landmarks in {folder} read as {order}", f"give landmark_order {other}")


TEXT = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "encoding": "utf-8-sig"}
"""How pandas reads every cell of a csv file as text, nothing guessed."""


def table_pieces(path: str | Path, what: str, chunksize: int = 5000, **options) -> Iterator[pd.DataFrame]:
    """The rows of a ``.csv`` or ``.csv.gz`` file, so many at a time; ``options`` of ``pandas.read_csv``.

    :raises ValueError: for whatever keeps it from being read to its end. Rows longer than the header are among that: pandas would
        leave the last cells out with a warning, and without ``index_col=False`` shift all names by one without a word.
    """
    pieces, options = None, {"compression": "gzip" if str(path).lower().endswith(".gz") else None, **options}
    with opened(path, what) as file:
        while True:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", pd.errors.ParserWarning)
                    pieces = pieces or pd.read_csv(file, index_col=False, chunksize=chunksize, **options)
                    piece = next(pieces, None)
            except (ValueError, pd.errors.ParserWarning, EOFError, zlib.error, gzip.BadGzipFile) as problem:
                sentence = f"{what} {path} cannot be read ({one_line(problem)}): it must be a whole .csv or .csv.gz file"
                raise ValueError(sentence) from None
            if piece is None:
                return
            yield piece


def table_cells(path: Path, key: Callable[[str], str]) -> tuple[pd.DataFrame, list[Problem]]:
    """All of a landmark table, with the faces' names that ``key`` makes of its own; and its rows that name none or one again."""
    cells = next(table_pieces(path, "landmark table", 10**9, dtype={"file": str}))
    header = list(cells.columns)
    if header not in (COLUMNS, PIXEL_COLUMNS):
        seen = f"{len(header)} columns beginning {', '.join(header[:4])}"
        form = "138, file, found (or detected), x0, y0, ... x67, y67"
        raise ValueError(f"landmark table {path} has {seen}: it must have {form}")
    nameless, names = cells["file"].isna(), cells["file"].fillna("").str.replace("\\", "/").map(key)
    repeated = names.duplicated() & ~nameless
    sentences = [f"landmark table {path} names {name} more than once: remove a row" for name in names[repeated].unique()]
    sentences += [f"row {row} of landmark table {path} names no file: remove it" for row in np.flatnonzero(nameless)]
    return cells.assign(file=names)[~repeated & ~nameless], [Problem("table", sentence) for sentence in sentences]


def landmarks_in_table(files: np.ndarray, path: Path, key: Callable[[str], str] = str, numbered: str = "") -> Landmarks:
    """From a table that should have at least these faces.

    :param files: ``(N,)`` the faces' names.
    :param key: what makes a name of the table the face's name.
    :param numbered: what names begin with that are numbers of rows in another file: those may mean other faces where one is gone.
    :raises FileNotFoundError: where there is no such table.
    :raises ValueError: for a table that cannot be read, or has other columns.
    """
    cells, problems = table_cells(path, key)
    gone = sorted(set(cells["file"][cells["file"].str.startswith(numbered)]) - set(files.tolist())) if numbered else []
    if 0 < len(gone) < len(cells):
        sentence = f"landmark table {path} has {len(gone):,} rows that the data set lacks, {gone[0]} first"
        remedy = "its numbers may mean other faces now; take the file as it was published, or make the table again"
        problems.append(Problem("landmarks elsewhere", f"{sentence}: rows were removed, and {remedy}"))
    mark, named = cells.columns[1], cells["file"].to_numpy()
    cells = cells.set_index("file").reindex(files)
    there, marks = np.isin(files, named), pd.to_numeric(cells[mark], errors="coerce").to_numpy()
    points = cells[COORDINATES].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, copy=True)
    unread = np.isnan(points) & cells[COORDINATES].notna().to_numpy()
    infinite = (marks == 1) & ~np.isfinite(points).all(axis=1)
    for row in np.flatnonzero(~there | ~np.isin(marks, (0, 1)) | unread.any(axis=1) | infinite).tolist():
        name, kind = files[row], "landmarks unreadable"
        if not there[row]:
            kind, sentence = "landmarks missing", f"landmark table {path} lacks {name}: {MAKE} adds it"
        elif marks[row] not in (0, 1):
            sentence = f"column {mark} of landmark table {path} is {cells[mark].iat[row]} for {name}: it must be 0 or 1"
        elif unread[row].any():
            column = COORDINATES[int(np.argmax(unread[row]))]
            sentence = f"landmark table {path} has {cells[column].iat[row]!r} for {column} of {name}: it must be a number"
        else:
            sentence = f"landmarks of {name} in {path} are not finite: correct the row, or set {mark} to 0"
        problems.append(Problem(kind, sentence, row=row))
    return Landmarks(points.reshape(-1, 68, 2), mark == "detected", problems, f"landmark table {path}", "make the table again")


def append_rows(path: str | Path, files: Sequence = (), found: Sequence = (), landmarks: Sequence = ()) -> None:
    """Add faces to a table in the study's own form, beginning it where there is none.

    :param path: ``.csv`` or ``.csv.gz``.
    :param landmarks: ``(N, 68, 2)`` fractions; NaN where there are none.
    """
    rows = pd.DataFrame(np.reshape(landmarks, (-1, 136)), columns=COORDINATES)
    rows.insert(0, "file", files)
    rows.insert(1, "found", np.asarray(found, int))
    rows.to_csv(path, mode="a", header=not Path(path).exists(), index=False, float_format="%.5f", na_rep="nan")
