"""What a reader of a data set says, a class of facts and a generator of faces, and what readers share.

A reader judges nothing and opens no picture: it yields a ``Face`` for each face that its owner's files name, and a ``Problem`` for
what is no single face's. ``palcore.data.pictures`` and ``palcore.data.landmark_fit`` look at all of it and say what is wrong.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from palcore.files import PICTURES

SPLITS = ("train", "validation", "test")
SEARCHED = 1000  # folders that are looked into for a layout that is not where it should be


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    - ``kind``: such as ``image missing``; ``sentence``: what is wrong, where, and what would be right.
    - ``level``: ``refused``: the data set is; ``bias``: it would bias a run, so ``load`` warns and the check fails; ``loss``: it
      costs that face, and ``load`` warns; ``note``: the check alone mentions it.
    - ``row``: the face's place among all faces, or -1; ``split``: the one that it concerns, or "" for all.
    """

    kind: str
    sentence: str
    level: str = "refused"
    row: int = -1
    split: str = ""

    @property
    def fatal(self) -> bool:
        """Whether it would break or bias a run."""
        return self.level in ("refused", "bias")

    @property
    def error(self) -> type[Exception]:
        """What ``load`` raises for it."""
        return FileNotFoundError if self.kind == "layout" or self.kind.endswith("missing") else ValueError


def problem_of(error: Exception, kind: str = "layout", damaged: str = "table", **place) -> Problem:
    """What an error says as a ``Problem``: of one ``kind`` where a file is missing, of the other where it is ``damaged``."""
    return Problem(kind if isinstance(error, FileNotFoundError) else damaged, str(error), **place)


@dataclass(frozen=True)
class Face:
    """One face as its owner ships it, unread. The functions are called later, and raise ``FileNotFoundError`` or ``ValueError``.

    - ``file``: its name in the data set; ``part``: the owner's part, one of ``SPLITS``; ``where`` its label stands, for sentences.
    - ``label``: the owner's text, or a function that reads it; ``second``: an expression that others call it, or why there is none.
    - ``path``: its picture; or ``pixels``, a function that gives ``(H, W)`` uint8 where it is no file.
    - ``box``: four texts, x, y, width and height of the face in its picture; None for all of it.
    - ``points``: a function that gives the owner's ``(68, 2)`` landmarks in pixels of the picture, the first pixel's centre at
      (0, 0); None where the owner has none.
    """

    file: str
    part: str
    where: str
    label: str | Callable[[], str]
    path: Path | None = None
    pixels: Callable[[], np.ndarray] | None = None
    box: tuple[str, ...] | None = None
    points: Callable[[], np.ndarray] | None = None
    second: str = ""


class Reader(ABC):
    """A data set: facts, and ``faces``. Those without a default have to be given."""

    NAME: ClassVar[str]
    SIDE: ClassVar[int]  # of the owner's images, in pixels
    CLASSES: ClassVar[dict[str, str]]  # the owner's label: expression, or the name of a class that is left out
    LAYOUT: ClassVar[str]  # what data_dir must hold, for sentences
    PUBLISHED: ClassVar[dict] = {}  # {split: {expression: count}}, where the owner has counted
    KNOWN_COPIES: ClassVar[dict] = {}  # {"train/test": count} of pictures that the owner ships twice
    VALIDATION_SHARE: ClassVar[float] = 0  # of train, where the owner has no validation split
    MISSING_SHARE: ClassVar[float] = 0  # of a part's pictures that may be missing, at the cost of those faces
    ONE_SIZE: ClassVar[bool] = True  # whether all pictures have one size
    OWN_LANDMARKS: ClassVar[bool] = False  # whether the owner ships 68
    OPTIONS: ClassVar[dict[str, str]] = {}  # options that ``load`` takes for this data set alone, with their defaults
    ROW_NAMES: ClassVar[str] = ""  # what names begin with that are numbers of rows

    def test_conditions(self, shortcut: float | None) -> dict[str, dict]:
        """What a run is tested on: name of the condition, and the options of ``load`` that it changes."""
        return {"test": {}}

    @abstractmethod
    def fits(self, folder: Path) -> bool:
        """Whether a folder holds the data set."""

    @abstractmethod
    def sources(self, data_dir: Path) -> list[Path]:
        """The files and folders that ``faces`` reads; where one of them is missing, it is not called."""

    @abstractmethod
    def faces(self, data_dir: Path) -> Iterator[Face | Problem]:
        """All that is there, part by part."""

    def face_name(self, name: str) -> str:
        """The face's name for a name in a landmark table."""
        return name

    def landmark_places(self, data_dir: Path) -> list[Path]:
        """Where landmarks lie that are not the owner's: tables, or folders with a text file a face."""
        return [path for path in [first_file(data_dir, "landmarks.csv.gz", "landmarks.csv")] if path]

    def lacking(self, data_dir: Path) -> list[Problem]:
        """A problem for each of ``sources`` that is not there, the first with where the layout is instead."""
        gone = [path for path in self.sources(data_dir) if not path.exists()]
        sentences = [f"no {'file' if path.suffix else 'folder'} {path} for {self.NAME}: {self.LAYOUT}" for path in gone]
        if gone and not self.fits(data_dir):
            sentences[0] += elsewhere(data_dir, self.fits)
        return [Problem("layout", sentence) for sentence in sentences]

    def labelled(self, root: Path, part: str, folders: list[str]) -> Iterator[Face | Problem]:
        """``PART/FOLDER/NAME`` of each image in ``folders`` of ``root``, and a problem for each that lacks, is empty or unknown."""
        wanted = f"each part has {', '.join(folders)}"
        for folder in seen_names(root):
            if folder not in folders and (root / folder).is_dir():
                yield Problem("label", f"unknown folder {folder!r} in {root}: {wanted}", split=part)
        for folder in folders:
            images = image_names(root / folder) if (root / folder).is_dir() else None
            if not images:
                lacks = "folder" if images is None else "images in"
                yield Problem("layout", f"no {lacks} {root / folder} for {self.NAME}: {wanted}", split=part)
            for image in images or ():
                yield Face(f"{part}/{folder}/{image}", part, str(root / folder), folder, root / folder / image)


def seen_names(folder: Path) -> list[str]:
    """Entries of a folder, sorted, without those that systems leave there: hidden ones, macOS's, Windows' ``Thumbs.db``."""
    try:
        names = sorted(os.listdir(folder))
    except PermissionError:
        raise ValueError(f"no permission to read {folder}: change its mode or owner") from None
    return [name for name in names if not re.match(r"\.|__MACOSX|thumbs\.db$|desktop\.ini$", name, re.IGNORECASE)]


def image_names(folder: Path) -> list[str]:
    """Names of the image files in a folder, sorted; a ``ValueError`` for one that is not UTF-8."""
    names = [name for name in seen_names(folder) if name.lower().endswith(PICTURES)]
    for name in names:
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"the name {name!a} in {folder} is not UTF-8: rename the file")
    return names


def first_file(folder: Path, *names: str) -> Path | None:
    """The first of some files that a folder has, packed (``.csv.gz``) or in upper case too."""
    there = {name.lower(): name for name in reversed(seen_names(folder))} if folder.is_dir() else {}
    wanted = [packed for name in names for packed in ([name, f"{name}.gz"] if name.endswith(".csv") else [name])]
    return next((folder / there[name] for name in wanted if name in there and not (folder / there[name]).is_dir()), None)


def elsewhere(data_dir: Path, fits: Callable[[Path], bool]) -> str:
    """The end of a sentence that says where a layout is that ``data_dir`` lacks: up to two folders below or above, or nothing."""
    level, below = [data_dir], []
    for _ in range(2):
        names = [place / name for place in level if os.access(place, os.R_OK) for name in seen_names(place)]
        level = [place for place in names[:SEARCHED] if place.is_dir()]
        below += level
    place = next(filter(fits, [*below, *data_dir.resolve().parents[:2]]), None)
    return f"; {place} does: give that as data_dir" if place else ""


def file_finder(folder: Path) -> Callable[[str], Path]:
    """A function that gives the file of a name in a folder, or the one beside it that differs in suffix or case only."""
    by_stem = cache(lambda place: {Path(name).stem.lower(): name for name in image_names(folder / place)})

    def find(name: str) -> Path:
        place, _, last = name.rpartition("/")
        if not os.path.lexists(folder / name) and os.path.isdir(folder / place):  # pathlib's raises for too long names
            last = by_stem(place).get(Path(last).stem.lower(), last)
        return folder / place / last

    return find
