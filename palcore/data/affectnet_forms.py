"""The two forms in which AffectNet is shipped, read as they are into arrays."""

import io
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from palcore import EMOTIONS
from palcore.data.listing import UNKNOWN
from palcore.data.probe import in_pieces, probe_image

EXPRESSIONS = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "none",
    "uncertain",
    "no face",
)
"""The expression that each number means; those after anger are no part of the seven-class task."""

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
BOX = list(COLUMNS[1:5])
ROWS = 50_000
"""Rows of the csv form that are read at a time."""

_headers = {}


def read_array(path):
    """The values of a ``.npy`` file without pickled objects, ``(N,)``. Most headers repeat, and are understood once.

    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where it is no such array, or is cut short.
    """
    data = Path(path).read_bytes()
    start = 10 + int.from_bytes(data[8:10], "little")
    header = data[:start]
    if header not in _headers:
        file = io.BytesIO(data)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(file)[0]
        if version not in read:
            raise ValueError(f"version {version} of the .npy format")
        shape, fortran, dtype = read[version](file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")
        if version == 1:
            _headers[header] = shape, fortran, dtype
        start = file.tell()
    else:
        shape, fortran, dtype = _headers[header]
    count = int(np.prod(shape))
    if len(data) - start < count * dtype.itemsize:
        raise ValueError("it is cut short")
    values = np.frombuffer(data, dtype, count, start)
    return values.reshape(shape, order="F").ravel() if fortran else values


def expression(text):
    """A label from what an annotation holds: 0..6 in the order of ``EMOTIONS``, the name of a class that is dropped, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    if number not in range(len(EXPRESSIONS)):
        return None
    name = EXPRESSIONS[int(number)]
    return EMOTIONS.index(name) if name in EMOTIONS else name


def _annotation(path, what):
    """``(values, None)``, or ``(None, (kind, sentence))``. ``what``: ``label`` or ``landmarks``."""
    try:
        return read_array(path), None
    except FileNotFoundError:
        return None, (f"{what} missing", f"no annotation {path} for affectnet: each face needs one")
    except (ValueError, OSError) as problem:
        kind = "label" if what == "label" else "landmarks unreadable"
        return None, (kind, f"annotation {path} cannot be read ({' '.join(str(problem).split())}): it must be a whole .npy file")


def _landmarks(values, where):
    """136 numbers or texts as ``(68, 2)``, and problems."""
    nothing = np.full((68, 2), np.nan, np.float32)
    try:
        values = np.asarray(values, np.float64)
    except ValueError:
        return nothing, ("landmarks unreadable", f"landmarks in {where} are no numbers: there must be 136")
    if values.size != 136:
        return nothing, ("landmarks not 68", f"landmarks in {where} are {values.size} numbers: there must be 136, x0 y0 x1 y1 ...")
    if not np.isfinite(values).all():
        return nothing, ("landmarks not finite", f"landmarks in {where} have a number that is not finite: correct it")
    return values.reshape(68, 2).astype(np.float32), None


def _frame(path):
    try:
        return probe_image(path), None
    except FileNotFoundError as problem:
        return (0, 0), ("image missing", str(problem))
    except ValueError as problem:
        return (0, 0), ("image unreadable", str(problem))


def _npy_faces(folder, stems):
    """For some faces: label or class that is dropped, landmarks in pixels, size of the image, problems."""
    rows = []
    for stem in stems:
        path = folder / "annotations" / f"{stem}_exp.npy"
        values, problem = _annotation(path, "label")
        problems = [problem] if problem else []
        label = UNKNOWN
        if values is not None:
            label = expression(values[0]) if values.size == 1 else None
            if label is None:
                shown = values[0] if values.size == 1 else f"{values.size} values"
                problems.append(("label", f"expression {shown} in {path}: it must be one whole number from 0 to 10"))
                label = UNKNOWN
        if isinstance(label, str):
            rows.append((label, None, None, []))
            continue
        path = folder / "annotations" / f"{stem}_lnd.npy"
        values, problem = _annotation(path, "landmarks")
        points, problem = (np.full((68, 2), np.nan, np.float32), problem) if problem else _landmarks(values, path)
        frame, unseen = _frame(folder / "images" / f"{stem}.jpg")
        rows.append((label, points, frame, [*problems, *(found for found in (problem, unseen) if found)]))
    return rows


def _collected(names, rows, boxes=None):
    """Rows of faces as ``(arrays, facts)`` for the index, those of other classes counted only."""
    dropped = {}
    for label, *_ in rows:
        if isinstance(label, str):
            dropped[label] = dropped.get(label, 0) + 1
    kept = [row for row, (label, *_) in enumerate(rows) if not isinstance(label, str)]
    arrays = {
        "names": np.array([names[row] for row in kept], str),
        "labels": np.array([rows[row][0] for row in kept], np.int64),
        "landmarks": np.array([rows[row][1] for row in kept], np.float32).reshape(-1, 68, 2),
        "frames": np.array([rows[row][2] for row in kept], np.int32).reshape(-1, 2),
    }
    if boxes is not None:
        arrays["boxes"] = np.array([boxes[row] for row in kept], np.float32).reshape(-1, 4)
    problems = [(place, *problem) for place, row in enumerate(kept) for problem in rows[row][3]]
    return arrays, {"dropped": {name: dropped[name] for name in EXPRESSIONS if name in dropped}, "problems": problems}


def read_npy_form(folder):
    """``train_set/`` or ``val_set/``: ``images/N.jpg``, ``annotations/N_exp.npy`` and ``N_lnd.npy``.

    A face is whatever has an image or an expression. Those of other classes are counted without looking further.

    :return: ``(arrays, facts)``. Arrays: ``names`` (``N.jpg``), ``labels``, ``landmarks`` in pixels, ``frames`` (width and
        height of each image, 0 for none). Facts: ``dropped``, ``{class: count}``, and ``problems``, ``[row, kind, sentence]``.
    """
    stems = {path.name.removesuffix(".jpg") for path in (folder / "images").glob("*.jpg")}
    stems |= {path.name.removesuffix("_exp.npy") for path in (folder / "annotations").glob("*_exp.npy")}
    stems = sorted(stems, key=lambda stem: (len(stem), stem))
    pieces = in_pieces(partial(_npy_faces, folder), stems, f"affectnet {folder.name}: index")
    return _collected([f"{stem}.jpg" for stem in stems], [row for piece in pieces for row in piece])


def _csv_face(row, images, table):
    """One row of the csv form, as ``_npy_faces``; its box as numbers, or None."""
    number, name, box, text, label_text = row
    label = expression(label_text)
    if isinstance(label, str):
        return (label, None, None, []), None
    problems = []
    if label is None:
        problems.append(("label", f"expression {label_text} of {name} in row {number} of {table}: it must be in 0..10"))
        label = UNKNOWN
    where = f"row {number} of {table}"
    points, problem = _landmarks(re.split(r"[;\s]+", text.strip("; \t")) if text.strip() else [], where)
    problems += [problem] if problem else []
    frame, problem = _frame(images / name)
    problems += [problem] if problem else []
    shown = ", ".join(box)
    try:
        x, y, width, height = box = [float(value) for value in box]
    except ValueError:
        x, y, width, height = box = [np.nan] * 4
    inside = width >= 1 and height >= 1 and np.isfinite([x, y]).all()
    if inside and frame[0]:
        inside = x < frame[0] and y < frame[1] and x + width > 0 and y + height > 0
    if not inside:
        problems.append(("face box", f"face box ({shown}) of {name} in {where} lies outside its picture: correct it"))
    return (label, points, frame, problems), box


def _csv_faces(images, table, rows):
    return [_csv_face(row, images, table) for row in rows]


def _no_table(sentence):
    arrays, facts = _collected([], [], [])
    return arrays, facts | {"table": sentence, "repeats": []}


def read_csv_form(table, images):
    """``training.csv`` or ``validation.csv``, with or without a header, and the pictures that it names.

    :return: as ``read_npy_form``, and the array ``boxes`` (x, y, width, height of the face in its picture); landmarks and frames
        are those of the whole picture. Facts: also ``repeats``, ``[name, sentence]`` of each row that is left out because another
        has the same face; and ``table``, a sentence, where the table cannot be read.
    """
    rows, boxes, names, seen, repeats = [], [], [], {}, []
    try:
        with open(table, encoding="utf-8-sig") as file:
            first = [cell.strip() for cell in file.readline().split(",")]
        headed = COLUMNS[0] in first
        missing = [name for name in COLUMNS[:7] if name not in first] if headed else []
        if missing or not (headed or len(first) == len(COLUMNS)):
            wanted = ", ".join(COLUMNS[:7])
            lacking = f"lacks the column {missing[0]!r}" if missing else f"has {len(first)} columns"
            return _no_table(f"{table} {lacking}: it has {wanted}, ...")
        given = {} if headed else {"header": None, "names": COLUMNS}
        reader = pd.read_csv(
            table, dtype=str, keep_default_na=False, chunksize=ROWS, skipinitialspace=True, encoding="utf-8-sig", **given
        )
        with reader as pieces, tqdm(desc=f"affectnet {table.name}: index", unit="face") as bar:
            for piece in pieces:
                columns = piece[COLUMNS[0]], piece[BOX].to_numpy().tolist(), piece[COLUMNS[5]], piece["expression"]
                piece = list(zip(piece.index, *columns, strict=True))
                done = in_pieces(partial(_csv_faces, images, table), piece)
                for (number, name, box, *_), (row, numbers) in zip(piece, [one for some in done for one in some], strict=True):
                    earlier = number if numbers is None else seen.setdefault((name, *box), number)
                    if earlier != number:
                        repeats.append((name, f"row {number} of {table} repeats the face of row {earlier}, {name}: remove one"))
                        continue
                    rows.append(row)
                    boxes.append(numbers)
                    names.append(name)
                bar.update(len(piece))
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as problem:
        return _no_table(f"{table} cannot be read ({problem}): it must be affectnet's csv file")
    arrays, facts = _collected(names, rows, boxes)
    return arrays, facts | {"repeats": repeats}
