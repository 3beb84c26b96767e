"""AffectNet (Mollahosseini, Hasani and Mahoor, 2019): 287,401 faces from the web with one of seven expressions, in both forms."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from palcore import EMOTIONS
from palcore.data.affectnet_forms import read_csv_form, read_npy_form
from palcore.data.folder_index import folder_signature, indexed
from palcore.data.landmark_table import landmarks_of
from palcore.data.listing import Listing, Problem, faces_of, landmark_problem
from palcore.data.probe import first_file
from palcore.data.splits import in_split
from palcore.data.table import read_image

PUBLISHED = {
    "train": dict(zip(EMOTIONS, (14090, 6378, 3803, 134415, 25459, 24882, 74874), strict=True)),
    "test": dict.fromkeys(EMOTIONS, 500),
}
"""Faces of each expression in the owner's parts; ``val_set`` is our test split. The validation split is a part of train."""

SIDE = 224
VALIDATION_SHARE = 0.05
MISSING_SHARE = 0.05
"""Of the csv form's pictures this share may be missing: they come from the web, and copies differ."""

PARTS = {"train": "train_set", "test": "val_set"}
TABLES = {"train": "training.csv", "test": "validation.csv"}
PICTURES = "Manually_Annotated_Images"
LISTS = "Manually_Annotated_file_lists"
LAYOUT = f"data_dir must hold train_set/ and val_set/, or training.csv, validation.csv and {PICTURES}/"


def _path_under(root, name):
    return str(root / str(name))


def _read_under(root, name):
    return read_image(root / str(name))


class _Crops:
    """Reads a face by its row: the picture, cut to the face's box. What lies outside the picture repeats its edge."""

    def __init__(self, root, names, boxes):
        self.root, self.names, self.boxes = root, names, np.round(boxes).astype(int)

    def path(self, row):
        return str(self.root / str(self.names[row]))

    def __call__(self, row):
        picture = read_image(self.path(row))
        x, y, width, height = self.boxes[row]
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, picture.shape[1]), min(y + height, picture.shape[0])
        if left >= right or top >= bottom:
            raise ValueError(f"the face box of {self.path(row)} lies outside the picture: correct its row")
        face = picture[top:bottom, left:right]
        edges = top - y, y + height - bottom, left - x, x + width - right
        return cv2.copyMakeBorder(face, *edges, cv2.BORDER_REPLICATE) if any(edges) else face


def _indexed(data_dir, part, read, paths, wanted, index_dir):
    # The folder's own name helps people; its whole path tells two copies apart.
    place = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:8]
    return indexed(read, f"affectnet-{part}-{place}", folder_signature(paths, wanted), index_dir)


@dataclass(frozen=True)
class _Part:
    """One of the owner's parts: a row a face, as in ``Listing``; landmarks and frames in pixels of the picture."""

    files: np.ndarray
    items: np.ndarray
    read: Callable
    path: Callable
    arrays: dict
    dropped: dict
    problems: list  # (row, Problem); row -1 for what concerns no face


def _nothing(kind, places_and_sentences):
    problems = [(-1, Problem(kind, str(place), sentence)) for place, sentence in places_and_sentences]
    empty = {"labels": np.zeros(0, np.int64), "landmarks": np.zeros((0, 68, 2), np.float32), "frames": np.zeros((0, 2), np.int32)}
    return _Part(np.zeros(0, str), np.zeros(0, str), read_image, str, empty, {}, problems)


def _npy_part(data_dir, part, index_dir):
    """The form with a folder for each part; faces are called ``train_set/images/1.jpg``."""
    folder = data_dir / PARTS[part]
    lacking = [path for path in (folder / "images", folder / "annotations") if not path.is_dir()]
    if lacking:
        return _nothing("layout", [(path, f"no folder {path} for affectnet: {LAYOUT}") for path in lacking])
    paths, wanted = (folder / "images", folder / "annotations"), (".jpg", "_exp.npy", "_lnd.npy")
    arrays, facts = _indexed(data_dir, part, partial(read_npy_form, folder), paths, wanted, index_dir)
    if not len(arrays["names"]):
        return _nothing("layout", [(folder, f"no faces in {folder} for affectnet: {LAYOUT}")])
    files = np.char.add(f"{PARTS[part]}/images/", arrays["names"])
    problems = [(row, Problem(kind, str(files[row]), sentence)) for row, kind, sentence in facts["problems"]]
    path = partial(_path_under, data_dir)
    return _Part(files, files, partial(_read_under, data_dir), path, arrays, facts["dropped"], problems)


def _numbered(names):
    """Names made unique: a picture's second face is ``PICTURE#2``."""
    names, seen = names.tolist(), {}
    for row, name in enumerate(names):
        seen[name] = number = seen.get(name, 0) + 1
        if number > 1:
            names[row] = f"{name}#{number}"
    return np.array(names)


def _csv_part(data_dir, part, index_dir, missing_share):
    """The form with a table for each part; faces are called as their pictures in the table."""
    table = first_file(data_dir, TABLES[part]) or first_file(data_dir / LISTS, TABLES[part])
    pictures = data_dir / PICTURES
    lacking = [] if table else [(data_dir, f"no {TABLES[part]} in {data_dir} for affectnet: {LAYOUT}")]
    lacking += [] if pictures.is_dir() else [(pictures, f"no folder {pictures} for affectnet: {LAYOUT}")]
    if lacking:
        return _nothing("layout", lacking)
    arrays, facts = _indexed(data_dir, part, partial(read_csv_form, table, pictures), (table, pictures), None, index_dir)
    if "table" in facts:
        return _nothing("table", [(table, facts["table"])])
    if not len(arrays["names"]):
        return _nothing("layout", [(table, f"{table} names no faces of the seven expressions: check data_dir")])
    files = _numbered(arrays["names"])
    missing = [sentence for _, kind, sentence in facts["problems"] if kind == "image missing"]
    many = len(missing) > missing_share * len(files)
    problems = []
    if many:
        sentence = (
            f"{len(missing)} of {len(files)} pictures of affectnet {part} are missing, first: {missing[0]}; restore them, or give "
            f"missing_share above {missing_share:g}"
        )
        problems.append((-1, Problem("image missing", str(pictures), sentence)))
    for row, kind, sentence in facts["problems"]:
        problems.append((row, Problem(kind, str(files[row]), sentence, many or kind != "image missing")))
    problems += [(-1, Problem("repeated", f"{name} again", sentence, False)) for name, sentence in facts["repeats"]]
    crops = _Crops(pictures, arrays["names"], arrays["boxes"])
    return _Part(files, np.arange(len(files)), crops, crops.path, arrays, facts["dropped"], problems)


def _landmarks(part, rows):
    """Landmarks of some rows as fractions of the image, or of the face's box in the picture, and the images' sizes."""
    points = np.array(part.arrays["landmarks"][rows])
    points += 0.5  # in place: the whole of AffectNet's are 150 MB
    frames = np.array(part.arrays["frames"][rows])
    if "boxes" in part.arrays:
        boxes = part.arrays["boxes"][rows]
        points -= boxes[:, None, :2]
        frames = np.where(frames > 0, boxes[:, 2:], 0)
    points /= np.where(frames > 0, frames, np.nan)[:, None].astype(np.float32)
    return points, np.round(frames).astype(np.int32)


def list_faces(data_dir, split, landmarks=None, undetected="keep", seed=0, missing_share=MISSING_SHARE, index_dir=None):
    """One split as it lies in the folder, see ``palcore.data.listing``; a face whose label is wrong counts as train.

    :param landmarks: as for ``load``, or False to leave them out.
    """
    data_dir = Path(data_dir)
    name = "test" if split == "test" else "train"
    places = (data_dir, data_dir / LISTS)
    if (data_dir / PICTURES).is_dir() or any(first_file(place, *TABLES.values()) for place in places):
        part = _csv_part(data_dir, name, index_dir, missing_share)
    else:
        part = _npy_part(data_dir, name, index_dir)
    labels, rows, dropped, problems = part.arrays["labels"], np.arange(len(part.files)), part.dropped, list(part.problems)
    if name == "train" and len(rows):
        rows, unsplit = in_split(part.files, labels, split, VALIDATION_SHARE, seed)
        if split == "validation":
            dropped, problems = {}, [(row, problem) for row, problem in problems if row >= 0]
        if unsplit:
            problems.append((-1, Problem("label", str(data_dir), f"no validation split of affectnet: {unsplit}")))
    own = np.isin(np.arange(len(part.files)), rows)
    problems = [problem for row, problem in problems if row < 0 or own[row]]
    if landmarks is not None:
        problems = [problem for problem in problems if not problem.kind.startswith("landmarks")]
    points, frames = _landmarks(part, rows)
    if landmarks is None:
        problems += landmark_problem(points, f"landmarks of affectnet {split}")
    elif landmarks is False:
        points[:] = np.nan
    else:
        points, found = landmarks_of(part.files[rows], Path(landmarks).expanduser(), frames, undetected)
        problems += found + landmark_problem(points, f"landmark table {landmarks}")
    return Listing(
        "affectnet",
        split,
        part.files[rows],
        part.items[rows],
        part.read,
        part.path,
        np.array(labels[rows]),
        points,
        frames,
        SIDE,
        problems,
        dropped,
    )


def load(
    data_dir,
    split,
    image_size=None,
    seed=0,
    landmarks=None,
    undetected="keep",
    missing_share=MISSING_SHARE,
    index_dir=None,
):
    """AffectNet's seven expressions; contempt and what is no face are left out and counted (``Faces.dropped``).

    Either ``train_set/`` and ``val_set/`` with ``images/N.jpg``, ``annotations/N_exp.npy`` and ``N_lnd.npy``; or the older form,
    ``training.csv`` and ``validation.csv`` with ``Manually_Annotated_Images/``, whose pictures are cut to the face's box and whose
    landmarks are moved along. Landmarks are 136 numbers in pixels, x0 y0 x1 y1 ..., the first pixel's centre at (0, 0).

    The owner's ``val_set`` is our test split; the validation split is a twentieth of train, with the same mixture of expressions.

    :param data_dir: the folder with ``train_set/``, or with ``training.csv``.
    :param split: ``train``, ``validation`` or ``test``.
    :param image_size: side in pixels; None for 224.
    :param seed: draws the validation faces from train.
    :param landmarks: a landmark table (``palcore.data.landmark_table``) instead of AffectNet's own landmarks.
    :param undetected: of a table, see ``palcore.data.landmark_table.landmarks_of``.
    :param missing_share: up to this share of the csv form's pictures may be missing; those faces are left out with a warning.
    :param index_dir: where the index of the small files is kept, see ``palcore.data.folder_index.indexed``.
    :raises FileNotFoundError: where images or annotations are missing.
    :raises ValueError: for contents that make no sense.
    """
    return faces_of(list_faces(data_dir, split, landmarks, undetected, seed, missing_share, index_dir), image_size)
