"""One csv file of landmarks for a whole data set: read, begun and continued."""

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

COORDINATES = [f"{axis}{landmark}" for landmark in range(68) for axis in "xy"]
COLUMNS = ["file", "found", *COORDINATES]
"""Header of the study's own form: fractions of the image's sides, from the top-left corner."""

PIXEL_COLUMNS = ["file", "detected", *COORDINATES]
"""Header of the other form: pixels, the first pixel's centre at (0, 0)."""

FARTHEST = 3.0
"""In fractions, the middle landmark of a table lies nowhere near this far from the corner: such values are pixels."""


def _read(path):
    if not path.is_file():
        raise FileNotFoundError(f"no landmark table {path}: `python -m palcore landmarks` makes one")
    try:
        return pd.read_csv(path, dtype={"file": str})
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError, zlib.error) as problem:
        raise ValueError(f"landmark table {path} cannot be read ({problem}): it must be a whole .csv or .csv.gz file") from None


def read_landmark_table(path, pixels=None):
    """Landmarks of many faces from a ``.csv`` or ``.csv.gz`` file.

    Two forms, told apart by their second column. ``file,found,x0,y0,...,x67,y67`` is the study's own: fractions of the
    image's sides from its top-left corner. ``file,detected,x0,...`` has pixels, the first pixel's centre at (0, 0).

    :param path: the table.
    :param pixels: ``(width, height)`` of the images, needed for the second form.
    :return: ``(files, found, landmarks)``: list of names, ``(N,)`` bool, ``(N, 68, 2)`` float32 in fractions. Where no face
        was found, the landmarks are what the table has: a guess, or NaN.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: for another header, a name that occurs twice, coordinates that are no numbers, not finite where a face
        was found, or pixels in a table of fractions.
    """
    path = Path(path)
    table = _read(path)
    header = list(table.columns)
    if header not in (COLUMNS, PIXEL_COLUMNS):
        raise ValueError(
            f"landmark table {path} has {len(header)} columns beginning {', '.join(header[:4])}: "
            f"it must have {len(COLUMNS)}, file, found (or detected), x0, y0, ... x67, y67"
        )
    if table["file"].isna().any():
        raise ValueError(f"row {int(np.argmax(table['file'].isna()))} of landmark table {path} names no file: remove it")
    repeated = table["file"][table["file"].duplicated()]
    if len(repeated):
        raise ValueError(f"landmark table {path} names {repeated.iloc[0]} more than once: remove a row")
    marks = table[header[1]]
    wrong = np.flatnonzero(~marks.isin([0, 1]))
    if wrong.size:
        name, value = table["file"].iat[wrong[0]], marks.iat[wrong[0]]
        raise ValueError(f"column {header[1]} of landmark table {path} is {value} for {name}: it must be 0 or 1")
    try:
        landmarks = table[COORDINATES].to_numpy(np.float64).reshape(-1, 68, 2)
    except ValueError as problem:
        raise ValueError(f"landmark table {path} has a coordinate that is no number ({problem}): correct it") from None
    if header[1] == "detected":
        if pixels is None:
            raise ValueError(f"landmark table {path} is in pixels (column detected): give the images' size to read it")
        landmarks = (landmarks + 0.5) / np.asarray(pixels)
    found = marks.to_numpy() == 1
    broken = np.flatnonzero(found & ~np.isfinite(landmarks).all(axis=(1, 2)))
    if broken.size:
        raise ValueError(f"landmarks of {table['file'].iat[broken[0]]} in {path} are not finite: correct or remove the row")
    if found.any() and np.median(np.abs(landmarks[found])) > FARTHEST:
        form = "fractions of the image's sides" if header[1] == "found" else f"pixels of images of {tuple(pixels)}"
        raise ValueError(f"landmarks in {path} reach {landmarks[found].max():g}, which are not {form}: make the table again")
    return table["file"].tolist(), found, landmarks.astype(np.float32)


def _open(path, mode):
    return (gzip.open if path.suffix == ".gz" else open)(path, mode, newline="", encoding="utf-8")


def write_header(path):
    """Begin a table in the study's own form, replacing what is there.

    :param path: ``.csv`` or ``.csv.gz``.
    """
    with _open(Path(path), "wt") as file:
        csv.writer(file).writerow(COLUMNS)


def append_rows(path, files, found, landmarks):
    """Add faces to a table in the study's own form, beginning it where there is none.

    :param path: ``.csv`` or ``.csv.gz``.
    :param files: names of the faces.
    :param found: whether a face was found in each.
    :param landmarks: ``(N, 68, 2)`` fractions; NaN where there are none.
    """
    path = Path(path)
    if not path.exists():
        write_header(path)
    with _open(path, "at") as file:
        writer = csv.writer(file)
        for name, seen, points in zip(files, found, landmarks, strict=True):
            writer.writerow([name, int(seen), *(f"{value:.5f}" for value in np.asarray(points).ravel())])


def landmarks_of(files, path, pixels=None, undetected="keep"):
    """Landmarks of some faces from a table that has at least those.

    :param files: their names.
    :param path: the table, see ``read_landmark_table``.
    :param pixels: likewise.
    :param undetected: ``"keep"`` what the table has where no face was found, or ``"leave_out"``: NaN, so that PAL ignores the
        face while the cross-entropy does not.
    :return: ``(N, 68, 2)`` float32 in fractions.
    :raises ValueError: for faces that the table lacks, or an unknown ``undetected``.
    """
    if undetected not in ("keep", "leave_out"):
        raise ValueError(f"undetected {undetected!r} of landmark table {path}: choose keep or leave_out")
    names, found, points = read_landmark_table(path, pixels)
    rows = pd.Index(names).get_indexer(pd.Index(files))
    lacking = np.flatnonzero(rows < 0)
    if lacking.size:
        raise ValueError(
            f"landmark table {path} lacks {lacking.size} of {len(files)} faces, {files[lacking[0]]} first: "
            "make it again with `python -m palcore landmarks`"
        )
    points = points[rows]
    if undetected == "leave_out":
        points[~found[rows]] = np.nan
    return points
