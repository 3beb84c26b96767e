"""FER2013 (Goodfellow et al., 2013): 35,887 grey faces of 48x48 pixels, in folders or in the public csv file."""

import warnings
from dataclasses import astuple, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.ferplus import FILE as FERPLUS
from palcore.data.ferplus import LABELS, ferplus_labels
from palcore.data.folder_index import folder_signature, index_key, indexed
from palcore.data.images import read_probed
from palcore.data.landmark_fit import as_shown, with_landmark_problems
from palcore.data.landmark_table import examine_landmark_table, landmarks_of
from palcore.data.listing import UNKNOWN, Listing, Problem, no_cell_lost
from palcore.data.probe import elsewhere, faces_in_folders, first_file, look_at_images
from palcore.data.table import class_counts

FOLDERS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}
"""The expression that each folder holds."""

CSV_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The expression that each number in the column ``emotion`` means."""

USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
"""What the challenge called each split, in the column ``Usage`` and in file names."""

PUBLISHED = {
    "train": dict(zip(EMOTIONS, (3171, 4097, 436, 7215, 4830, 3995, 4965), strict=True)),
    "validation": dict(zip(EMOTIONS, (415, 496, 56, 895, 653, 467, 607), strict=True)),
    "test": dict(zip(EMOTIONS, (416, 528, 55, 879, 594, 491, 626), strict=True)),
}
"""Faces of each expression in the owner's splits."""

KNOWN_COPIES = {"train/test": 288, "validation/test": 44}
"""Test faces whose picture, equal to the last pixel, stands in another split as well, as the owner ships them."""

SIDE = 48
CHUNK = 2000
FORM = 2
"""Which form the index has; another number makes it again."""

TABLES = ("fer2013.csv", "icml_face_data.csv")
"""Names of the csv file on the challenge's pages; both have the same rows in the same order."""

LAYOUT = "data_dir must hold train/, validation/, test/, or fer2013.csv"


def _fits(folder):
    return (folder / "train" / "happy").is_dir() or first_file(folder, *TABLES) is not None


def _folder_rows(data_dir, split):
    """Names ``split/folder/file``, paths, labels, problems. Copies without ``validation/`` hold those faces in ``test/``."""
    merged = split != "train" and not (data_dir / "validation").is_dir()
    root = data_dir / ("test" if merged else split)
    if not root.is_dir():
        where = "" if _fits(data_dir) else elsewhere(data_dir, _fits)
        return [], [], [], [Problem("layout", str(root), f"no folder {root} for fer2013: {LAYOUT}{where}")]
    classes = {folder: EMOTIONS.index(emotion) for folder, emotion in FOLDERS.items()}
    faces, problems = faces_in_folders(root, classes, "fer2013", f"each split has {', '.join(FOLDERS)}")
    if merged:
        faces = [(path, label) for path, label in faces if path.name.startswith(f"{USAGES[split]}_")]
    if not faces:
        wanted = f" called {USAGES[split]}_*" if merged else ""
        sentence = f"no images{wanted} in {root} for the {split} split of fer2013: check data_dir"
        problems.append(Problem("layout", str(root), sentence))
    files = [f"{split}/{path.parent.name}/{path.name}" for path, _ in faces]
    return files, [path for path, _ in faces], [label for _, label in faces], problems


def _pixels(text):
    """``(2304,)`` uint8 from one cell of the column ``pixels``, or None where it holds anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # NumPy's sign that something other than a number follows
            values = np.fromstring(str(text), np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        return None
    return values.astype(np.uint8)


def _csv_piece(piece, path, faces):
    """Adds the rows of a part of the table to the lists ``faces``: splits, images, labels, and ``(split, problem)``."""
    splits, images, labels, problems = faces
    for row, emotion, text, usage in piece[["emotion", "pixels", "Usage"]].itertuples():
        name, split = f"fer2013.csv:{row}", next((split for split, meant in USAGES.items() if meant == usage), "")
        known, values = emotion.strip() in map(str, range(len(CSV_LABELS))), _pixels(text)
        if not split:
            sentence = f"Usage {usage!r} in row {row} of {path}: it must be one of {', '.join(USAGES.values())}"
            problems.append(("train", ("label", name, sentence)))  # it belongs to no split: it is told once
        if split and not known:
            sentence = f"emotion {emotion} in row {row} of {path}: it must be in 0..{len(CSV_LABELS) - 1}"
            problems.append((split, ("label", name, sentence)))
        if split and values is None:
            sentence = f"row {row} of {path} does not have {SIDE * SIDE} whole numbers from 0 to 255 in its pixels"
            problems.append((split, ("image unreadable", name, sentence)))
        splits.append(split)
        images.append(np.zeros(SIDE * SIDE, np.uint8) if values is None else values)
        labels.append(EMOTIONS.index(CSV_LABELS[int(emotion)]) if known else UNKNOWN)


def _read_csv(path):
    """The whole table for ``indexed``, read a piece at a time: its text is several times larger than its pixels.

    :return: arrays ``splits (N,)``, ``images (N, 48, 48)`` and ``labels (N,)``, one row each; and what is wrong with the
        table itself, or None, and with its rows.
    """
    faces, wrong = ([], [], [], []), None
    as_text = {"dtype": str, "keep_default_na": False, "skipinitialspace": True, "index_col": False}
    try:
        with no_cell_lost(path, "fer2013's csv file"), pd.read_csv(path, chunksize=CHUNK, **as_text) as pieces:
            for piece in pieces:
                missing = {"emotion", "pixels", "Usage"} - set(piece.columns)
                if missing:
                    wrong = f"{path} lacks the column {sorted(missing)[0]!r}: it has emotion, pixels and Usage"
                    break
                _csv_piece(piece, path, faces)
    except ValueError as error:
        wrong = str(error)
    splits, images, labels, problems = faces
    images = np.array(images, np.uint8).reshape(-1, SIDE, SIDE)
    return {"splits": np.array(splits, str), "images": images, "labels": np.array(labels, np.int64)}, [wrong, problems]


def _kept(path, build, index_dir):
    """What ``build()`` makes of a file, from the index of that file as it is now."""
    version = f"{FORM}{folder_signature([path])}"
    return indexed(build, index_key(f"fer2013-{path.name.split('.')[0]}", path), version, index_dir)


def _csv_rows(path, split, index_dir):
    """Names, rows, labels and problems of one split, and the images and names of all rows."""
    arrays, (wrong, problems) = _kept(path, partial(_read_csv, path), index_dir)
    rows, names = np.flatnonzero(arrays["splits"] == split), [f"fer2013.csv:{row}" for row in range(len(arrays["splits"]))]
    if not len(rows):
        wrong = wrong or f"{path} has no row with Usage {USAGES[split]}: it lacks the {split} split"
    found = [Problem("table", str(path), wrong)] if wrong else []
    found += [Problem(*problem) for part, problem in problems if part == split]
    return [names[row] for row in rows], rows, arrays["labels"][rows], found, arrays["images"], set(names)


def _examined(index_dir, path, _):
    """``examine_landmark_table``, from the index."""
    if not path.is_file():
        return examine_landmark_table(path)

    def build():
        files, found, landmarks, in_pixels, problems = examine_landmark_table(path)
        return {"files": files, "found": found, "landmarks": landmarks}, [in_pixels, [astuple(problem) for problem in problems]]

    arrays, (in_pixels, problems) = _kept(path, build, index_dir)
    return arrays["files"], arrays["found"], arrays["landmarks"], in_pixels, [Problem(*problem) for problem in problems]


def _rows_gone(names, everything, table):
    """What is wrong where a landmark table goes by rows that the csv file does not have: a list."""
    gone = [name for name in names if name.startswith("fer2013.csv:") and name not in everything]
    if not gone or len(gone) == len(names):  # not these rows, or none at all: that is told of each face, and of the csv file
        return []
    sentence = (
        f"landmark table {table} has {len(gone):,} rows that the csv file lacks, {gone[0]} first: rows were removed from it, and "
        "its numbers may mean other faces now; take the file as it was published, or make the table again"
    )
    return [Problem("landmarks elsewhere", str(table), sentence)]


def _with_ferplus(listing, folder, csv):
    """The faces of a listing for which FER+ has a label, with that label; the others are counted."""
    if csv is None:
        raise FileNotFoundError(
            f"labels ferplus for the folders in {folder}: FER+'s votes go by the rows of fer2013.csv, which must be there"
        )
    rows = [int(name.partition(":")[2]) for name in listing.files]
    labels, reasons = ferplus_labels(folder / FERPLUS, rows, USAGES[listing.split], listing.labels)
    dropped = {reason: int((reasons == reason).sum()) for reason in sorted(set(reasons.tolist()) - {""})}
    return replace(listing, labels=labels, dropped=dropped).subset(labels >= 0)


def other_labels(data_dir, part):
    """FER+'s labels of a split beside the owner's, where they are there: ``(facts or None, problems)`` for the check."""
    data_dir = Path(data_dir).expanduser()
    csv = data_dir if data_dir.is_file() else first_file(data_dir, *TABLES)
    if csv is None or not (csv.parent / FERPLUS).exists() or not len(part):
        return None, []
    try:
        labelled = _with_ferplus(part, csv.parent, csv)
    except (ValueError, FileNotFoundError) as problem:
        return None, [Problem("label", str(csv.parent / FERPLUS), str(problem), False)]
    own = part.labels[np.isin(part.files, labelled.files)]
    agreement = round(float((own == labelled.labels).mean()), 4)
    counts = class_counts(labelled.labels)
    facts = {"faces": len(labelled), "counts": counts, "agreement": agreement, "dropped": labelled.dropped}
    return {"ferplus": facts}, []


def list_faces(data_dir, split, landmarks=None, undetected="keep", labels="own", index_dir=None):
    """FER2013 from ``train/ validation/ test/`` with seven folders each, or from ``fer2013.csv``, see ``palcore.data.listing``.

    The validation split is the challenge's ``PublicTest``, the test split its ``PrivateTest``. Faces are called
    ``validation/angry/NAME.jpg``; those of the csv file ``fer2013.csv:ROW``, counted from 0.

    In a quarter of the faces the landmark detector finds none. They keep what the table has for them: in the table made with
    this study's FER2013, the predictor's answer to a box at the centre, which lies on the face more often than not, since the
    faces were cut out alike. Leaving those faces out would change the benchmark.

    :param data_dir: the folder with the splits, or with one of ``TABLES`` (or that as ``.csv.gz``), or the file.
    :param landmarks: path of the landmark table (``palcore.data.landmark_table``); None for ``landmarks.csv.gz`` or
        ``landmarks.csv`` in ``data_dir``; False to leave them out.
    :param undetected: ``"keep"``, or ``"leave_out"``: no landmarks (NaN) where no face was found, so that PAL ignores them.
    :param labels: ``"own"``, or ``"ferplus"``: the expression on which more than half of FER+'s votes agree (``fer2013new.csv``
        beside ``fer2013.csv``); faces without one are left out and counted in ``dropped``.
    :param index_dir: where the csv file's faces and the landmark table are kept once read, see
        ``palcore.data.folder_index.indexed``; a file that has changed is read again.
    """
    if labels not in LABELS:
        raise ValueError(f"labels {labels!r} of fer2013: choose from {', '.join(LABELS)}")
    data_dir = Path(data_dir)
    folder = data_dir if data_dir.is_dir() else data_dir.parent
    csv = data_dir if data_dir.is_file() else first_file(folder, *TABLES)
    if csv is None:
        files, items, numbers, problems = _folder_rows(folder, split)
        frames, orientations, frame, odd = look_at_images(files, items, SIDE, "fer2013")
        problems += odd
        read, path, everything = read_probed, str, set()
    else:
        files, items, numbers, problems, images, everything = _csv_rows(csv, split, index_dir)
        frame, frames, orientations = (SIDE, SIDE), np.full((len(files), 2), SIDE), np.ones(len(files))
        read, path = (lambda row: cv2.cvtColor(images[row], cv2.COLOR_GRAY2RGB)), lambda _: str(csv)
    points = np.full((len(files), 68, 2), np.nan, np.float32)
    table = Path(landmarks).expanduser() if landmarks else first_file(folder, "landmarks.csv.gz", "landmarks.csv")
    if landmarks is not False and table is None:
        sentence = (
            f"no landmark table landmarks.csv.gz in {folder} for fer2013: give its path as landmarks, or make it with "
            "`python -m palcore landmarks fer2013`"
        )
        problems.append(Problem("landmarks missing", str(folder), sentence))
    elif landmarks is not False:
        read_table = partial(_examined, index_dir)
        points, found, names, in_pixels = landmarks_of(files, table, frame, undetected, examine=read_table)
        problems += (_rows_gone(names, everything, table) if csv else []) + found
        points, _ = as_shown(points, frames, orientations)
    files, numbers = np.array(files, str), np.array(numbers, np.int64)
    listing = Listing("fer2013", split, files, items, read, path, numbers, points, frames, SIDE, problems)
    if table is not None and landmarks is not False:
        listing = with_landmark_problems(listing, f"landmark table {table}", pixels=in_pixels)
    return _with_ferplus(listing, folder, csv) if labels == "ferplus" and len(listing) else listing
