"""FER2013 (Goodfellow et al., 2013): 35,887 grey faces of 48x48 pixels, in folders or in the public csv file, and FER+'s labels.

FER+ (Barsoum et al., 2016, arXiv:1608.01041) has ten votes for each row of the csv file.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.landmark_table import TEXT, table_pieces
from palcore.data.readers import Face, Problem, Reader, first_file

FOLDERS = dict(zip(("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), sorted(EMOTIONS), strict=True))
"""The expression that each folder holds; both are in the order of the alphabet."""

CSV_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The expression that each number in the column ``emotion`` means."""

USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
"""What the challenge called each split, in the column ``Usage`` and in file names."""

COUNTS = {
    "train": (3171, 4097, 436, 7215, 4830, 3995, 4965),
    "validation": (415, 496, 56, 895, 653, 467, 607),
    "test": (416, 528, 55, 879, 594, 491, 626),
}
SIDE = 48
TABLES = ("fer2013.csv", "icml_face_data.csv")
"""Names of the csv file on the challenge's pages; both have the same rows in the same order."""

FERPLUS = "fer2013new.csv"
VOTES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
"""FER+'s columns of votes; NF is "not a face"."""


def cell_pixels(text: str, where: str) -> np.ndarray:
    """``(48, 48)`` uint8 from a cell of the column ``pixels``; a ``ValueError`` where it holds anything else."""
    try:
        values = bytes(map(int, text.split())) if text.isascii() and "_" not in text else b""
    except ValueError:
        values = b""
    if len(values) != SIDE * SIDE:
        raise ValueError(f"{where} does not have {SIDE * SIDE} whole numbers from 0 to 255 in its pixels")
    return np.frombuffer(values, np.uint8).reshape(SIDE, SIDE)


def majority(votes: np.ndarray) -> np.ndarray:
    """What more than half of each face's votes agree on: an expression, another class that won, or ``no majority``.

    :param votes: ``(N, 10)`` in the order of ``VOTES``.
    """
    agreed = 2 * votes.max(axis=1) > votes.sum(axis=1)
    return np.where(agreed, np.array([*VOTES[:-1], "no face"])[votes.argmax(axis=1)], "no majority")


def ferplus_labels(path: Path) -> tuple[list[str], list[str]]:
    """FER+'s ``majority`` of each row of the csv file, and the usage that it has there.

    :raises ValueError: for another table, or a cell that is not a number of votes; a ``FileNotFoundError`` where there is none.
    """
    table = pd.concat(table_pieces(path, "table of votes", **TEXT))
    missing = [name for name in ("Usage", *VOTES) if name not in table]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}: it has Usage, Image name, {', '.join(VOTES)}")
    votes = table[list(VOTES)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for row, column in np.argwhere(~np.isin(votes, np.arange(11)))[:1]:
        cell = f"{table[VOTES[column]].iat[row]!r} for {VOTES[column]} in row {row}"
        raise ValueError(f"{path} has {cell}: it must be a number of votes, 0..10")
    return majority(votes).tolist(), table["Usage"].tolist()


class Fer2013(Reader):
    """``train/ validation/ test/`` with seven folders each, or ``fer2013.csv``.

    The validation split is the challenge's ``PublicTest``, the test split its ``PrivateTest``. Faces are called
    ``validation/angry/NAME.jpg``, or ``fer2013.csv:ROW``, counted from 0.

    In a quarter of the faces the landmark detector finds none. They keep what the table has for them: in this study's, the
    predictor's answer to a box at the centre, which lies on the face more often than not, since the faces were cut out alike.
    """

    NAME, SIDE = "fer2013", SIDE
    CLASSES = {str(number): name for number, name in enumerate(CSV_LABELS)} | FOLDERS
    PUBLISHED = {split: dict(zip(EMOTIONS, counts, strict=True)) for split, counts in COUNTS.items()}
    KNOWN_COPIES = {"train/test": 288, "validation/test": 44}  # equal to the last pixel
    OPTIONS = {"labels": "own"}
    ROW_NAMES = "fer2013.csv:"
    LAYOUT = "data_dir must hold train/, validation/, test/, or fer2013.csv"

    def test_conditions(self, shortcut: float | None) -> dict[str, dict]:
        """On the owner's labels, and on FER+'s, whatever a run was trained on."""
        return {"test": {"labels": "own"}, "ferplus": {"labels": "ferplus"}}

    def fits(self, folder: Path) -> bool:
        return (folder / "train" / "happy").is_dir() or first_file(folder, *TABLES) is not None

    def sources(self, data_dir: Path) -> list[Path]:
        csv = first_file(data_dir, *TABLES)
        needed = [csv] if csv else [data_dir / "train", data_dir / "test"]
        return needed + [path for path in (data_dir / FERPLUS, data_dir / "validation") if path.exists()]

    def faces(self, data_dir: Path) -> Iterator[Face | Problem]:
        csv = first_file(data_dir, *TABLES)
        yield from self.in_csv(csv) if csv else self.in_folders(data_dir)

    def in_csv(self, csv: Path) -> Iterator[Face | Problem]:
        votes, splits, second, voted, seen = csv.parent / FERPLUS, {usage: split for split, usage in USAGES.items()}, [], [], []
        try:
            second, voted = ferplus_labels(votes)
        except FileNotFoundError:
            pass
        except ValueError as problem:
            yield Problem("second labels", str(problem), "note")
        for piece in table_pieces(csv, "table", 2000, **TEXT):
            missing = {"emotion", "pixels", "Usage"} - set(piece.columns)
            if missing:
                raise ValueError(f"{csv} lacks the column {min(missing)!r}: it has emotion, pixels and Usage")
            for row, emotion, pixels, usage in piece[["emotion", "pixels", "Usage"]].itertuples(name=None):
                where = f"row {row} of {csv}"
                seen.append(usage)
                if usage in splits:
                    label = second[row] if voted[row : row + 1] == [usage] else ""
                    pixels = partial(cell_pixels, pixels, where)
                    yield Face(f"{self.ROW_NAMES}{row}", splits[usage], where, emotion, pixels=pixels, second=label)
                else:
                    yield Problem("label", f"Usage {usage!r} in {where}: it must be one of {', '.join(splits)}")
        if voted and voted != seen:
            sentence = f"{votes} has {len(voted):,} rows and {csv.name} {len(seen):,}, and not the same ones"
            remedy = "rows were removed or moved in one of the two, take the files as they were published"
            yield Problem("second labels", f"{sentence}: {remedy}", "note")

    def in_folders(self, data_dir: Path) -> Iterator[Face | Problem]:
        """Copies without ``validation/`` hold those faces in ``test/``, and say so in their names."""
        merged = not (data_dir / "validation").is_dir()
        for split, usage in USAGES.items():
            root = data_dir / ("test" if merged and split != "train" else split)
            items = list(self.labelled(root, split, list(FOLDERS)))
            if merged and split != "train":
                items = [item for item in items if isinstance(item, Problem) or item.path.name.startswith(f"{usage}_")]
            yield from items
            if not any(isinstance(item, Face) for item in items):
                yield Problem("layout", f"no images called {usage}_* in {root} for the {split} split of fer2013: check data_dir")


READER = Fer2013()
