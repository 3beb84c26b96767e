"""Landmarks for images that have none: dlib's face detector and 68-point predictor, one table for a whole data set.

`python -m study.landmarks DATASET --data-dir DIR [--out FILE]`
"""

import gzip
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import typer

from palcore.__main__ import DATA_DIR, DATASET, PLAIN, main
from palcore.data import find_data_set, load
from palcore.data.images import cut_out
from palcore.data.landmark_table import append_rows, landmarks_in_table, table_cells
from palcore.data.readers import SPLITS
from palcore.files import whole_file
from palcore.progress import progress_bar

WORKING_SIDE, BORDER, BOX_MARGIN = 192, 24, 0.05
"""Longer side in pixels of what the detector sees, which finds faces from 80 pixels on; pixels by which its edge is repeated
outwards (in 300 faces of FER2013, which fill their images, it found 78 % with and 68 % without); share of each side that the box
given to the predictor leaves free where no face is found."""

PHOTO_SIDE, FACE_MARGIN = 1000, 0.15
"""Longer side in pixels at which faces are looked for in a picture of any size, which finds those of 40 pixels and more; share of a
found box, which ends at brows and chin, that is added on each side."""

LICENCE = (
    "The 68-point predictor was trained on the iBUG 300-W faces, whose licence excludes commercial use: "
    "these landmarks are for research only."
)

EXTRA = "python -m pip install -e '.[landmarks]'"
"""What installs dlib and the predictor, in the study's folder."""

PREDICTOR = "face_recognition_models", "models/shape_predictor_68_face_landmarks.dat"
"""The package that holds dlib's trained files, which can't be imported (it needs pkg_resources), and the file in it."""

BATCH = 50  # faces after which the table is written: what an interruption costs at most

app = typer.Typer(**PLAIN)


def working_image(image: np.ndarray) -> np.ndarray:
    """An image ``(H, W, 3)`` uint8 at the size that the detector sees, sides in proportion."""
    scale = WORKING_SIDE / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)


def centre_box(height: int, width: int) -> tuple[int, int, int, int]:
    """``(left, top, right, bottom)`` in pixels: the box for an image in which no face was found."""
    across, down = round(BOX_MARGIN * width), round(BOX_MARGIN * height)
    return across, down, width - 1 - across, height - 1 - down


def _dlib(what: str) -> ModuleType:
    if importlib.util.find_spec("dlib") is None:
        raise FileNotFoundError(f"dlib is not installed, which finds the {what}: in the study's folder run {EXTRA}")
    return importlib.import_module("dlib")


def dlib_detector() -> Callable[[np.ndarray], tuple[bool, np.ndarray]]:
    """A function of an image ``(H, W, 3)`` uint8 RGB that returns ``(found, landmarks)``.

    ``found`` is a bool, ``landmarks`` ``(68, 2)`` float64 in iBUG order, fractions of the image's sides from its top-left
    corner. Of several faces the largest counts. Where none is found, the landmarks are the predictor's answer to a box at the
    centre, which fits images that were cut out around a face. The detector is dlib's histogram of gradients (King, 2009); the
    predictor an ensemble of regression trees (Kazemi and Sullivan, 2014).

    :raises FileNotFoundError: where the extra ``landmarks`` is not installed.
    """
    dlib = _dlib("landmarks")
    from palcore.weights import packaged_file  # here, since it starts Keras

    path = packaged_file(*PREDICTOR)
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


def square_around(box: np.ndarray | tuple, margin: float = FACE_MARGIN) -> tuple[int, int, int]:
    """``(left, top, side)`` in pixels: the square around a box's middle, larger than its longer side by ``margin`` on each side.

    :param box: ``(left, top, right, bottom)`` in pixels.
    """
    left, top, right, bottom = box
    side = round((1 + 2 * margin) * max(right - left, bottom - top))
    return round((left + right - side) / 2), round((top + bottom - side) / 2), side


def face_crops(image: np.ndarray, find: Callable | None = None) -> list[np.ndarray]:
    """The faces in a picture of any size, each cut out as a square, the largest first. Beyond the picture its edge repeats.

    :param image: ``(H, W, 3)`` uint8 RGB.
    :param find: a function of a picture that returns boxes ``(left, top, right, bottom)`` in pixels; None for dlib's detector.
    :return: list of ``(side, side, 3)`` uint8 RGB; empty where no face is found.
    :raises FileNotFoundError: where the extra ``landmarks`` is not installed.
    """
    scale = min(1.0, PHOTO_SIDE / max(image.shape[:2]))
    picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    boxes = sorted((find or _dlib_boxes)(picture), key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))
    squares = [square_around(np.asarray(box) / scale) for box in boxes]
    return [cut_out(image, np.array([left, top, side, side])) for left, top, side in squares]


def _dlib_boxes(picture: np.ndarray) -> list[tuple[int, int, int, int]]:
    boxes = _dlib("faces").get_frontal_face_detector()(picture, 1)
    return [(box.left(), box.top(), box.right(), box.bottom()) for box in boxes]


def detector_versions() -> dict[str, str]:
    """Versions of what ``dlib_detector`` uses: ``{package: version}``."""
    return {name: importlib.metadata.version(name) for name in ("dlib-bin", "face-recognition-models", "opencv-python-headless")}


class Summary(NamedTuple):
    """What ``write_landmarks`` has done: faces in the table, those made now, those with a face found."""

    faces: int
    new: int
    found: int


def read_landmark_table(path: str | Path, size: tuple[int, int] | None = None) -> tuple[list[str], np.ndarray, np.ndarray]:
    """All of a table: the faces' names, ``(N,)`` bool whether each was found, and ``(N, 68, 2)`` float32 in fractions.

    :param size: width and height of the images, needed for a table in pixels.
    :raises FileNotFoundError: where there is no such table.
    :raises ValueError: for the first thing that is wrong with it, or pixels without a size.
    """
    cells, problems = table_cells(Path(path), str)
    landmarks = landmarks_in_table(cells["file"].to_numpy(str), Path(path))
    for problem in problems + landmarks.problems:
        raise problem.error(problem.sentence)
    if landmarks.pixels and size is None:
        raise ValueError(f"landmark table {path} is in pixels (column detected): give the images' size to read it")
    points = (landmarks.points + 0.5) / size if landmarks.pixels else landmarks.points
    return cells["file"].tolist(), cells.iloc[:, 1].to_numpy() == 1, points.astype(np.float32)


def _begin(part: Path, out: Path, names: Iterable[str]) -> dict[str, bool]:
    """Rows that are there already, as ``{name: found}``, with ``part`` ready to be appended to."""
    if part.exists():
        os.truncate(part, part.read_bytes().rfind(b"\n") + 1)  # the last line may be cut off
        if not part.stat().st_size:
            part.unlink()
    elif out.exists():
        try:
            append_rows(part, *read_landmark_table(out))
        except ValueError as problem:
            raise ValueError(f"{problem}; it is left as it is, give another --out") from None
    append_rows(part)
    files, found, _ = read_landmark_table(part)
    if strange := set(files).difference(names):
        seen = f"{out if out.exists() else part} has landmarks of {len(strange)} faces that the data set lacks"
        raise ValueError(f"{seen}, {min(strange)} first: check data_dir, or give another --out")
    return dict(zip(files, found.tolist(), strict=True))


def write_landmarks(faces: dict[str, Callable], out: str | Path, detect: Callable, title: str = "landmarks") -> Summary:
    """Write the landmark table of a data set, with a progress bar, going on where an interrupted run has stopped.

    Rows collect in ``OUT.part``, which becomes the table once every face is done. A table of this form that is there already
    is completed.

    :param faces: every face's name, and a function that returns its image, ``(H, W, 3)`` uint8 RGB.
    :param out: the table, ``.csv`` or ``.csv.gz`` (``palcore.data.landmark_table``, the study's own form).
    :param detect: function of an image that returns ``(found, landmarks (68, 2) in fractions)``, such as ``dlib_detector()``.
    :raises ValueError: for another form of table, one of other faces, or another suffix.
    :raises FileNotFoundError: where the folder of ``out`` is missing.
    """
    out = Path(out)
    if not out.name.endswith((".csv", ".csv.gz")):
        raise ValueError(f"landmark table {out}: its name must end in .csv or .csv.gz")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder {out.parent} for the landmark table {out.name}: make it, or give another --out")
    part, rows = out.with_name(f"{out.name}.part"), []
    try:
        done = _begin(part, out, faces)
    except PermissionError:
        raise ValueError(f"cannot write beside {out}: give another --out") from None
    earlier = len(done)

    def save():
        if rows:
            append_rows(part, *zip(*rows, strict=True))
            done.update((name, found) for name, found, _ in rows)
            rows.clear()

    waiting = [name for name in faces if name not in done]
    try:
        for name in progress_bar(waiting, desc=title, unit="face", initial=earlier, total=len(faces)):
            rows.append((name, *detect(faces[name]())))
            if len(rows) == BATCH:
                save()
    finally:
        save()
    write = gzip.open if out.suffix == ".gz" else open
    with whole_file(out) as draft, part.open("rb") as source, write(draft, "wb") as target:
        shutil.copyfileobj(source, target)
    part.unlink()
    return Summary(len(done), len(done) - earlier, sum(done.values()))


def landmark_dataset(name: str, data_dir: str | Path, out: str | Path | None = None, detect: Callable | None = None):
    """Write the landmark table of all splits of a data set.

    :param out: the table; None for ``landmarks.csv.gz`` in that folder, where the loader finds it, but for AffectNet's.
    :param detect: see ``write_landmarks``; None for ``dlib_detector()``.
    :return: ``(path of the table, Summary)``.
    """
    _, folder = find_data_set(name, data_dir)
    faces, out = {}, Path(out or folder / "landmarks.csv.gz")
    for part in (load(name, folder, split, landmarks=False) for split in SPLITS):
        faces |= {file: partial(part.images.read, item) for file, item in zip(part.files.tolist(), part.images.items, strict=True)}
    return out, write_landmarks(faces, out, detect or dlib_detector(), f"landmarks of {name}")


@app.command(no_args_is_help=True)
def landmarks(
    dataset: DATASET,
    data_dir: DATA_DIR,
    out: Annotated[Path | None, typer.Option(help="the table, .csv or .csv.gz; landmarks.csv.gz in DATA_DIR if not given")] = None,
):
    """Write the table of 68 landmarks of every face of a data set.

    Begun again after an interruption, it goes on where it was. Needs the extra
    `landmarks`. The landmarks are for research only.
    """
    path, summary = landmark_dataset(dataset, data_dir, out)
    print(f"{path}: {summary.faces:,} faces, {summary.new:,} of them new; a face was found in {summary.found:,}")
    reader, folder = find_data_set(dataset, data_dir)
    if path not in reader.landmark_places(folder):
        print(f"runs take it with `-p landmarks {path}` only")
    print(LICENCE)


if __name__ == "__main__":
    main(app)
