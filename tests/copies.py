"""Miniature copies of the real data sets, in the layouts of their owners, with drawn faces in place of the licensed ones.

Each ``write_*`` fills a folder and returns what was drawn, ``{name of the face in its data set: Drawn}``, for both of the owner's
parts. Faces without a shortcut patch; PNG bytes under the owner's file names would be read too, but the files are real JPEGs.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data import load
from palcore.data.landmark_table import COORDINATES, append_rows

TRAIN, TEST = 28, 14
"""Faces in the owner's parts, each expression equally often."""


@dataclass(frozen=True)
class Drawn:
    """One drawn face: where it went, its label in the order of ``EMOTIONS``, pixels and landmarks (fractions).

    ``corner``: x and y of its upper left pixel in a larger picture.
    """

    path: Path
    part: str
    label: int
    image: np.ndarray
    landmarks: np.ndarray
    corner: tuple = (0, 0)


def drawn_faces(part, size, count=None):
    """Images ``(N, size, size, 3)``, labels and landmarks of drawn faces; the parts have no face in common."""
    count = count or {"train": TRAIN, "test": TEST, "validation": TEST}[part]
    faces = load("synthetic", split=part, image_size=size, count=count, shortcut=None)
    return faces.images[:], faces.labels, faces.landmarks


def write_image(path, image, quality=95):
    """Write RGB, or grey where the image has two dimensions, as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = image if image.ndim == 2 else image[..., ::-1]
    path.write_bytes(cv2.imencode(path.suffix, channels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def write_landmark_file(path, landmarks, side=100, separator="\t", decimals=0, order="row_column"):
    """68 lines of two numbers in pixels, the first pixel's centre at (0, 0)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = landmarks * side - 0.5
    pixels = pixels[:, ::-1] if order == "row_column" else pixels
    path.write_text("".join(f"{a:.{decimals}f}{separator}{b:.{decimals}f}\n" for a, b in pixels))


def write_table(path, drawn):
    """The study's own landmark table of some drawn faces."""
    append_rows(path, list(drawn), [True] * len(drawn), [face.landmarks for face in drawn.values()])


def write_rafdb(folder, landmarks="text", in_folders=False, **form):
    """``Image/aligned`` and ``EmoLabel/list_patition_label.txt``, or ``DATASET/train/1/`` and so on.

    :param landmarks: ``text``: ``landmarks/``, in some ``form``; ``table``: ``landmarks.csv.gz``.
    """
    drawn, lines = {}, []
    for part, digits in (("train", 5), ("test", 4)):
        for number, (image, label, points) in enumerate(zip(*drawn_faces(part, 100), strict=True), start=1):
            stem = f"{part}_{number:0{digits}d}"
            place = folder / "DATASET" / part / str(label + 1) if in_folders else folder / "Image" / "aligned"
            path = place / f"{stem}_aligned.jpg"
            write_image(path, image)
            lines.append(f"{stem}.jpg {label + 1}\n")
            drawn[f"{stem}.jpg"] = Drawn(path, part, label, image, points)
            if landmarks == "text":
                write_landmark_file(folder / "landmarks" / f"{stem}_aligned.txt", points, **form)
    if not in_folders:
        (folder / "EmoLabel").mkdir()
        (folder / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines))
    if landmarks == "table":
        write_table(folder / "landmarks.csv.gz", drawn)
    return drawn


FER_FOLDERS = dict(zip(EMOTIONS, ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), strict=True))
FER_USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
FER_NUMBERS = dict(zip(EMOTIONS, (5, 2, 1, 3, 4, 0, 6), strict=True))


def _write_pixel_table(path, drawn, side):
    """A landmark table in pixels, as that of the study's FER2013."""
    points = np.stack([face.landmarks for face in drawn.values()]) * side - 0.5
    frame = pd.DataFrame(points.reshape(len(drawn), 136).round(2), columns=COORDINATES)
    frame.insert(0, "detected", 1)
    frame.insert(0, "file", list(drawn))
    frame.to_csv(path, index=False)


def write_fer2013(folder):
    """``train/ validation/ test/`` with seven folders each, and ``landmarks.csv.gz``."""
    drawn = {}
    for split, usage in FER_USAGES.items():
        for number, (image, label, points) in enumerate(zip(*drawn_faces(split, 48), strict=True)):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            name = f"{split}/{FER_FOLDERS[EMOTIONS[label]]}/{usage}_{number}.jpg"
            write_image(folder / name, grey)
            drawn[name] = Drawn(folder / name, split, label, np.repeat(grey[..., None], 3, axis=2), points)
    _write_pixel_table(folder / "landmarks.csv.gz", drawn, 48)
    return drawn


def write_fer2013_csv(folder):
    """``fer2013.csv`` and ``landmarks.csv.gz``."""
    folder.mkdir(exist_ok=True)
    drawn, rows = {}, []
    for split, usage in FER_USAGES.items():
        for image, label, points in zip(*drawn_faces(split, 48), strict=True):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            drawn[f"fer2013.csv:{len(rows)}"] = Drawn(
                folder / "fer2013.csv", split, label, np.repeat(grey[..., None], 3, axis=2), points
            )
            rows.append({"emotion": FER_NUMBERS[EMOTIONS[label]], "pixels": " ".join(map(str, grey.ravel())), "Usage": usage})
    pd.DataFrame(rows).to_csv(folder / "fer2013.csv", index=False)
    _write_pixel_table(folder / "landmarks.csv.gz", drawn, 48)
    return drawn


AFFECTNET_NUMBERS = dict(zip(EMOTIONS, (3, 4, 5, 1, 2, 6, 0), strict=True))
PARTS, OTHERS = {"train": "train_set", "test": "val_set"}, (7, 8, 9, 10)


def write_affectnet(folder):
    """``train_set/`` and ``val_set/``; the faces of the classes ``OTHERS`` come last in each, and are not returned.

    Of each face there are its picture, ``N_exp.npy``, ``N_lnd.npy``, and two files that nobody here reads.
    """
    drawn = {}
    for part, place in PARTS.items():
        images, labels, points = drawn_faces(part, 224)
        (folder / place / "annotations").mkdir(parents=True)
        numbers = [AFFECTNET_NUMBERS[EMOTIONS[label]] for label in labels]
        for row, number in enumerate([*numbers, *OTHERS]):
            face, path = row % len(images), folder / place / "images" / f"{row}.jpg"
            write_image(path, images[face])
            notes = {"exp": str(number), "lnd": (points[face] * 224 - 0.5).ravel(), "val": 0.1, "aro": -0.1}
            for kind, value in notes.items():
                np.save(folder / place / "annotations" / f"{row}_{kind}.npy", np.array(value))
            if row < len(images):
                drawn[f"{place}/images/{path.name}"] = Drawn(path, part, labels[face], images[face], points[face])
    return drawn


CSV_HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"


def write_affectnet_csv(folder, separator=";", header=True):
    """``training.csv``, ``validation.csv`` and pictures of 300x260 pixels, the face of 120 pixels somewhere within each."""
    drawn = {}
    for part, table in (("train", "training.csv"), ("test", "validation.csv")):
        lines = [CSV_HEADER] if header else []
        images, labels, points = drawn_faces(part, 120)
        numbers = [AFFECTNET_NUMBERS[EMOTIONS[label]] for label in labels]
        for row, number in enumerate([*numbers, *OTHERS]):
            face = row % len(images)
            x, y = 20 + 3 * face, 10 + 2 * face
            picture = np.full((260, 300, 3), 90, np.uint8)
            picture[y : y + 120, x : x + 120] = images[face]
            name = f"{row % 5}/{part}{row:04d}.jpg"
            path = folder / "Manually_Annotated_Images" / name
            write_image(path, picture)
            pixels = points[face] * 120 - 0.5 + [x, y]
            text = separator.join(f"{value:.2f}" for value in pixels.ravel())
            lines.append(f"{name},{x},{y},120,120,{text},{number},0.1,-0.1\n")
            if row < len(images):
                drawn[name] = Drawn(path, part, labels[face], images[face], points[face], (x, y))
        (folder / table).write_text("".join(lines))
    return drawn


WRITERS = {
    "rafdb": ("rafdb", write_rafdb),
    "rafdb_folders": ("rafdb", partial(write_rafdb, in_folders=True)),
    "affectnet": ("affectnet", write_affectnet),
    "affectnet_csv": ("affectnet", write_affectnet_csv),
    "fer2013": ("fer2013", write_fer2013),
    "fer2013_csv": ("fer2013", write_fer2013_csv),
}
"""Each layout: the data set's name, and what writes a copy."""
