"""FER2013 (Goodfellow et al., 2013): 35,887 grey faces of 48x48 pixels, in folders or in the public csv file, and FER+'s labels.

FER+ (Barsoum et al., 2016, arXiv:1608.01041) has ten votes for each row of the csv file.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from palcore import EMOTIONS
from palcore.data.landmark_table import strictly, text_pieces, whole_table
from palcore.data.readers import Face, Problem, Reader, first_file

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
    """``(48, 48)`` uint8 from a cell of the column ``pixels``.

    :raises ValueError: where it holds anything else.
    """
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
    most = votes.argmax(axis=1)
    agreed = 2 * votes[np.arange(len(votes)), most] > votes.sum(axis=1)
    return np.where(agreed, np.array([*VOTES[:-1], "no face"])[most], "no majority")


def ferplus_labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """FER+'s ``majority`` of each row of the csv file, and the usage that it has there.

    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: for another table, or a cell that is not a number of votes.
    """
    with whole_table(path, "table of votes", "FER+'s csv file") as file:
        table = strictly(pd.read_csv, file, dtype=str, keep_default_na=False, index_col=False)
    missing = [name for name in ("Usage", *VOTES) if name not in table]
    if missing:
        raise ValueError(f"{path} lacks the column {missing[0]!r}: it has Usage, Image name, {', '.join(VOTES)}")
    votes = table[list(VOTES)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    for row, column in np.argwhere(~np.isin(votes, np.arange(11)))[:1]:
        cell = f"{table[VOTES[column]].iat[row]!r} for {VOTES[column]} in row {row}"
        raise ValueError(f"{path} has {cell}: it must be a number of votes, 0..10")
    return majority(votes), table["Usage"].to_numpy(str)


class Fer2013(Reader):
    """``train/ validation/ test/`` with seven folders each, or ``fer2013.csv``.

    The validation split is the challenge's ``PublicTest``, the test split its ``PrivateTest``. Faces are called
    ``validation/angry/NAME.jpg``, or ``fer2013.csv:ROW``, counted from 0.

    In a quarter of the faces the landmark detector finds none. They keep what the table has for them: in the table made with
    this study's FER2013, the predictor's answer to a box at the centre, which lies on the face more often than not, since the
    faces were cut out alike. Leaving those faces out would change the benchmark.
    """

    NAME, SIDE = "fer2013", SIDE
    CLASSES = {str(number): name for number, name in enumerate(CSV_LABELS)} | FOLDERS
    PUBLISHED = {split: dict(zip(EMOTIONS, counts, strict=True)) for split, counts in COUNTS.items()}
    KNOWN_COPIES = {"train/test": 288, "validation/test": 44}  # equal to the last pixel
    OPTIONS = {"labels": "own"}
    ROW_NAMES = "fer2013.csv:"
    LAYOUT = "data_dir must hold train/, validation/, test/, or fer2013.csv"

    def test_conditions(self) -> dict[str, dict]:
        """On the owner's labels, and on FER+'s, whatever a run was trained on."""
        return {"test": {"labels": "own"}, "ferplus": {"labels": "ferplus"}}

    def fits(self, folder: Path) -> bool:
        return (folder / "train" / "happy").is_dir() or first_file(folder, *TABLES) is not None

    def table(self, data_dir: Path) -> Path | None:
        """The csv file, where there is one."""
        return data_dir if not data_dir.is_dir() else first_file(data_dir, *TABLES)

    def sources(self, data_dir: Path) -> list[Path]:
        csv = self.table(data_dir)
        return [csv, csv.parent / FERPLUS] if csv else [data_dir / split for split in USAGES]

    def landmark_places(self, data_dir: Path) -> list[Path]:
        return super().landmark_places(data_dir if data_dir.is_dir() else data_dir.parent)

    def faces(self, data_dir: Path) -> Iterator[Face | Problem]:
        csv = self.table(data_dir)
        yield from self.in_csv(csv) if csv else self.in_folders(data_dir)

    def in_csv(self, csv: Path) -> Iterator[Face | Problem]:
        splits, seconds, usages, moved = {usage: split for split, usage in USAGES.items()}, [], [], 0
        try:
            seconds, usages = ferplus_labels(csv.parent / FERPLUS)
        except FileNotFoundError:
            pass
        except ValueError as problem:
            yield Problem("second labels", "", str(csv.parent / FERPLUS), str(problem), "note")
        for piece in text_pieces(csv, "table", 2000):
            missing = {"emotion", "pixels", "Usage"} - set(piece.columns)
            if missing:
                raise ValueError(f"{csv} lacks the column {min(missing)!r}: it has emotion, pixels and Usage")
            for row, emotion, pixels, usage in piece[["emotion", "pixels", "Usage"]].itertuples(name=None):
                name, where = f"fer2013.csv:{row}", f"row {row} of {csv}"
                if usage not in splits:
                    sentence = f"Usage {usage!r} in {where}: it must be one of {', '.join(splits)}"
                    yield Problem("label", "", name, sentence)
                    continue
                fits = row < len(usages) and usages[row] == usage
                moved += len(usages) > 0 and not fits
                second = str(seconds[row]) if fits else ""
                yield Face(name, splits[usage], where, emotion, pixels=partial(cell_pixels, pixels, where), second=second)
        if moved or (len(usages) and row + 1 != len(usages)):
            sentence = f"{csv.parent / FERPLUS} has {len(usages):,} rows and {csv.name} {row + 1:,}, and not the same ones"
            remedy = "rows were removed or moved in one of the two, take the files as they were published"
            yield Problem("second labels", "", str(csv.parent / FERPLUS), f"{sentence}: {remedy}", "note")

    def in_folders(self, data_dir: Path) -> Iterator[Face | Problem]:
        """Copies without ``validation/`` hold those faces in ``test/``, and say so in their names."""
        merged = not (data_dir / "validation").is_dir()
        lacking = self.lacking(data_dir, data_dir / "train", data_dir / "test")
        yield from lacking
        for split, usage in USAGES.items() if not lacking else ():
            root, count = data_dir / ("test" if merged and split != "train" else split), 0
            for item in self.labelled(root, split, list(FOLDERS)):
                if isinstance(item, Problem):
                    yield item
                elif not merged or split == "train" or item[0].name.startswith(f"{usage}_"):
                    count += 1
                    yield Face(f"{split}/{item[1]}/{item[0].name}", split, str(item[0].parent), item[1], item[0])
            if not count:
                sentence = f"no images called {usage}_* in {root} for the {split} split of fer2013: check data_dir"
                yield Problem("layout", split, str(root), sentence)


READER = Fer2013()
