"""FER2013 (Goodfellow et al., 2013): 35,887 grey faces of 48x48 pixels, in folders or in the public csv file."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.landmark_table import read_landmark_table
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
CSV_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
CSV_SPLITS = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
SIDE = 48


def _folder_rows(data_dir, split):
    root = data_dir / split
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root} for fer2013: data_dir must hold train/, validation/ and test/, or fer2013.csv")
    files, labels = [], []
    for folder, emotion in FOLDERS.items():
        for path in sorted((root / folder).glob("*.[jp][pn]g")):
            files.append(path.relative_to(data_dir).as_posix())
            labels.append(EMOTIONS.index(emotion))
    unknown = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name not in FOLDERS)
    if unknown:
        raise ValueError(f"unknown folder {unknown[0]!r} in {root}: fer2013's are {', '.join(FOLDERS)}")
    return files, labels


@lru_cache(maxsize=2)
def _csv(path):
    table = pd.read_csv(path)
    missing = {"emotion", "pixels", "Usage"} - set(table.columns)
    if missing:
        raise ValueError(f"{path} lacks the column {sorted(missing)[0]!r}: fer2013.csv has emotion, pixels and Usage")
    return table


def _csv_rows(path, split):
    table = _csv(path)
    rows = np.flatnonzero(table["Usage"] == CSV_SPLITS[split])
    emotions = table["emotion"].to_numpy()[rows]
    wrong = np.flatnonzero((emotions < 0) | (emotions >= len(CSV_LABELS)))
    if wrong.size:
        row = rows[wrong[0]]
        raise ValueError(f"emotion {emotions[wrong[0]]} in row {row} of {path.name}: fer2013.csv has 0..6")
    images = []
    for row in rows:
        values = np.array(table["pixels"].iat[row].split(), np.int64)
        if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
            raise ValueError(
                f"row {row} of {path.name} has {values.size} pixels from {values.min()} to {values.max()}: "
                f"fer2013.csv has {SIDE * SIDE} from 0 to 255"
            )
        images.append(values.astype(np.uint8).reshape(SIDE, SIDE))
    labels = [EMOTIONS.index(CSV_LABELS[emotion]) for emotion in emotions]
    return [f"{path.name}:{row}" for row in rows], labels, images


def _landmarks(data_dir, given, files):
    choices = [Path(given)] if given else [data_dir / "landmarks.csv.gz", data_dir / "landmarks.csv"]
    path = next((choice for choice in choices if choice.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"no landmark table {choices[0]} for fer2013: give its path as landmarks, or put it into data_dir")
    names, _, points = read_landmark_table(path, pixels=(SIDE, SIDE))
    place = {name: row for row, name in enumerate(names)}
    lacking = [name for name in files if name not in place]
    if lacking:
        raise ValueError(f"{path.name} has no landmarks of {lacking[0]} and {len(lacking) - 1} other faces: make a full table")
    return points[[place[name] for name in files]]


def load(data_dir, split, image_size=None, seed=0, landmarks=None):
    """FER2013 from ``train/ validation/ test/`` with seven folders each, or from ``fer2013.csv``.

    Labels of the csv file, 0..6, are anger, disgust, fear, happiness, sadness, surprise, neutral. The validation split is
    ``PublicTest``, the test split ``PrivateTest``.

    :param data_dir: folder with the splits or ``fer2013.csv``, and with ``landmarks.csv.gz`` unless ``landmarks`` is given.
    :param split: ``train``, ``validation`` or ``test``.
    :param image_size: side in pixels; None for 48.
    :param seed: not used, since nothing is drawn at random; every data set takes one.
    :param landmarks: path of the landmark table. Faces that its detector missed keep the table's guess, since leaving
        them out would change the benchmark. Rows of the csv file are called ``fer2013.csv:ROW``, counted from 0.
    :raises FileNotFoundError: where images or landmarks are missing.
    :raises ValueError: for contents that make no sense.
    """
    if data_dir is None:
        raise ValueError("data_dir is missing for fer2013: give the folder with train/, validation/ and test/, or fer2013.csv")
    data_dir = Path(data_dir)
    csv = data_dir / "fer2013.csv" if data_dir.is_dir() else data_dir
    if csv.is_file():
        files, labels, pictures = _csv_rows(csv, split)
        items = pictures

        def read(picture):
            return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    else:
        files, labels = _folder_rows(data_dir, split)
        items = [data_dir / name for name in files]
        read = read_image
    if not files:
        raise FileNotFoundError(f"no images of the {split} split in {data_dir}: check data_dir")
    return Faces(
        "fer2013",
        split,
        LazyImages(items, read, image_size or SIDE),
        _landmarks(data_dir if data_dir.is_dir() else data_dir.parent, landmarks, files),
        np.array(labels, np.int64),
        np.array(files),
    )
