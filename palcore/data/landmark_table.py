"""One csv file of landmarks for a whole data set: read, begun and continued."""

from pathlib import Path

import numpy as np
import pandas as pd

from palcore.data.listing import KINDS, Problem, no_cell_lost

COORDINATES = [f"{axis}{landmark}" for landmark in range(68) for axis in "xy"]
COLUMNS = ["file", "found", *COORDINATES]
"""Header of the study's own form: fractions of the image's sides, from the top-left corner."""

PIXEL_COLUMNS = ["file", "detected", *COORDINATES]
"""Header of the other form: pixels, the first pixel's centre at (0, 0)."""

FARTHEST = 3.0
"""In fractions, the middle landmark of a table lies nowhere near this far from the corner: such values are pixels."""


def examine_landmark_table(path, key=str):
    """All of a table with all that is wrong with it.

    :param key: what makes a name of the table the face's name.
    :return: ``(files, found, landmarks, in_pixels, problems)``: ``(N,)`` str, ``(N,)`` bool, ``(N, 68, 2)`` float64 as they stand
        in the table, whether those are pixels, and a list of ``palcore.data.listing.Problem``. A table that cannot be read has
        no rows and one problem.
    """
    path, problems = Path(path), []

    def nothing(kind, sentence):
        return np.zeros(0, str), np.zeros(0, bool), np.zeros((0, 68, 2)), False, [Problem(kind, str(path), sentence)]

    if not path.is_file():
        return nothing("layout", f"no landmark table {path}: `python -m palcore landmarks` makes one")
    try:
        with no_cell_lost(f"landmark table {path}", "a whole .csv or .csv.gz file"):
            table = pd.read_csv(path, dtype={"file": str}, index_col=False)
    except ValueError as problem:
        return nothing("table", str(problem))
    header = list(table.columns)
    if header not in (COLUMNS, PIXEL_COLUMNS):
        return nothing(
            "table",
            f"landmark table {path} has {len(header)} columns beginning {', '.join(header[:4])}: "
            f"it must have {len(COLUMNS)}, file, found (or detected), x0, y0, ... x67, y67",
        )
    nameless = table["file"].isna()
    if nameless.any():
        sentence = f"row {int(np.argmax(nameless))} of landmark table {path} names no file: remove it"
        problems.append(Problem("table", str(path), sentence))
        table = table[~nameless]
    table = table.assign(file=[key(name.replace("\\", "/")) for name in table["file"]])
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
    files, found, values = table["file"].to_numpy(str), marks[good].to_numpy(np.float64) == 1, table[COORDINATES]
    numbers = values.apply(pd.to_numeric, errors="coerce")
    words = (numbers.isna() & values.notna()).to_numpy()
    for row, column in np.argwhere(words):
        sentence = (
            f"landmark table {path} has {values.iat[row, column]!r} for {COORDINATES[column]} of {files[row]}: it must be a number"
        )
        problems.append(Problem("landmarks unreadable", files[row], sentence))
    landmarks = numbers.to_numpy(np.float64).reshape(-1, 68, 2)
    for row in np.flatnonzero(found & ~words.any(axis=1) & ~np.isfinite(landmarks).all(axis=(1, 2))):
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

    :param pixels: ``(width, height)`` of the images, needed for the second form.
    :return: ``(files, found, landmarks)``: list of names, ``(N,)`` bool, ``(N, 68, 2)`` float32 in fractions. Where no face
        was found, the landmarks are what the table has: a guess, or NaN.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: for the first thing that is wrong with it.
    """
    files, found, landmarks, in_pixels, problems = examine_landmark_table(path)
    if problems:
        raise KINDS[problems[0].kind](problems[0].sentence)
    if in_pixels and pixels is None:
        raise ValueError(f"landmark table {path} is in pixels (column detected): give the images' size to read it")
    return files.tolist(), found, _fractions(landmarks, found, in_pixels, pixels, path).astype(np.float32)


def append_rows(path, files=(), found=(), landmarks=()):
    """Add faces to a table in the study's own form, beginning it where there is none.

    :param path: ``.csv`` or ``.csv.gz``.
    :param landmarks: ``(N, 68, 2)`` fractions; NaN where there are none.
    """
    rows = pd.DataFrame(np.reshape(landmarks, (-1, 136)), columns=COORDINATES)
    rows.insert(0, "file", files)
    rows.insert(1, "found", np.asarray(found, int))
    rows.to_csv(path, mode="a", header=not Path(path).exists(), index=False, float_format="%.5f", na_rep="nan")


def landmarks_of(files, path, frames, undetected="keep", key=str, examine=examine_landmark_table):
    """Landmarks of some faces from a table that should have at least those.

    :param path: the table, see ``read_landmark_table``.
    :param frames: width and height of the images, of all alike or ``(N, 2)``.
    :param undetected: ``"keep"`` what the table has where no face was found, or ``"leave_out"``: NaN, so that PAL ignores the
        face while the cross-entropy does not.
    :param key: what makes a name of the table the face's name.
    :return: ``(landmarks, problems, names, in_pixels)``: ``(N, 68, 2)`` float32 in fractions, NaN for faces that the table lacks; a
        list of ``palcore.data.listing.Problem``; all names in the table; and whether it is in pixels.
    :raises ValueError: for an unknown ``undetected``.
    """
    if undetected not in ("keep", "leave_out"):
        raise ValueError(f"undetected {undetected!r} of landmark table {path}: choose keep or leave_out")
    names, found, points, in_pixels, problems = examine(path, key)
    wanted = set(files)
    problems = [problem for problem in problems if problem.kind in ("layout", "table") or problem.file in wanted]
    rows = pd.Index(names).get_indexer(pd.Index(files))
    there = rows >= 0
    landmarks, seen = np.full((len(files), 68, 2), np.nan), np.zeros(len(files), bool)
    landmarks[there], seen[there] = points[rows[there]], found[rows[there]]
    try:
        landmarks = _fractions(landmarks, seen, in_pixels, frames, path)
    except ValueError as problem:
        problems.append(Problem("landmarks elsewhere", str(path), str(problem)))
        landmarks[:] = np.nan
    if undetected == "leave_out":
        landmarks[~seen] = np.nan
    if not any(problem.kind in ("layout", "table") for problem in problems):
        problems += [
            Problem("landmarks missing", name, f"landmark table {path} lacks {name}: `python -m palcore landmarks` adds it")
            for name in np.asarray(files)[~there]
        ]
    with np.errstate(over="ignore"):  # what is too large is told of its face
        landmarks = landmarks.astype(np.float32)
    return landmarks, problems, names, in_pixels
