"""Landmarks for images that have none: dlib's face detector and 68-point predictor, one table for a whole data set."""

import gzip
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from palcore.data import find_data_set, load
from palcore.data.landmark_table import append_rows, read_landmark_table
from palcore.data.readers import SPLITS
from palcore.progress import progress_bar

WORKING_SIDE = 192
"""Longer side in pixels of what the detector sees. It finds faces from 80 pixels on: the 48 of FER2013 are enlarged four times."""

BORDER = 24
"""Pixels by which the image's edge is repeated outwards for the detector, which misses faces that fill the image. In 300 faces of
FER2013 it found 78 % with this border and 68 % without."""

BOX_MARGIN = 0.05
"""Where no face is found, the box given to the predictor leaves this share of each side free."""

PHOTO_SIDE = 1000
"""Longer side in pixels at which faces are looked for in a picture of any size: those of 40 pixels and more are found."""

FACE_MARGIN = 0.15
"""Share of a found box that is added on each side: the detector's box ends at brows and chin."""

LICENCE = (
    "The 68-point predictor was trained on the iBUG 300-W faces, whose licence excludes commercial use: "
    "these landmarks are for research only."
)

EXTRA = "python -m pip install -e '.[landmarks]'"
"""What installs dlib and the predictor, in the study's folder."""

PACKAGE = "face_recognition_models"
"""It holds dlib's trained files. It cannot be imported: it needs pkg_resources, which setuptools no longer has."""

PREDICTOR = "models/shape_predictor_68_face_landmarks.dat"

BATCH = 50
"""Faces after which the table is written: what an interruption costs at most."""


def working_image(image):
    """An image ``(H, W, 3)`` uint8 at the size that the detector sees, sides in proportion."""
    height, width = image.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)


def centre_box(height, width):
    """``(left, top, right, bottom)`` in pixels: the box for an image in which no face was found."""
    across, down = round(BOX_MARGIN * width), round(BOX_MARGIN * height)
    return across, down, width - 1 - across, height - 1 - down


def _dlib(what):
    if importlib.util.find_spec("dlib") is None:
        raise FileNotFoundError(f"dlib is not installed, which finds the {what}: in the study's folder run {EXTRA}")
    return importlib.import_module("dlib")


def dlib_detector():
    """A function of an image ``(H, W, 3)`` uint8 RGB that returns ``(found, landmarks)``.

    ``found`` is a bool, ``landmarks`` ``(68, 2)`` float64 in iBUG order, fractions of the image's sides from its top-left
    corner. Of several faces the largest counts. Where none is found, the landmarks are the predictor's answer to a box at the
    centre, which fits images that were cut out around a face. The detector is dlib's histogram of gradients (King, 2009); the
    predictor an ensemble of regression trees (Kazemi and Sullivan, 2014).

    :raises FileNotFoundError: where the extra ``landmarks`` is not installed.
    """
    dlib = _dlib("landmarks")
    from palcore.weights import packaged_file  # here, since it starts Keras

    path = packaged_file(PACKAGE, PREDICTOR)
    find, predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(path))

    def detect(image):
        picture = working_image(image)
        height, width = picture.shape[:2]
        picture = cv2.copyMakeBorder(picture, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
        boxes = find(picture, 0)
        centre = dlib.rectangle(*(BORDER + edge for edge in centre_box(height, width)))
        box = max(boxes, key=lambda box: box.area()) if boxes else centre
        points = np.array([(point.x, point.y) for point in predict(picture, box).parts()])
        # dlib counts pixels from the first one's centre, the study from the image's corner.
        return bool(boxes), (points - BORDER + 0.5) / (width, height)

    return detect


def square_around(box, margin=FACE_MARGIN):
    """``(left, top, side)`` in pixels: the square around a box's middle, larger than its longer side by ``margin`` on each side.

    :param box: ``(left, top, right, bottom)`` in pixels.
    """
    left, top, right, bottom = box
    side = round((1 + 2 * margin) * max(right - left, bottom - top))
    return round((left + right - side) / 2), round((top + bottom - side) / 2), side


def face_crops(image, find=None):
    """The faces in a picture of any size, each cut out as a square, the largest first. Beyond the picture its edge repeats.

    :param image: ``(H, W, 3)`` uint8 RGB.
    :param find: a function of a picture that returns boxes ``(left, top, right, bottom)`` in pixels; None for dlib's detector.
    :return: list of ``(side, side, 3)`` uint8 RGB; empty where no face is found.
    :raises FileNotFoundError: where the extra ``landmarks`` is not installed.
    """
    scale = min(1.0, PHOTO_SIDE / max(image.shape[:2]))
    picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    boxes = sorted((find or _dlib_boxes)(picture), key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
    crops = []
    for box in boxes:
        left, top, side = square_around(np.asarray(box) / scale)
        padded = cv2.copyMakeBorder(image, side, side, side, side, cv2.BORDER_REPLICATE)
        crops.append(padded[top + side : top + 2 * side, left + side : left + 2 * side])
    return crops


def _dlib_boxes(picture):
    boxes = _dlib("faces").get_frontal_face_detector()(picture, 1)
    return [(box.left(), box.top(), box.right(), box.bottom()) for box in boxes]


def detector_versions():
    """Versions of what ``dlib_detector`` uses: ``{package: version}``."""
    return {name: importlib.metadata.version(name) for name in ("dlib-bin", "face-recognition-models", "opencv-python-headless")}


@dataclass(frozen=True)
class Summary:
    """What ``write_landmarks`` has done: faces in the table, those made now, those with a face found, images it could not read."""

    faces: int
    new: int
    found: int
    unreadable: tuple[str, ...]


def _begin(part, out, names):
    """Rows that are there already, as ``{name: found}``, with ``part`` ready to be appended to."""
    if part.exists():
        content = part.read_bytes()
        whole = content.rfind(b"\n") + 1  # the last line may be cut off
        os.truncate(part, whole)
        if whole == 0:
            part.unlink()
    elif out.exists():
        try:
            append_rows(part, *read_landmark_table(out))
        except ValueError as problem:
            raise ValueError(f"{problem}; it is left as it is, give another --out") from None
    append_rows(part)
    files, found, _ = read_landmark_table(part)
    strange = [name for name in files if name not in names]
    if strange:
        raise ValueError(
            f"{out if out.exists() else part} has landmarks of {len(strange)} faces that the data set lacks, {strange[0]} first: "
            "check data_dir, or give another --out"
        )
    return dict(zip(files, found.tolist(), strict=True))


def write_landmarks(names, read, out, detect, progress=None):
    """Write the landmark table of a data set, going on where an interrupted run has stopped.

    Rows collect in ``OUT.part``, which becomes the table once every face is done. A table of this form that is there already
    is completed. Images that cannot be read are left out and named in the result; the next run tries them again.

    :param names: every face's name; no two alike.
    :param read: function of a position in ``names`` that returns the image, ``(H, W, 3)`` uint8 RGB.
    :param out: the table, ``.csv`` or ``.csv.gz`` (``palcore.data.landmark_table``, the study's own form).
    :param detect: function of an image that returns ``(found, landmarks (68, 2) in fractions)``, such as ``dlib_detector()``.
    :param progress: function that wraps the positions still to do, such as ``tqdm``; it is called with them and ``initial``, how
        many are done, and ``total``.
    :return: ``Summary``.
    :raises ValueError: for another form of table, one of other faces, names that repeat, or another suffix.
    :raises FileNotFoundError: where the folder of ``out`` is missing.
    """
    out = Path(out)
    if out.suffix != ".csv" and out.suffixes[-2:] != [".csv", ".gz"]:
        raise ValueError(f"landmark table {out}: its name must end in .csv or .csv.gz")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder {out.parent} for the landmark table {out.name}: make it, or give another --out")
    known = pd.Index(names)
    if known.has_duplicates:
        raise ValueError(f"two faces are called {known[known.duplicated()][0]}: the landmark table needs a name for each")
    part = out.with_name(f"{out.name}.part")
    try:
        done = _begin(part, out, known)
    except PermissionError:
        raise ValueError(f"cannot write beside {out}: give another --out") from None
    waiting = [position for position, name in enumerate(names) if name not in done]
    rows, unreadable, earlier = [], [], len(done)

    def save():
        if rows:
            append_rows(part, *zip(*rows, strict=True))
            done.update((name, found) for name, found, _ in rows)
            rows.clear()

    steps = progress(waiting, initial=earlier, total=len(names)) if progress else waiting
    try:
        for position in steps:
            try:
                image = read(position)
            except (ValueError, FileNotFoundError):
                unreadable.append(names[position])
                continue
            rows.append((names[position], *detect(image)))
            if len(rows) == BATCH:
                save()
    finally:
        save()
    if out.suffix == ".gz":  # beside, so that a crash leaves the rows or the table, never half a table
        draft = part.with_suffix(".draft")
        with part.open("rb") as source, gzip.open(draft, "wb") as target:
            shutil.copyfileobj(source, target)
        draft.replace(out)
        part.unlink()
    else:
        part.replace(out)
    return Summary(len(done), len(done) - earlier, sum(done.values()), tuple(unreadable))


def landmark_dataset(name, data_dir, out=None, detect=None):
    """Write the landmark table of all splits of a data set, with a progress bar.

    :param out: the table; None for ``landmarks.csv.gz`` in that folder, where the data set's loader finds it.
    :param detect: see ``write_landmarks``; None for ``dlib_detector()``.
    :return: ``(path of the table, Summary)``.
    """
    find_data_set(name, data_dir)
    parts = [load(name, data_dir, split, landmarks=False) for split in SPLITS]
    if out is None:
        folder = Path(data_dir).expanduser()
        out = (folder if folder.is_dir() else folder.parent) / "landmarks.csv.gz"
    detect = detect or dlib_detector()
    faces = [(part, row) for part in parts for row in range(len(part))]
    names = [str(part.files[row]) for part, row in faces]

    def read(position):
        part, row = faces[position]
        return part.images.read(part.images.items[row])

    return Path(out), write_landmarks(names, read, out, detect, partial(progress_bar, desc=f"landmarks of {name}", unit="face"))
