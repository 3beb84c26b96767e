"""FER2013 (Goodfellow et al., 2013): 35,887 grey faces of 48x48 pixels, in folders or in the public csv file."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.landmark_table import landmarks_of
from palcore.data.table import Faces, LazyImages, read_image

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

SUFFIXES = (".jpg", ".jpeg", ".png")
SIDE = 48
CHUNK = 2000


def _folder_rows(data_dir, split):
    """Names ``split/folder/file``, paths and labels. Copies without ``validation/`` hold those faces in ``test/``."""
    merged = split != "train" and not (data_dir / "validation").is_dir()
    root = data_dir / ("test" if merged else split)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root} for fer2013: data_dir must hold train/, validation/, test/, or fer2013.csv")
    unknown = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name not in FOLDERS)
    if unknown:
        raise ValueError(f"unknown folder {unknown[0]!r} in {root}: those of fer2013 are {', '.join(FOLDERS)}")
    files, paths, labels = [], [], []
    for folder, emotion in FOLDERS.items():
        if not (root / folder).is_dir():
            raise FileNotFoundError(f"no folder {root / folder} for fer2013: each split has {', '.join(FOLDERS)}")
        for path in sorted((root / folder).iterdir()):
            if path.suffix.lower() in SUFFIXES and not (merged and not path.name.startswith(f"{USAGES[split]}_")):
                files.append(f"{split}/{folder}/{path.name}")
                paths.append(path)
                labels.append(EMOTIONS.index(emotion))
    if not files:
        wanted = f" called {USAGES[split]}_*" if merged else ""
        raise FileNotFoundError(f"no images{wanted} in {root} for the {split} split of fer2013: check data_dir")
    return files, paths, labels


def _pixels(texts, numbers, path):
    """``(N, 48, 48)`` uint8 from the column ``pixels``."""
    images = np.empty((len(texts), SIDE * SIDE), np.uint8)
    for position, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        try:
            values = np.fromstring(str(text), np.int64, sep=" ")
        except ValueError:
            values = np.empty(0)
        if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
            raise ValueError(f"row {number} of {path} does not have {SIDE * SIDE} whole numbers from 0 to 255 in its pixels")
        images[position] = values
    return images.reshape(-1, SIDE, SIDE)


def _csv_rows(path, split):
    """Names, images and labels, read a piece at a time: the whole text is several times larger than its pixels."""
    files, images, labels = [], [], []
    try:
        with pd.read_csv(path, chunksize=CHUNK, skipinitialspace=True) as pieces:
            for piece in pieces:
                missing = {"emotion", "pixels", "Usage"} - set(piece.columns)
                if missing:
                    raise ValueError(f"{path} lacks the column {sorted(missing)[0]!r}: it has emotion, pixels and Usage")
                unknown = piece[~piece["Usage"].isin(USAGES.values())]
                if len(unknown):
                    row, usage = unknown.index[0], unknown["Usage"].iat[0]
                    raise ValueError(f"Usage {usage!r} in row {row} of {path}: it must be one of {', '.join(USAGES.values())}")
                piece = piece[piece["Usage"] == USAGES[split]]
                wrong = piece[~piece["emotion"].isin(range(len(CSV_LABELS)))]
                if len(wrong):
                    row, emotion = wrong.index[0], wrong["emotion"].iat[0]
                    raise ValueError(f"emotion {emotion} in row {row} of {path}: it must be in 0..{len(CSV_LABELS) - 1}")
                files += [f"fer2013.csv:{row}" for row in piece.index]
                images.append(_pixels(piece["pixels"], piece.index, path))
                labels += [EMOTIONS.index(CSV_LABELS[int(emotion)]) for emotion in piece["emotion"]]
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, EOFError) as problem:
        raise ValueError(f"{path} cannot be read ({problem}): it must be fer2013's csv file") from None
    if not files:
        raise ValueError(f"{path} has no row with Usage {USAGES[split]}: it lacks the {split} split")
    return files, np.concatenate(images), labels


def _colour(picture):
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)


def _first_file(folder, *names):
    return next((folder / name for name in names if (folder / name).is_file()), None)


def load(data_dir, split, image_size=None, seed=0, landmarks=None, undetected="keep"):
    """FER2013 from ``train/ validation/ test/`` with seven folders each, or from ``fer2013.csv``.

    The validation split is the challenge's ``PublicTest``, the test split its ``PrivateTest``. Faces are called
    ``validation/angry/NAME.jpg``; those of the csv file ``fer2013.csv:ROW``, counted from 0.

    In a quarter of the faces the landmark detector finds none. They keep what the table has for them: in the table made with
    this study's FER2013, the predictor's answer to a box at the centre, which lies on the face more often than not, since the
    faces were cut out alike. Leaving those faces out would change the benchmark.

    :param data_dir: the folder with the splits or ``fer2013.csv`` (or ``.csv.gz``), or that file.
    :param split: ``train``, ``validation`` or ``test``.
    :param image_size: side in pixels; None for 48.
    :param seed: not used, since nothing is drawn at random; every data set takes one.
    :param landmarks: path of the landmark table (``palcore.data.landmark_table``); None for ``landmarks.csv.gz`` or
        ``landmarks.csv`` in ``data_dir``.
    :param undetected: ``"keep"``, or ``"leave_out"``: no landmarks (NaN) where no face was found, so that PAL ignores them.
    :raises FileNotFoundError: where images or landmarks are missing.
    :raises ValueError: for contents that make no sense, or landmarks that lack a face.
    """
    data_dir = Path(data_dir)
    folder = data_dir if data_dir.is_dir() else data_dir.parent
    csv = data_dir if data_dir.is_file() else _first_file(folder, "fer2013.csv", "fer2013.csv.gz")
    if csv is None:
        files, items, labels = _folder_rows(folder, split)
        read = read_image
    else:
        files, items, labels = _csv_rows(csv, split)
        read = _colour
    table = Path(landmarks) if landmarks else _first_file(folder, "landmarks.csv.gz", "landmarks.csv")
    if table is None:
        raise FileNotFoundError(
            f"no landmark table landmarks.csv.gz in {folder} for fer2013: give its path as landmarks, or make it with "
            "`python -m palcore landmarks fer2013`"
        )
    return Faces(
        "fer2013",
        split,
        LazyImages(items, read, image_size or SIDE),
        landmarks_of(files, table, (SIDE, SIDE), undetected),
        np.array(labels, np.int64),
        np.array(files),
    )
