"""The two forms in which AffectNet is shipped, read as they are into arrays.

Both readers return ``(arrays, facts)``. Arrays, a row a face: ``names``, ``labels``, ``landmarks`` in pixels of the picture,
``frames`` (width and height of the picture, 0 for none), ``pictures`` (names of their files), and in the csv form ``boxes`` (x, y,
width and height of the face in its picture). All are of the picture as it is shown (``palcore.data.images``).
Facts: ``dropped``, ``{class: count}`` of the faces of other classes, which are not looked at further; ``problems``,
``[row, kind, sentence]``.
"""

import io
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.images import NO_PERMISSION, turned
from palcore.data.landmark_fit import as_shown
from palcore.data.listing import UNKNOWN, no_cell_lost, one_line
from palcore.data.probe import found_names, image_names, in_pieces, probe_images, seen_names
from palcore.progress import progress_bar

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
        if not path.is_file():
            raise FileNotFoundError
        # np.load would take what is no array for a pickle or an archive, and say so.
        values = np.lib.format.read_array(io.BytesIO(path.read_bytes()), allow_pickle=False).ravel()
        values.tolist()  # a text may have characters that there are none of, which shows where it is looked at
        return values
    except PermissionError:
        raise ValueError(f"{what} unreadable" if what != "label" else "label", NO_PERMISSION.format(path)) from None
    except FileNotFoundError:
        raise ValueError(f"{what} missing", f"no annotation {path} for affectnet: each face needs one") from None
    except Exception as problem:  # NumPy's reader passes on whatever damaged bytes raise in its parts
        kind = "label" if what == "label" else "landmarks unreadable"
        sentence = f"annotation {path} cannot be read ({one_line(problem)}): it must be a whole .npy file"
        raise ValueError(kind, sentence) from None


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


def _npy_face(folder, stem):
    """``(label or name of another class, landmarks, problems)`` of a face, from its annotations."""
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
    return label, points, problems


def _shown(arrays, orientations):
    """Landmarks and boxes as fractions of, and in pixels of, the pictures as they are shown: changed in place."""
    rows = np.flatnonzero((orientations > 1) & (arrays["frames"][:, 0] > 0))
    frames = arrays["frames"][rows].astype(np.float32)
    points, moved = as_shown((arrays["landmarks"][rows] + 0.5) / frames[:, None], frames, orientations[rows])
    arrays["landmarks"][rows] = points * frames[:, None] - 0.5
    for place in moved if "boxes" in arrays else []:
        row, orientation, frame = rows[place], orientations[rows[place]], frames[place]
        x, y, width, height = arrays["boxes"][row]
        stored = frame[::-1] if orientation > 4 else frame
        corners = turned(np.array([[x, y], [x + width, y + height]]) / stored, orientation) * frame
        arrays["boxes"][row] = *corners.min(axis=0), *np.ptp(corners, axis=0)


def _collected(names, faces, images, pictures, boxes=None):
    """The arrays and facts of all faces, once their pictures were looked at."""
    kept = [row for row, (label, *_) in enumerate(faces) if not isinstance(label, str)]
    others = [label for label, *_ in faces if isinstance(label, str)]
    paths = [images / pictures[row] for row in kept]
    frames, orientations, unseen = probe_images(paths, f"affectnet {images.parent.name}: images")
    arrays = {
        "names": np.array([names[row] for row in kept], str),
        "pictures": np.array([pictures[row] for row in kept], str),
        "labels": np.array([faces[row][0] for row in kept], np.int64),
        "landmarks": np.array([faces[row][1] for row in kept], np.float32).reshape(-1, 68, 2),
        "frames": frames,
    }
    if boxes is not None:
        arrays["boxes"] = np.array([boxes[row] for row in kept], np.float32).reshape(-1, 4)
    _shown(arrays, orientations)
    problems = [
        (place, *problem)
        for place, row in enumerate(kept)
        for problem in [*faces[row][2], *([unseen[place]] if place in unseen else [])]
    ]
    return arrays, {"dropped": {name: others.count(name) for name in EXPRESSIONS if name in others}, "problems": problems}


def read_npy_form(folder):
    """``train_set/`` or ``val_set/``: ``images/N.jpg``, ``annotations/N_exp.npy`` and ``N_lnd.npy``, as the module describes.

    A face is whatever has an image, of any suffix, or an expression.

    :raises ValueError: for two images of one face.
    """
    pictures = {}
    for name in image_names(folder / "images"):
        other = pictures.setdefault(Path(name).stem, name)
        if other != name:
            raise ValueError(f"both {other} and {name} in {folder / 'images'} are the image of one face: remove one")
    expressions = (name for name in seen_names(folder / "annotations") if name.endswith("_exp.npy"))
    stems = sorted({*pictures, *(name.removesuffix("_exp.npy") for name in expressions)}, key=lambda stem: (len(stem), stem))
    faces = in_pieces(partial(_npy_face, folder / "annotations"), stems, f"affectnet {folder.name}: annotations")
    names = [pictures.get(stem, f"{stem}.jpg") for stem in stems]
    return _collected(names, faces, folder / "images", names)


def _csv_face(table, number, name, text, expression):
    """As ``_npy_face``, for one row of a table."""
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
    as_text = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "index_col": False, "encoding": "utf-8-sig"}
    with no_cell_lost(table, "affectnet's csv file"):
        first = [name.strip() for name in pd.read_csv(table, nrows=0, **as_text)]
    headed = COLUMNS[0] in first
    missing = [name for name in USED if name not in first] if headed else []
    if missing or not (headed or len(first) == len(COLUMNS)):
        lacking = f"lacks the column {missing[0]!r}" if missing else f"has {len(first)} columns"
        raise ValueError(f"{table} {lacking}: it has {', '.join(USED)}, ...")
    given = {"header": 0, "names": first} if headed else {"header": None, "names": COLUMNS}
    with no_cell_lost(table, "affectnet's csv file"):
        yield from pd.read_csv(table, chunksize=ROWS, **as_text, **given)


def read_csv_form(table, images):
    """``training.csv`` or ``validation.csv``, with or without a header, and the pictures that it names, as the module describes.

    Facts also hold ``repeats``, ``[name, sentence]`` of each row that is left out because another has the same face.

    :raises ValueError: where the table cannot be read, lacks a column, or names a picture outside the folder.
    """
    names, faces, boxes, where, seen, repeats = [], [], [], [], {}, []  # a row a face, dropped classes among them
    for piece in progress_bar(_pieces(table), desc=f"affectnet {table.name}", unit_scale=ROWS, unit="face"):
        for number, name, *box, text, expression in piece[USED].itertuples(name=None):
            name = name.replace("\\", "/").strip()
            if any(letter < " " for letter in name):
                raise ValueError(f"row {number} of {table} names {name!r}, which can't be the name of a file: correct it")
            if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
                raise ValueError(f"row {number} of {table} names {name}, which lies outside {images}: correct it")
            face = _csv_face(table, number, name, text, expression)
            earlier = number if isinstance(face[0], str) else seen.setdefault((name, *_box(box)), number)
            if earlier != number:
                repeats.append((name, f"row {number} of {table} repeats the face of row {earlier}, {name}: remove one"))
                continue
            names.append(name)
            faces.append(face)
            boxes.append(_box(box))
            where.append(f"face box ({', '.join(box)}) of {name} in row {number} of {table}")
    arrays, facts = _collected(names, faces, images, found_names(images, names), boxes)
    where = [sentence for sentence, (label, *_) in zip(where, faces, strict=True) if not isinstance(label, str)]
    x, y, width, height = arrays["boxes"].T
    outside = ~((width >= 1) & (height >= 1) & np.isfinite(x) & np.isfinite(y))
    known = arrays["frames"][:, 0] > 0
    outside |= known & ~((x < arrays["frames"][:, 0]) & (y < arrays["frames"][:, 1]) & (x + width > 0) & (y + height > 0))
    found = [(int(row), "face box", f"{where[row]} lies outside its picture: correct it") for row in np.flatnonzero(outside)]
    facts["problems"] = sorted(facts["problems"] + found, key=lambda problem: problem[0])
    return arrays, facts | {"repeats": repeats}
