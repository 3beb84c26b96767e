"""The two forms in which AffectNet is shipped, read as they are into arrays.

Both readers return ``(arrays, facts)``. Arrays, a row a face: ``names``, ``labels``, ``landmarks`` in pixels of the picture,
``frames`` (width and height of the picture, 0 for none), and in the csv form ``boxes`` (x, y, width and height of the face in its
picture). Facts: ``dropped``, ``{class: count}`` of the faces of other classes, which are not looked at further; ``problems``,
``[row, kind, sentence]``.
"""

import io
import re
from functools import partial

import numpy as np
import pandas as pd
from tqdm import tqdm

from palcore import EMOTIONS
from palcore.data.listing import UNKNOWN
from palcore.data.probe import in_pieces, probe_images

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

BOX = ["face_x", "face_y", "face_width", "face_height"]
USED = ["subDirectory_filePath", *BOX, "facial_landmarks", "expression"]
COLUMNS = [*USED, "valence", "arousal"]
ROWS = 50_000
"""Rows of the csv form that are read at a time: the text of each is a kilobyte."""

NOTHING = np.full((68, 2), np.nan, np.float32)


def _expression(text):
    """A label from what an annotation holds: 0..6 in the order of ``EMOTIONS``, the name of a class that is dropped, or None."""
    try:
        name = dict(enumerate(EXPRESSIONS)).get(float(text))
    except ValueError:
        return None
    return EMOTIONS.index(name) if name in EMOTIONS else name


def _array(path, what):
    """The values of an annotation, ``(N,)``.

    :raises ValueError: with the kind of problem, and the sentence.
    """
    try:
        # np.load would take what is no array for a pickle or an archive, and say so.
        return np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False).ravel()
    except FileNotFoundError:
        raise ValueError(f"{what} missing", f"no annotation {path} for affectnet: each face needs one") from None
    except Exception as problem:  # NumPy's reader passes on whatever damaged bytes raise in its parts
        kind = "label" if what == "label" else "landmarks unreadable"
        reason = " ".join(str(problem).split())
        raise ValueError(kind, f"annotation {path} cannot be read ({reason}): it must be a whole .npy file") from None


def _points(values, where):
    """136 numbers or texts as ``(68, 2)``, errors as in ``_array``."""
    try:
        values = np.asarray(values, np.float64)
    except ValueError:
        raise ValueError("landmarks unreadable", f"landmarks in {where} are no numbers: there must be 136") from None
    if values.size != 136:
        sentence = f"landmarks in {where} are {values.size} numbers: there must be 136, x0 y0 x1 y1 ..."
        raise ValueError("landmarks not 68", sentence)
    if not np.isfinite(values).all():
        raise ValueError("landmarks not finite", f"landmarks in {where} have a number that is not finite: correct it")
    return values.reshape(68, 2).astype(np.float32)


def _npy_faces(folder, stems):
    """``(label or name of another class, landmarks, problems)`` of some faces, from their annotations."""
    faces = []
    for stem in stems:
        label, points, problems = UNKNOWN, NOTHING, []
        path = folder / f"{stem}_exp.npy"
        try:
            values = _array(path, "label")
            shown = values[0] if values.size == 1 else f"{values.size} values"
            label = _expression(shown)
            if label is None:
                label = UNKNOWN
                raise ValueError("label", f"expression {shown} in {path}: it must be one whole number from 0 to 10")
        except ValueError as problem:
            problems.append(problem.args)
        path = folder / f"{stem}_lnd.npy"
        try:
            points = NOTHING if isinstance(label, str) else _points(_array(path, "landmarks"), path)
        except ValueError as problem:
            problems.append(problem.args)
        faces.append((label, points, problems))
    return faces


def _collected(names, faces, images, boxes=None):
    """The arrays and facts of all faces, once their pictures were looked at."""
    kept = [row for row, (label, *_) in enumerate(faces) if not isinstance(label, str)]
    others = [label for label, *_ in faces if isinstance(label, str)]
    frames, unseen = probe_images([images / names[row] for row in kept], f"affectnet {images.parent.name}: images")
    problems = [
        (place, *problem)
        for place, row in enumerate(kept)
        for problem in [*faces[row][2], *([unseen[place]] if place in unseen else [])]
    ]
    arrays = {
        "names": np.array([names[row] for row in kept], str),
        "labels": np.array([faces[row][0] for row in kept], np.int64),
        "landmarks": np.array([faces[row][1] for row in kept], np.float32).reshape(-1, 68, 2),
        "frames": frames,
    }
    if boxes is not None:
        arrays["boxes"] = np.array([boxes[row] for row in kept], np.float32).reshape(-1, 4)
    return arrays, {"dropped": {name: others.count(name) for name in EXPRESSIONS if name in others}, "problems": problems}


def read_npy_form(folder):
    """``train_set/`` or ``val_set/``: ``images/N.jpg``, ``annotations/N_exp.npy`` and ``N_lnd.npy``, as the module describes.

    A face is whatever has an image or an expression.
    """
    stems = {path.name.removesuffix(".jpg") for path in (folder / "images").glob("*.jpg")}
    stems |= {path.name.removesuffix("_exp.npy") for path in (folder / "annotations").glob("*_exp.npy")}
    stems = sorted(stems, key=lambda stem: (len(stem), stem))
    pieces = in_pieces(partial(_npy_faces, folder / "annotations"), stems, f"affectnet {folder.name}: annotations")
    return _collected([f"{stem}.jpg" for stem in stems], [face for piece in pieces for face in piece], folder / "images")


def _csv_face(table, number, name, text, expression):
    """As ``_npy_faces``, for one row of a table."""
    label, points, problems = _expression(expression), NOTHING, []
    if label is None:
        sentence = f"expression {expression} of {name} in row {number} of {table}: it must be in 0..10"
        label, problems = UNKNOWN, [("label", sentence)]
    try:
        if not isinstance(label, str):
            points = _points(re.findall(r"[^;\s]+", text), f"row {number} of {table}")
    except ValueError as problem:
        problems.append(problem.args)
    return label, points, problems


def _box(cells):
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return [np.nan] * 4


def _pieces(table):
    """The rows of a table, some at a time.

    :raises ValueError: where it cannot be read, or lacks a column.
    """
    try:
        with open(table, encoding="utf-8-sig") as file:
            first = [cell.strip() for cell in file.readline().split(",")]
        headed = COLUMNS[0] in first
        missing = [name for name in USED if name not in first] if headed else []
        if missing or not (headed or len(first) == len(COLUMNS)):
            lacking = f"lacks the column {missing[0]!r}" if missing else f"has {len(first)} columns"
            raise ValueError(f"{table} {lacking}: it has {', '.join(USED)}, ...")
        given = {} if headed else {"header": None, "names": COLUMNS}
        yield from pd.read_csv(
            table, dtype=str, keep_default_na=False, chunksize=ROWS, skipinitialspace=True, encoding="utf-8-sig", **given
        )
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as problem:
        raise ValueError(f"{table} cannot be read ({problem}): it must be affectnet's csv file") from None


def read_csv_form(table, images):
    """``training.csv`` or ``validation.csv``, with or without a header, and the pictures that it names, as the module describes.

    Facts also hold ``repeats``, ``[name, sentence]`` of each row that is left out because another has the same face.

    :raises ValueError: where the table cannot be read, or lacks a column.
    """
    names, faces, boxes, where, seen, repeats = [], [], [], [], {}, []
    for piece in tqdm(_pieces(table), desc=f"affectnet {table.name}", unit_scale=ROWS, unit="face"):
        for number, name, box, text, expression in zip(
            piece.index, piece[USED[0]], piece[BOX].to_numpy().tolist(), piece["facial_landmarks"], piece["expression"], strict=True
        ):
            face = _csv_face(table, number, name, text, expression)
            earlier = number if isinstance(face[0], str) else seen.setdefault((name, *_box(box)), number)
            if earlier != number:
                repeats.append((name, f"row {number} of {table} repeats the face of row {earlier}, {name}: remove one"))
                continue
            names.append(name)
            faces.append(face)
            boxes.append(_box(box))
            where.append(f"face box ({', '.join(box)}) of {name} in row {number} of {table}")
    arrays, facts = _collected(names, faces, images, boxes)
    where = [sentence for sentence, (label, *_) in zip(where, faces, strict=True) if not isinstance(label, str)]
    x, y, width, height = arrays["boxes"].T
    outside = ~((width >= 1) & (height >= 1) & np.isfinite(x) & np.isfinite(y))
    known = arrays["frames"][:, 0] > 0
    outside |= known & ~((x < arrays["frames"][:, 0]) & (y < arrays["frames"][:, 1]) & (x + width > 0) & (y + height > 0))
    found = [(int(row), "face box", f"{where[row]} lies outside its picture: correct it") for row in np.flatnonzero(outside)]
    facts["problems"] = sorted(facts["problems"] + found, key=lambda problem: problem[0])
    return arrays, facts | {"repeats": repeats}
