"""What a reader of a data set says, a class of facts and a generator of faces, and what readers share.

A reader judges nothing and opens no picture: it yields a ``Face`` for each face that its owner's files name, and a ``Problem`` for
what is no single face's. ``palcore.data.pictures`` and ``palcore.data.landmark_fit`` look at all of it and say what is wrong.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

SPLITS = ("train", "validation", "test")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Ends of image files, in upper or lower case."""

LEVELS = ("refused", "bias", "loss", "note")
"""How bad a problem is: the data set is refused; it would bias a run, so ``load`` warns and the check fails; it costs that face and
``load`` warns; it is mentioned by the check alone."""

SEARCHED = 1000
"""Folders that are looked into for a layout that is not where it should be."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    - ``kind``: such as ``image missing``; ``split``: the one that it concerns, or "" for all.
    - ``file``: the face or the path that it concerns; ``sentence``: what is wrong, where, and what would be right.
    - ``level``: one of ``LEVELS``; ``row``: the face's place among all faces, or -1.
    """

    kind: str
    split: str
    file: str
    sentence: str
    level: str = "refused"
    row: int = -1

    @property
    def fatal(self) -> bool:
        """Whether it would break or bias a run."""
        return self.level in ("refused", "bias")

    def error(self, more: int = 0) -> Exception:
        """What ``load`` raises, with the number of the others."""
        others = f" ({more} more: `python -m palcore check` lists all)" if more else ""
        missing = self.kind == "layout" or self.kind.endswith("missing")
        return (FileNotFoundError if missing else ValueError)(self.sentence + others)


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
    ONE_SIZE: ClassVar[bool] = True  # whether all pictures have one size
    OWN_LANDMARKS: ClassVar[bool] = False  # whether the owner ships 68
    OPTIONS: ClassVar[dict[str, str]] = {}  # options that ``load`` takes for this data set alone, with their defaults
    ROW_NAMES: ClassVar[str] = ""  # what names begin with that are numbers of rows

    def test_conditions(self) -> dict[str, dict]:
        """What a run is tested on: name of the condition, and the options of ``load`` that it changes."""
        return {"test": {}}

    @abstractmethod
    def fits(self, folder: Path) -> bool:
        """Whether a folder holds the data set."""

    @abstractmethod
    def sources(self, data_dir: Path) -> list[Path]:
        """The files and folders that ``faces`` reads."""

    @abstractmethod
    def faces(self, data_dir: Path) -> Iterator[Face | Problem]:
        """All that is there, part by part."""

    def face_name(self, name: str) -> str:
        """The face's name for a name in a landmark table."""
        return name

    def landmark_places(self, data_dir: Path) -> list[Path]:
        """Where landmarks lie that are not the owner's: tables, or folders with a text file a face."""
        return [path for path in [first_file(data_dir, "landmarks.csv.gz", "landmarks.csv")] if path]

    def lacking(self, data_dir: Path, *paths: Path) -> list[Problem]:
        """A problem for each of some paths that is not there, the first with where the layout is instead."""
        gone = [path for path in paths if not path.exists()]
        where = elsewhere(data_dir, self.fits) if gone and not self.fits(data_dir) else ""
        sentences = [f"no {'file' if path.suffix else 'folder'} {path} for {self.NAME}: {self.LAYOUT}" for path in gone]
        sentences[:1] = [sentence + where for sentence in sentences[:1]]
        return [Problem("layout", "", str(path), sentence) for path, sentence in zip(gone, sentences, strict=True)]

    def labelled(self, root: Path, part: str, folders: list[str]) -> Iterator[tuple[Path, str] | Problem]:
        """``(path, folder)`` of the images in ``folders`` of ``root``, and a problem for each that lacks, is empty or unknown."""
        wanted = f"each part has {', '.join(folders)}"
        for folder in seen_names(root):
            if folder not in folders and (root / folder).is_dir():
                yield Problem("label", part, str(root / folder), f"unknown folder {folder!r} in {root}: {wanted}")
        for folder in folders:
            images = image_names(root / folder) if (root / folder).is_dir() else None
            if not images:
                lacks = f"no folder {root / folder}" if images is None else f"no images in {root / folder}"
                yield Problem("layout", part, str(root / folder), f"{lacks} for {self.NAME}: {wanted}")
            yield from ((root / folder / image, folder) for image in images or ())


def seen_names(folder: Path) -> list[str]:
    """Entries of a folder, sorted, without those that systems leave there: hidden ones, macOS's, Windows' ``Thumbs.db``.

    :raises ValueError: without permission.
    """
    try:
        names = sorted(os.listdir(folder))
    except PermissionError:
        raise ValueError(f"no permission to read {folder}: change its mode or owner") from None
    return [name for name in names if not re.match(r"\.|__MACOSX|thumbs\.db$|desktop\.ini$", name, re.IGNORECASE)]


def image_names(folder: Path) -> list[str]:
    """Names of the image files in a folder, sorted.

    :raises ValueError: for a name that is not UTF-8.
    """
    names = [name for name in seen_names(folder) if name.lower().endswith(SUFFIXES)]
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
        readable = [place for place in level if os.access(place, os.R_OK)]
        level = [place / name for place in readable for name in seen_names(place)][:SEARCHED]
        level = [place for place in level if place.is_dir()]
        below += level
    place = next(filter(fits, [*below, *data_dir.resolve().parents[:2]]), None)
    return f"; {place} does: give that as data_dir" if place else ""


class FileFinder:
    """The file of a name in a folder, or the one beside it that differs in suffix or case only."""

    def __init__(self, folder: Path):
        self.folder, self.stems = folder, {}

    def __call__(self, name: str) -> Path:
        place, _, last = name.rpartition("/")
        if not os.path.lexists(self.folder / name) and os.path.isdir(self.folder / place):  # pathlib's raises for too long names
            if place not in self.stems:
                self.stems[place] = {Path(other).stem.lower(): other for other in image_names(self.folder / place)}
            last = self.stems[place].get(Path(last).stem.lower(), last)
        return self.folder / place / last
