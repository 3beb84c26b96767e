"""One csv file of landmarks for a whole data set: read, begun and continued."""

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from palcore.data.listing import KINDS, Problem

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


def examine_landmark_table(path):
    """All of a table with all that is wrong with it.

    :return: ``(files, found, landmarks, in_pixels, problems)``: ``(N,)`` str, ``(N,)`` bool, ``(N, 68, 2)`` float64 as they stand
        in the table, whether those are pixels, and a list of ``palcore.data.listing.Problem``. A table that cannot be read has
        no rows and one problem.
    """
    path = Path(path)
    nothing = np.zeros(0, str), np.zeros(0, bool), np.zeros((0, 68, 2)), False
    try:
        table = _read(path)
    except (FileNotFoundError, ValueError) as problem:
        kind = "layout" if isinstance(problem, FileNotFoundError) else "table"
        return *nothing, [Problem(kind, str(path), str(problem))]
    header = list(table.columns)
    if header not in (COLUMNS, PIXEL_COLUMNS):
        sentence = (
            f"landmark table {path} has {len(header)} columns beginning {', '.join(header[:4])}: "
            f"it must have {len(COLUMNS)}, file, found (or detected), x0, y0, ... x67, y67"
        )
        return *nothing, [Problem("table", str(path), sentence)]
    problems = []
    nameless = table["file"].isna()
    if nameless.any():
        sentence = f"row {int(np.argmax(nameless))} of landmark table {path} names no file: remove it"
        problems.append(Problem("table", str(path), sentence))
        table = table[~nameless]
    repeated = table["file"].duplicated()
    for name in table["file"][repeated].unique():
        problems.append(Problem("table", name, f"landmark table {path} names {name} more than once: remove a row"))
    table = table[~repeated]
    marks = table[header[1]]
    good = marks.isin([0, 1])
    for name, value in zip(table["file"][~good], marks[~good], strict=True):
        sentence = f"column {header[1]} of landmark table {path} is {value} for {name}: it must be 0 or 1"
        problems.append(Problem("table", name, sentence))
    table = table[good]
    files, found = table["file"].to_numpy(str), table[header[1]].to_numpy(np.float64) == 1
    values = table[COORDINATES]
    try:
        landmarks = values.to_numpy(np.float64)
    except ValueError:
        numbers = values.apply(pd.to_numeric, errors="coerce")
        landmarks = numbers.to_numpy(np.float64)
        for row, column in np.argwhere((numbers.isna() & values.notna()).to_numpy()):
            text = values.iat[row, column]
            sentence = f"landmark table {path} has {text!r} for {COORDINATES[column]} of {files[row]}: it must be a number"
            problems.append(Problem("landmarks unreadable", files[row], sentence))
    landmarks = landmarks.reshape(-1, 68, 2)
    unreadable = {problem.file for problem in problems if problem.kind == "landmarks unreadable"}
    for row in np.flatnonzero(found & ~np.isfinite(landmarks).all(axis=(1, 2))):
        if files[row] not in unreadable:
            sentence = f"landmarks of {files[row]} in {path} are not finite: correct or remove the row"
            problems.append(Problem("landmarks not finite", files[row], sentence))
    return files, found, landmarks, header[1] == "detected", problems


def _fractions(landmarks, found, in_pixels, frames, path):
    """Landmarks in fractions of ``frames`` (width and height of all images, or ``(N, 2)``)."""
    if in_pixels:
        frames = np.asarray(frames, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            landmarks = (landmarks + 0.5) / np.where(frames > 0, frames, np.nan).reshape(-1, 1, 2)
    seen = landmarks[found & np.isfinite(landmarks).all(axis=(1, 2))]
    if len(seen) and np.median(np.abs(seen)) > FARTHEST:
        form = "fractions of the image's sides"
        if in_pixels:
            form = "pixels of images of {:g}x{:g}".format(*np.ravel(frames)[:2])
        raise ValueError(f"landmarks in {path} reach {seen.max():g}, which are not {form}: make the table again")
    return landmarks


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
    files, found, landmarks, in_pixels, problems = examine_landmark_table(path)
    if problems:
        raise KINDS[problems[0].kind](problems[0].sentence)
    if in_pixels and pixels is None:
        raise ValueError(f"landmark table {path} is in pixels (column detected): give the images' size to read it")
    return files.tolist(), found, _fractions(landmarks, found, in_pixels, pixels, path).astype(np.float32)


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


def landmarks_of(files, path, frames, undetected="keep", key=str, examine=examine_landmark_table):
    """Landmarks of some faces from a table that should have at least those.

    :param files: their names.
    :param path: the table, see ``read_landmark_table``.
    :param frames: width and height of the images, of all alike or ``(N, 2)``.
    :param undetected: ``"keep"`` what the table has where no face was found, or ``"leave_out"``: NaN, so that PAL ignores the
        face while the cross-entropy does not.
    :param key: what makes a name of the table the face's name.
    :param examine: reads the table, as ``examine_landmark_table`` does.
    :return: ``(landmarks, problems)``: ``(N, 68, 2)`` float32 in fractions, NaN for faces that the table lacks, and a list of
        ``palcore.data.listing.Problem``.
    :raises ValueError: for an unknown ``undetected``.
    """
    if undetected not in ("keep", "leave_out"):
        raise ValueError(f"undetected {undetected!r} of landmark table {path}: choose keep or leave_out")
    names, found, points, in_pixels, problems = examine(path)
    wanted = set(files)
    problems = [problem for problem in problems if problem.kind in ("layout", "table") or key(problem.file) in wanted]
    index = pd.Index([key(name) for name in names])
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        return np.full((len(files), 68, 2), np.nan, np.float32), [
            Problem("table", twice, f"landmark table {path} names {twice} more than once: remove a row")
        ]
    rows = index.get_indexer(pd.Index(files))
    absent = rows < 0
    landmarks = np.full((len(files), 68, 2), np.nan)
    landmarks[~absent] = points[rows[~absent]]
    seen = np.zeros(len(files), bool)
    seen[~absent] = found[rows[~absent]]
    try:
        landmarks = _fractions(landmarks, seen, in_pixels, frames, path)
    except ValueError as problem:
        problems.append(Problem("landmarks elsewhere", str(path), str(problem)))
        landmarks[:] = np.nan
    if undetected == "leave_out":
        landmarks[~seen] = np.nan
    if not any(problem.kind in ("layout", "table") for problem in problems):
        told = {key(problem.file) for problem in problems}
        lacking = [name for name in np.asarray(files)[absent] if name not in told]
        problems += [
            Problem("landmarks missing", name, f"landmark table {path} lacks {name}: `python -m palcore landmarks` adds it")
            for name in lacking
        ]
    return landmarks.astype(np.float32), problems
