"""The pass over a data set: every picture is decoded once, and all is judged that needs no landmarks."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import joblib
import numpy as np

from palcore import EMOTIONS
from palcore.data import faults
from palcore.data.images import cut_out, decoded, read_image
from palcore.data.index import open_index, write_index
from palcore.data.readers import SPLITS, Face, Problem, Reader
from palcore.data.splits import with_validation
from palcore.progress import progress_bar

UNKNOWN = -1
"""Label of a face whose own label makes no sense."""

THREADS = 4
"""That decode: it is the libraries' work and not Python's."""

MOST_COPIED = 4 * 2**30
"""Bytes of pixels that are copied into an index, at most: RAF-DB's are 0.5 GB, FER2013's 0.1. AffectNet's would be 43 GB."""

PATIENCE = 2
"""Seconds before a progress bar is shown."""


@dataclass
class _Seen:
    """What the pass keeps of one face; its pixels only until they are written."""

    file: str
    part: str
    label: int
    second: str
    path: str
    boxed: bool
    problems: list = field(default_factory=list)  # (kind, sentence, level)
    pixels: np.ndarray | None = None
    box: np.ndarray = field(default_factory=lambda: np.zeros(4))  # x, y, width and height in the picture
    points: np.ndarray | None = None
    look: faults.Look = faults.NOTHING


class Pictures(NamedTuple):
    """The faces of a data set whose pictures were looked at; all arrays have a row a face, in the owner's order.

    - ``folder`` of the index; ``data_dir`` of the pictures; ``problems``; ``facts``: what the check counts.
    - ``arrays``: ``files``, ``splits``, ``labels`` (``UNKNOWN`` where it makes no sense), ``second`` labels, ``paths`` in
      ``data_dir``, ``boxes (N, 4)`` of the face in its picture (x, y, width and height; 0 where there is none), ``hashes (N, 2)``
      and ``grey (N, 48, 48)`` of ``faults.Look``; perhaps the owner's ``points (N, 68, 2)`` in pixels, and ``pixels
      (N, H, W, C)`` where they are copied.
    """

    folder: Path
    data_dir: Path
    arrays: dict
    problems: list
    facts: dict


class StoredPictures:
    """Reads a face's pixels ``(H, W, 3)`` uint8 RGB by its row: from the index, or from the file that the pass has looked at.

    It can be pickled, for other processes: the arrays are mapped again there.
    """

    def __init__(self, folder: Path, data_dir: Path):
        self.folder, self.data_dir = Path(folder).resolve(), Path(data_dir).resolve()
        arrays, kept = open_index(self.folder)
        self.pixels, self.paths = arrays.get("pixels"), arrays["paths"]
        self.boxes = arrays["boxes"] if kept["facts"]["boxed"] else None

    def __reduce__(self):
        return StoredPictures, (self.folder, self.data_dir)

    def __call__(self, row: int) -> np.ndarray:
        if self.pixels is not None:
            image = self.pixels[row]
            return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.shape[-1] == 1 else np.array(image)
        path = self.data_dir / str(self.paths[row])
        try:
            image = decoded(path.read_bytes())
        except (OSError, ValueError, cv2.error):
            image = read_image(path)  # which says what is wrong with it now
        return image if self.boxes is None else cut_out(image, self.boxes[row])


def _listed(reader: Reader, data_dir: Path) -> Iterator[Face | Problem]:
    """What a reader yields, up to where it cannot go on."""
    try:
        yield from reader.faces(data_dir)
    except FileNotFoundError as problem:
        yield Problem("layout", "", str(data_dir), str(problem))
    except ValueError as problem:
        yield Problem("table", "", str(data_dir), str(problem))


def _label(face: Face, classes: dict[str, str]) -> str:
    """The expression, or the name of a class that is left out.

    :raises FileNotFoundError: where it is missing.
    :raises ValueError: where it is none.
    """
    text = face.label if isinstance(face.label, str) else face.label()
    if text.strip() not in classes:
        raise ValueError(f"label {text!r} of {face.file} in {face.where}: it must be one of {', '.join(classes)}")
    return classes[text.strip()]


class _Intake:
    """Turns what a reader yields into faces of the seven classes, each with a name of its own, before a picture is read."""

    def __init__(self, reader: Reader, data_dir: Path):
        self.reader, self.data_dir, self.problems = reader, data_dir, []
        self.dropped = {part: Counter() for part in SPLITS}

    def __iter__(self) -> Iterator[tuple[Face, _Seen]]:
        """A second face of one picture is called ``PICTURE#2``; the same face twice is told, and kept once."""
        named, places, root = Counter(), {}, self.data_dir if self.data_dir.is_dir() else self.data_dir.parent
        for face in _listed(self.reader, self.data_dir):
            if isinstance(face, Problem):
                self.problems.append(face)
                continue
            wrong, name = [], ""
            try:
                name = _label(face, self.reader.CLASSES)
            except (FileNotFoundError, ValueError) as problem:
                wrong.append(("label missing" if isinstance(problem, FileNotFoundError) else "label", str(problem), "refused"))
            if name and name not in EMOTIONS:
                self.dropped[face.part][name] += 1
                continue
            earlier = places.setdefault((face.file, face.box), face.where)
            if earlier != face.where:
                sentence = f"{face.where} names {face.file} a second time, after {earlier}: remove one"
                level = "loss" if face.box else "refused"
                self.problems.append(Problem("repeated", face.part, f"{face.file} again", sentence, level))
                continue
            named[face.file] += 1
            file = f"{face.file}#{named[face.file]}" if named[face.file] > 1 else face.file
            path = os.path.relpath(face.path, root) if face.path else ""
            yield face, _Seen(file, face.part, EMOTIONS.index(name) if name else UNKNOWN, face.second, path, bool(face.box), wrong)


def _boxed(face: Face, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box of a face, and what it cuts from the picture."""
    try:
        box = np.array(face.box, np.float64)
        cut = cut_out(picture, box) if np.isfinite(box).all() and box[2:].min() >= 1 and np.abs(box).max() < 1e6 else None
    except ValueError:
        cut = None
    if cut is None:
        raise ValueError(f"face box ({', '.join(face.box)}) of {face.file} in {face.where} lies outside its picture: correct it")
    return box, cut


def _look(face: Face, seen: _Seen) -> _Seen:
    """Everything there is to see of one face by itself."""
    kind = "image"
    try:
        picture = read_image(face.path) if face.path else face.pixels()
        if face.box:
            kind = "face box"
            seen.box, picture = _boxed(face, picture)
        else:
            seen.box = np.array([0, 0, *picture.shape[1::-1]], np.float64)
        seen.pixels, seen.look = picture, faults.look_at(picture)
        if not seen.look.hashes[0]:
            sentence = f"image {seen.file} has one colour all over: there is no face to see"
            seen.problems.append(("image blank", sentence, "note"))
    except (FileNotFoundError, ValueError) as problem:
        ending = " missing" if isinstance(problem, FileNotFoundError) else " unreadable" if kind == "image" else ""
        seen.problems.append((kind + ending, str(problem), "refused"))
    try:
        seen.points = face.points() if face.points else None
    except (FileNotFoundError, ValueError) as problem:
        ending = "missing" if isinstance(problem, FileNotFoundError) else "unreadable"
        seen.problems.append((f"landmarks {ending}", str(problem), "refused"))
    return seen


class _PixelFile:
    """``pixels.npy``, a row a face, written while its length is not known yet; gone where sizes differ or there are too many."""

    def __init__(self, path: Path):
        self.path, self.shape, self.count, self.file = path, None, 0, path.open("wb")

    def write(self, pixels: np.ndarray | None) -> None:
        """The pixels of one more face; None where there are none."""
        self.count += 1
        if self.file is None or (pixels is None and self.shape is None):
            return
        if self.shape is None:
            self.shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
            self.header(0)
            self.file.write(bytes((self.count - 1) * int(np.prod(self.shape))))
        size = int(np.prod(self.shape))
        fits = pixels is not None and pixels.size == size and pixels.shape[:2] == self.shape[:2]
        self.file.write(np.ascontiguousarray(pixels) if fits else bytes(size))  # one of another size refuses the data set
        if self.file.tell() > MOST_COPIED:
            self.close(keep=False)

    def header(self, count: int) -> None:
        facts = {"descr": "|u1", "fortran_order": False, "shape": (count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, facts)  # as long for any count: it leaves room for its digits

    def close(self, keep: bool = True) -> None:
        if self.file is None:
            return
        if keep and self.shape:
            self.file.seek(0)
            self.header(self.count)
        self.file.close()
        self.file = None
        if not keep or not self.shape:
            self.path.unlink()


def expected_bytes(reader: Reader) -> int:
    """How large the pixels of the owner's data set are, copied; 0 where they are not copied, or nobody has counted."""
    faces = sum(sum(counts.values()) for counts in reader.PUBLISHED.values())
    size = faces * reader.SIDE**2 * 3
    return size if reader.ONE_SIZE and size <= MOST_COPIED else 0


def _announce(reader: Reader, data_dir: Path, folder: Path) -> bool:
    """Says what the pass will take; whether pixels are copied."""
    size, free = expected_bytes(reader), shutil.disk_usage(folder).free
    copies = reader.ONE_SIZE and (size or not reader.PUBLISHED) and size < free
    place = f"copied to {folder.parent}" if copies else "read where they are from then on"
    room = f" (up to {size / 1e6:,.0f} MB)" if copies and size else ""
    print(f"{reader.NAME} in {data_dir}: every picture is looked at once; they are {place}{room}", file=sys.stderr)
    return bool(copies)


def import_pictures(reader: Reader, data_dir: Path, copied: bool, folder: Path) -> None:
    """Look at every picture of a data set, and write an index of what is there and all that is wrong with it.

    :param copied: whether pixels may be copied, where they have one size and are not too many.
    :param folder: of the index, see ``Pictures``.
    """
    intake, faces, greys = _Intake(reader, data_dir), [], []
    file = _PixelFile(folder / "pixels.npy")
    if not copied or not _announce(reader, data_dir, folder):
        file.close(keep=False)
    pool = joblib.Parallel(THREADS, prefer="threads", return_as="generator", batch_size=32)
    looks = pool(joblib.delayed(_look)(face, seen) for face, seen in intake)
    for seen in progress_bar(looks, desc=reader.NAME, unit="face", delay=PATIENCE):
        file.write(seen.pixels)
        greys.append(seen.look.grey)
        seen.pixels, seen.look = None, seen.look._replace(grey=None)
        faces.append(seen)
    file.close()
    arrays = _arrays(faces, reader.OWN_LANDMARKS)
    arrays["grey"] = np.array(greys, np.uint8).reshape(-1, faults.SIDE, faults.SIDE)
    problems, parts = intake.problems, np.array([seen.part for seen in faces], "U10")
    try:
        arrays["splits"] = with_validation(arrays["files"], parts, arrays["labels"], reader.VALIDATION_SHARE, 0)
    except ValueError as problem:
        arrays["splits"] = parts
        problems.append(Problem("label", "", str(data_dir), f"no validation split of {reader.NAME}: {problem}"))
    for row, (seen, split) in enumerate(zip(faces, arrays["splits"].tolist(), strict=True)):
        problems += [Problem(kind, split, seen.file, sentence, level, row) for kind, sentence, level in seen.problems]
    digests, boxed = [seen.look.digest for seen in faces], any(seen.boxed for seen in faces)
    del faces, greys
    more, facts = faults.whole_problems(reader, arrays, digests)
    problems += more
    if not len(arrays["files"]) and not problems:
        sentence = f"no faces in {data_dir} for {reader.NAME}: {reader.LAYOUT}"
        problems.append(Problem("layout", "", str(data_dir), sentence))
    facts["boxed"] = boxed
    facts["dropped"] = {part: dict(names) for part, names in intake.dropped.items() if names}
    write_index(folder, arrays, {"facts": facts, "problems": [asdict(problem) for problem in problems]})


def _arrays(faces: list[_Seen], with_points: bool) -> dict[str, np.ndarray]:
    """The columns of all faces."""
    nowhere = np.full((68, 2), np.nan, np.float32)
    boxes = np.array([seen.box for seen in faces], np.float64).reshape(-1, 4)
    arrays = {
        "files": np.array([seen.file for seen in faces], str),
        "labels": np.array([seen.label for seen in faces], np.int64),
        "second": np.array([seen.second for seen in faces], str),
        "paths": np.array([seen.path for seen in faces], str),
        "boxes": boxes,
        "hashes": np.array([seen.look.hashes for seen in faces], np.uint64).reshape(-1, 2),
    }
    if with_points:
        points = [nowhere if seen.points is None else seen.points for seen in faces]
        arrays["points"] = np.array(points, np.float32).reshape(-1, 68, 2)
    return arrays


def open_pictures(folder: Path, data_dir: Path) -> Pictures:
    """What ``import_pictures`` has written."""
    arrays, kept = open_index(folder)
    return Pictures(folder, data_dir, arrays, [Problem(**problem) for problem in kept["problems"]], kept["facts"])
