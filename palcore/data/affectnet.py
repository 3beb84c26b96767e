"""AffectNet (Mollahosseini, Hasani and Mahoor, 2019): 287,401 faces from the web with one of seven expressions, in both forms."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.affectnet_forms import read_csv_form, read_npy_form
from palcore.data.folder_index import folder_signature, index_key, indexed
from palcore.data.images import read_probed
from palcore.data.landmark_fit import with_landmark_problems
from palcore.data.landmark_table import landmarks_of
from palcore.data.listing import Listing, Problem, empty_listing
from palcore.data.probe import SUFFIXES, elsewhere, first_file
from palcore.data.splits import split_rows

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
FORM = 2
"""Which form the index has; another number makes it again."""

LAYOUT = f"data_dir must hold train_set/ and val_set/, or training.csv, validation.csv and {PICTURES}/"


def _fits(folder):
    return (folder / PARTS["test"] / "images").is_dir() or first_file(folder, TABLES["test"]) is not None


class _Pictures:
    """Reads a face by its row: its picture, cut to the face's box where there is one. What lies outside repeats the edge."""

    def __init__(self, root, names, boxes=None):
        self.root, self.names = root, names
        self.boxes = None if boxes is None else np.round(np.nan_to_num(boxes)).astype(int)

    def path(self, row):
        return str(self.root / str(self.names[row]))

    def __call__(self, row):
        picture = read_probed(self.path(row))
        if self.boxes is None:
            return picture
        x, y, width, height = self.boxes[row]
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + width, picture.shape[1]), min(y + height, picture.shape[0])
        if left >= right or top >= bottom:
            raise ValueError(f"the face box of {self.path(row)} lies outside the picture: correct its row")
        face = picture[top:bottom, left:right]
        edges = top - y, y + height - bottom, left - x, x + width - right
        return cv2.copyMakeBorder(face, *edges, cv2.BORDER_REPLICATE) if any(edges) else face


def _indexed(data_dir, part, read, paths, wanted, index_dir):
    version = f"{FORM}{folder_signature(paths, wanted)}"
    return indexed(read, index_key(f"affectnet-{part}", data_dir), version, index_dir)


def _npy_part(data_dir, part, index_dir):
    """Arrays, facts, names such as ``train_set/images/1.jpg``, pictures, problems; a list of problems where there are no faces."""
    folder = data_dir / PARTS[part]
    places = [folder / "images", folder / "annotations"]
    lacking = [path for path in places if not path.is_dir()]
    if lacking:
        where = "" if _fits(data_dir) else elsewhere(data_dir, _fits)
        return [Problem("layout", str(path), f"no folder {path} for affectnet: {LAYOUT}{where}") for path in lacking]
    wanted = (*SUFFIXES, *map(str.upper, SUFFIXES), "_exp.npy", "_lnd.npy")
    try:
        arrays, facts = _indexed(data_dir, part, partial(read_npy_form, folder), places, wanted, index_dir)
    except ValueError as problem:
        return [Problem("table", str(folder), str(problem))]
    if not len(arrays["names"]):
        return [Problem("layout", str(folder), f"no faces in {folder} for affectnet: {LAYOUT}")]
    files = np.char.add(f"{PARTS[part]}/images/", arrays["names"])
    problems = [Problem(kind, str(files[row]), sentence) for row, kind, sentence in facts["problems"]]
    return arrays, facts, files, _Pictures(folder / "images", arrays["pictures"]), problems


def _csv_part(data_dir, part, index_dir, missing_share):
    """Likewise, for the form with a table for each part; faces are called as their pictures in the table."""
    table = first_file(data_dir, TABLES[part]) or first_file(data_dir / LISTS, TABLES[part])
    pictures = data_dir / PICTURES
    where = "" if table else elsewhere(data_dir, _fits)
    lacking = [] if table else [Problem("layout", str(data_dir), f"no {TABLES[part]} in {data_dir} for affectnet: {LAYOUT}{where}")]
    if not pictures.is_dir():
        lacking.append(Problem("layout", str(pictures), f"no folder {pictures} for affectnet: {LAYOUT}"))
    if lacking:
        return lacking
    try:
        arrays, facts = _indexed(data_dir, part, partial(read_csv_form, table, pictures), (table, pictures), None, index_dir)
    except ValueError as problem:
        return [Problem("table", str(table), str(problem))]
    if not len(arrays["names"]):
        return [Problem("layout", str(table), f"{table} names no faces of the seven expressions: check data_dir")]
    names = pd.Series(arrays["names"])
    nth = names.groupby(names).cumcount() + 1
    files = names.where(nth == 1, names + "#" + nth.astype(str)).to_numpy(str)  # a picture's second face is PICTURE#2
    missing = [sentence for _, kind, sentence in facts["problems"] if kind == "image missing"]
    many = len(missing) > missing_share * len(files)
    problems = []
    if many:
        sentence = (
            f"{len(missing)} of {len(files)} pictures of affectnet {part} are missing, first: {missing[0]}; restore them, or give "
            f"missing_share above {missing_share:g}"
        )
        problems.append(Problem("image missing", str(pictures), sentence))
    for row, kind, sentence in facts["problems"]:
        problems.append(Problem(kind, str(files[row]), sentence, many or kind != "image missing"))
    problems += [Problem("repeated", f"{name} again", sentence, False) for name, sentence in facts["repeats"]]
    return arrays, facts, files, _Pictures(pictures, arrays["pictures"], arrays["boxes"]), problems


def _fractions(arrays, rows):
    """Landmarks of some rows as fractions of the image, or of the face's box in the picture, and the images' sizes."""
    points = np.array(arrays["landmarks"][rows])
    points += 0.5  # in place: the whole of AffectNet's are 150 MB
    frames = np.array(arrays["frames"][rows])
    if "boxes" in arrays:
        boxes = arrays["boxes"][rows]
        points -= boxes[:, None, :2]
        frames = np.where(frames > 0, boxes[:, 2:], 0)
    points /= np.where(frames > 0, frames, np.nan)[:, None].astype(np.float32)
    return points, np.round(np.nan_to_num(frames)).astype(np.int32)


def list_faces(data_dir, split, landmarks=None, undetected="keep", seed=0, missing_share=MISSING_SHARE, index_dir=None):
    """AffectNet's seven expressions, see ``palcore.data.listing``; contempt and what is no face are left out and counted.

    Either ``train_set/`` and ``val_set/`` with ``images/N.jpg``, ``annotations/N_exp.npy`` and ``N_lnd.npy``; or the older form,
    ``training.csv`` and ``validation.csv`` with ``Manually_Annotated_Images/``, whose pictures are cut to the face's box and whose
    landmarks are moved along. Landmarks are 136 numbers in pixels, x0 y0 x1 y1 ..., the first pixel's centre at (0, 0).

    The owner's ``val_set`` is our test split; the validation split is a twentieth of train, with the same mixture of expressions.
    A face whose label is wrong counts as train.

    :param data_dir: the folder with ``train_set/``, or with ``training.csv``.
    :param landmarks: a landmark table (``palcore.data.landmark_table``) instead of AffectNet's own landmarks; False for none.
    :param undetected: of a table, see ``palcore.data.landmark_table.landmarks_of``.
    :param seed: draws the validation faces from train.
    :param missing_share: up to this share of the csv form's pictures may be missing; those faces are left out with a warning.
    :param index_dir: where the index of the small files is kept, see ``palcore.data.folder_index.indexed``.
    """
    data_dir = Path(data_dir)
    part = "test" if split == "test" else "train"
    if (data_dir / PICTURES).is_dir() or any(first_file(place, *TABLES.values()) for place in (data_dir, data_dir / LISTS)):
        found = _csv_part(data_dir, part, index_dir, missing_share)
    else:
        found = _npy_part(data_dir, part, index_dir)
    if isinstance(found, list):
        return empty_listing("affectnet", split, SIDE, found)
    arrays, facts, files, pictures, problems = found
    rows, problems = split_rows("affectnet", data_dir, files, arrays["labels"], problems, split, VALIDATION_SHARE, seed)
    points, frames = _fractions(arrays, rows)
    where, pixels = f"landmarks of affectnet {split}", "boxes" not in arrays  # in boxes they are moved along
    if landmarks is not None:
        problems = [problem for problem in problems if not problem.kind.startswith("landmarks")]
        points[:] = np.nan
    if landmarks:
        points, lacking, _, pixels = landmarks_of(files[rows], Path(landmarks).expanduser(), frames, undetected)
        where, problems = f"landmark table {landmarks}", problems + lacking
    dropped = {} if split == "validation" else facts["dropped"]
    labels = np.array(arrays["labels"][rows])
    listing = Listing(
        "affectnet", split, files[rows], rows, pictures, pictures.path, labels, points, frames, SIDE, problems, dropped
    )
    return listing if landmarks is False else with_landmark_problems(listing, where, pixels=pixels)
