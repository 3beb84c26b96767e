"""One csv file of landmarks for a whole data set, read, begun and continued."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pandas as pd

COORDINATES = [f"{axis}{landmark}" for landmark in range(68) for axis in "xy"]
COLUMNS = ["file", "found", *COORDINATES]


def read_landmark_table(path, pixels=None):
    """Landmarks of many faces from a ``.csv`` or ``.csv.gz`` file.

    Two forms, told apart by their second column. ``file,found,x0,y0,...,x67,y67`` is the study's own: fractions of the image's
    sides from its top-left corner. ``file,detected,x0,...`` has pixels, the first pixel's centre at (0, 0).

    :param path: the table.
    :param pixels: ``(width, height)`` of the images, needed for the second form.
    :return: ``(files, found, landmarks)``: list of names, ``(N,)`` bool, ``(N, 68, 2)`` float32 in fractions.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: for another header, a name that occurs twice, or coordinates that are not finite where a face was
        found.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no landmark table {path}: `python -m palcore landmarks` makes one")
    table = pd.read_csv(path)
    header = list(table.columns)
    if header not in (COLUMNS, ["file", "detected", *COORDINATES]):
        raise ValueError(
            f"landmark table {path.name} has {len(header)} columns beginning {', '.join(header[:4])}: "
            "it must have file, found (or detected), x0, y0, ... x67, y67"
        )
    repeated = table["file"][table["file"].duplicated()]
    if len(repeated):
        raise ValueError(f"landmark table {path.name} names {repeated.iloc[0]} more than once: remove a row")
    found = table[header[1]].to_numpy() == 1
    landmarks = table[COORDINATES].to_numpy(np.float64).reshape(-1, 68, 2)
    if header[1] == "detected":
        if pixels is None:
            raise ValueError(f"landmark table {path.name} is in pixels: the size of the images is needed to read it")
        landmarks = (landmarks + 0.5) / np.asarray(pixels)
    broken = np.flatnonzero(found & ~np.isfinite(landmarks).all(axis=(1, 2)))
    if broken.size:
        raise ValueError(f"landmarks of {table['file'].iat[broken[0]]} in {path.name} are not finite: correct or remove the row")
    return table["file"].astype(str).tolist(), found, landmarks.astype(np.float32)


def append_rows(path, files, found, landmarks):
    """Add faces to a table in the study's own form, beginning it where there is none.

    :param path: ``.csv`` or ``.csv.gz``.
    :param files: names of the faces.
    :param found: whether a face was found in each.
    :param landmarks: ``(N, 68, 2)`` fractions; NaN where none was found.
    """
    path = Path(path)
    new = not path.exists()
    with (gzip.open if path.suffix == ".gz" else open)(path, "at", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        for name, seen, points in zip(files, found, landmarks, strict=True):
            writer.writerow([name, int(seen), *(f"{value:.5f}" for value in np.asarray(points).ravel())])
