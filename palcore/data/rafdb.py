"""RAF-DB (Li, Deng and Du, 2017): 15,339 aligned faces of 100x100 pixels with one of seven basic expressions."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from palcore.data.readers import Face, Problem, Reader, file_finder
from palcore.files import read_text

LABELS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""The expression that each number means, counted from 1."""

COUNTS = {"train": (1290, 281, 717, 4772, 1982, 705, 2524), "test": (329, 74, 160, 1185, 478, 162, 680)}
LIST = "list_patition_label.txt"  # the owner's spelling
LINE = re.compile(r"((train|test)_\d+\.\w+)\s+(\S+)")
LINES = "it must have lines such as `train_00001.jpg 5`"


class RafDb(Reader):
    """As its owners ship it, ``Image/aligned/train_00001_aligned.jpg`` with a list of labels, or in the common copies with a folder
    for each label, ``DATASET/train/5/``. Faces are called as in the owner's list, ``train_00001.jpg``, in both.

    The release has 5 and 37 landmarks, not 68. Those lie beside the images: ``landmarks/train_00001_aligned.txt``, 68 lines of two
    numbers in pixels, **the row first and then the column**, or a landmark table, whose names may have folders and ``_aligned``.
    """

    NAME, SIDE, VALIDATION_SHARE = "rafdb", 100, 0.1
    CLASSES = {str(number): name for number, name in enumerate(LABELS, start=1)}
    PUBLISHED = {part: dict(zip(LABELS, counts, strict=True)) for part, counts in COUNTS.items()}
    OPTIONS = {"landmark_order": "row_column"}
    LAYOUT = f"data_dir must hold Image/aligned/ and EmoLabel/{LIST}, or DATASET/train/1/ to 7/ and DATASET/test/1/ to 7/"

    def fits(self, folder: Path) -> bool:
        return (folder / "EmoLabel").is_dir() or (folder / "train" / "1").is_dir()

    def face_name(self, name: str) -> str:
        """``train_00001.jpg`` of ``Image/aligned/train_00001_aligned.png``."""
        return f"{Path(name).stem.lower().removesuffix('_aligned')}.jpg"

    def root(self, data_dir: Path) -> tuple[Path, bool]:
        """The folder that holds ``Image/`` and ``EmoLabel/`` and whether that is so; else the one that holds ``train/1/``."""
        for folder in (data_dir, data_dir / "basic"):
            if (folder / "EmoLabel").is_dir() or (folder / "Image").is_dir():
                return folder, True
        for folder in (data_dir / "DATASET", data_dir):
            if (folder / "train").is_dir() or (folder / "test").is_dir():
                return folder, False
        return data_dir, True

    def sources(self, data_dir: Path) -> list[Path]:
        root, listed = self.root(data_dir)
        return [root / "Image" / "aligned", root / "EmoLabel" / LIST] if listed else [root / "train", root / "test"]

    def landmark_places(self, data_dir: Path) -> list[Path]:
        """In the images' folder, or above it where it is called ``DATASET`` or ``basic``."""
        root, _ = self.root(data_dir)
        places = [root, root.parent] if root.name in ("DATASET", "basic") else [root]
        folders = [place / "landmarks" for place in places if (place / "landmarks").is_dir()]
        return folders + [table for place in places for table in super(RafDb, self).landmark_places(place)]

    def faces(self, data_dir: Path) -> Iterator[Face | Problem]:
        root, listed = self.root(data_dir)
        yield from self.in_list(root) if listed else self.in_folders(root)

    def in_list(self, root: Path) -> Iterator[Face | Problem]:
        table, find, parts = root / "EmoLabel" / LIST, file_finder(root / "Image" / "aligned"), set()
        for number, line in enumerate(read_text(table, f"list of labels ({LINES})").splitlines(), start=1):
            if match := LINE.fullmatch(line.strip()):
                name, part, label = match.groups()
                name = self.face_name(name)
                parts.add(part)
                yield Face(name, part, f"line {number} of {table}", label, find(name.replace(".", "_aligned.")))
            elif line.strip():
                yield Problem("table", f"line {number} of {table} is {line.strip()!r}: {LINES}")
        for part in sorted({"train", "test"} - parts):
            yield Problem("layout", f"{table} names no {part} faces: {LINES}", split=part)

    def in_folders(self, root: Path) -> Iterator[Face | Problem]:
        for part in ("train", "test"):
            items = list(self.labelled(root / part, part, list(self.CLASSES)))
            yield from (item for item in items if isinstance(item, Problem))
            faces = [replace(item, file=self.face_name(item.file)) for item in items if isinstance(item, Face)]
            yield from sorted(faces, key=lambda face: (face.file, face.path))


READER = RafDb()
