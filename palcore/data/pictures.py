"""The pass over a data set: every picture is decoded once, and all is judged that needs no landmarks."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import joblib
import numpy as np

from palcore import EMOTIONS
from palcore.data import faults
from palcore.data.images import cut_out, decoded, read_image
from palcore.data.index import HEADER, open_index, write_index
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
    face: Face | None
    label: int
    path: str
    problems: list = field(default_factory=list)  # (kind, sentence, level)
    pixels: np.ndarray | None = None
    box: np.ndarray = field(default_factory=lambda: np.zeros(4))  # x, y, width and height in the picture
    points: np.ndarray = field(default_factory=lambda: np.full((68, 2), np.nan, np.float32))
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

    Pixels from the index are read-only. It can be pickled, for other processes: the arrays are mapped again there.
    """

    def __init__(self, folder: Path, data_dir: Path):
        self.folder, self.data_dir = Path(folder).resolve(), Path(data_dir).resolve()
        arrays, kept = open_index(self.folder)
        self.paths, self.pixels = arrays["paths"], np.asarray(arrays["pixels"]) if "pixels" in arrays else None
        self.boxes = arrays["boxes"] if kept["facts"]["boxed"] else None

    def __reduce__(self):
        return StoredPictures, (self.folder, self.data_dir)

    def __call__(self, row: int) -> np.ndarray:
        if self.pixels is not None:
            image = self.pixels[row]
            return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.shape[-1] == 1 else image
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
    except (FileNotFoundError, ValueError) as problem:
        kind = "layout" if isinstance(problem, FileNotFoundError) else "table"
        yield Problem(kind, "", str(data_dir), str(problem))


def _accepted(reader: Reader, data_dir: Path, problems: list[Problem], dropped: dict[str, Counter]) -> Iterator[_Seen]:
    """Faces of the seven classes, each with a name of its own, before a picture is read.

    A second face of one picture is called ``PICTURE#2``; the same face twice is told, and kept once.

    :param problems: what is wrong besides is added to it; ``dropped``: the faces of other classes, by part.
    """
    named, places, root = Counter(), {}, data_dir if data_dir.is_dir() else data_dir.parent
    for face in _listed(reader, data_dir):
        if isinstance(face, Problem):
            problems.append(face)
            continue
        wrong, name = [], ""
        try:
            text = face.label if isinstance(face.label, str) else face.label()
            name = reader.CLASSES.get(text.strip(), "")
            if not name:
                sentence = f"label {text!r} of {face.file} in {face.where}: it must be one of {', '.join(reader.CLASSES)}"
                wrong.append(("label", sentence, "refused"))
        except (FileNotFoundError, ValueError) as problem:
            wrong.append(("label missing" if isinstance(problem, FileNotFoundError) else "label", str(problem), "refused"))
        if name and name not in EMOTIONS:
            dropped[face.part][name] += 1
            continue
        earlier = places.setdefault((face.file, face.box), face.where)
        if earlier != face.where:
            sentence = f"{face.where} names {face.file} a second time, after {earlier}: remove one"
            problems.append(Problem("repeated", face.part, f"{face.file} again", sentence, "loss" if face.box else "refused"))
            continue
        named[face.file] += 1
        file = f"{face.file}#{named[face.file]}" if named[face.file] > 1 else face.file
        path = os.path.relpath(face.path, root) if face.path else ""
        yield _Seen(file, face, EMOTIONS.index(name) if name else UNKNOWN, path, wrong)


def _boxed(face: Face, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The box of a face, and what it cuts from the picture."""
    if face.box is None:
        return np.array([0, 0, *picture.shape[1::-1]], np.float64), picture
    try:
        box = np.array(face.box, np.float64)
        cut = cut_out(picture, box) if np.isfinite(box).all() and box[2:].min() >= 1 and np.abs(box).max() < 1e6 else None
    except ValueError:
        cut = None
    if cut is None:
        raise ValueError(f"face box ({', '.join(face.box)}) of {face.file} in {face.where} lies outside its picture: correct it")
    return box, cut


@contextmanager
def _noted(seen: _Seen, kind: str, ending: str = " unreadable") -> Iterator[None]:
    """Within it, what cannot be read is noted of the face."""
    try:
        yield
    except (FileNotFoundError, ValueError) as problem:
        missing = isinstance(problem, FileNotFoundError)
        seen.problems.append((kind + (" missing" if missing else ending), str(problem), "refused"))


def _look(seen: _Seen) -> _Seen:
    """Everything there is to see of one face by itself."""
    face, picture, seen.face = seen.face, None, replace(seen.face, points=None, pixels=None)  # those hold half of a face's memory
    with _noted(seen, "image"):
        picture = read_image(face.path) if face.path else face.pixels()
    with _noted(seen, "landmarks"):
        seen.points = face.points() if face.points else seen.points
    with _noted(seen, "face box", ""):
        if picture is not None:
            seen.box, seen.pixels = _boxed(face, picture)
            seen.look = faults.look_at(seen.pixels)
            if not seen.look.hashes[0]:
                sentence = f"image {seen.file} has one colour all over: there is no face to see"
                seen.problems.append(("image blank", sentence, "note"))
    return seen


class _PixelFile:
    """``pixels.npy``, a row a face, written while their number is not known yet; gone where one has another size, or too many."""

    def __init__(self, path: Path, side: int):
        self.path, self.side, self.channels, self.count, self.fits = path, side, 0, 0, True

    def write(self, pixels: np.ndarray | None) -> None:
        """The pixels of one more face; None where there are none."""
        if pixels is not None and not self.channels:
            self.channels = pixels.shape[2] if pixels.ndim == 3 else 1
            self.file = self.path.open("wb")
            self.file.write(bytes(HEADER + self.count * self.side**2 * self.channels))
        self.count, size = self.count + 1, self.side**2 * self.channels
        self.fits &= (pixels is None or pixels.shape[:2] == (self.side, self.side)) and self.count * size <= MOST_COPIED
        if self.channels and self.fits:
            self.file.write(bytes(size) if pixels is None else np.ascontiguousarray(pixels))

    def close(self) -> None:
        """Write the header, which has room for any number."""
        if self.channels:
            self.file.seek(0)
            facts = {"descr": "|u1", "fortran_order": False, "shape": (self.count, self.side, self.side, self.channels)}
            np.lib.format.write_array_header_1_0(self.file, facts)
            self.file.close()
        if self.channels and not self.fits:
            self.path.unlink()


def expected_bytes(reader: Reader) -> int:
    """How large the pixels of the owner's data set are, copied; 0 where nobody has counted its faces."""
    return sum(sum(counts.values()) for counts in reader.PUBLISHED.values()) * reader.SIDE**2 * 3


def _pixel_file(reader: Reader, data_dir: Path, folder: Path) -> _PixelFile | None:
    """Where pixels are copied to, if they are; says what the pass will take."""
    size = expected_bytes(reader)
    copied = reader.ONE_SIZE and size <= MOST_COPIED
    room = (
        f"their pixels take up to {size / 1e6:,.0f} MB in {folder.parent}"
        if copied
        else "they are read where they are from then on"
    )
    print(f"{reader.NAME} in {data_dir}: every picture is looked at once, {room}", file=sys.stderr)
    return _PixelFile(folder / "pixels.npy", reader.SIDE) if copied else None


def _looked_at(reader: Reader, listed: Iterator[_Seen], file: _PixelFile | None) -> Iterator[_Seen]:
    """Faces whose pictures were read, their pixels written."""
    pool = joblib.Parallel(THREADS, prefer="threads", return_as="generator", batch_size=32)
    looks = pool(joblib.delayed(_look)(seen) for seen in listed)
    for seen in progress_bar(looks, desc=reader.NAME, unit="face", delay=PATIENCE):
        if file:
            file.write(seen.pixels)
        seen.pixels = None
        yield seen
    if file:
        file.close()


def import_pictures(reader: Reader, data_dir: Path, copied: bool, folder: Path) -> None:
    """Look at every picture of a data set, and write an index of what is there and all that is wrong with it.

    :param copied: whether pixels may be copied, where they have one size and are not too many.
    :param folder: of the index, see ``Pictures``.
    """
    problems, dropped = [], {part: Counter() for part in SPLITS}
    file = _pixel_file(reader, data_dir, folder) if copied else None
    faces = list(_looked_at(reader, _accepted(reader, data_dir, problems, dropped), file))
    arrays, parts = _arrays(faces, reader.OWN_LANDMARKS), np.array([seen.face.part for seen in faces], "U10")
    try:
        arrays["splits"] = with_validation(arrays["files"], parts, arrays["labels"], reader.VALIDATION_SHARE, 0)
    except ValueError as problem:
        arrays["splits"] = parts
        problems.append(Problem("label", "", str(data_dir), f"no validation split of {reader.NAME}: {problem}"))
    for row, (seen, split) in enumerate(zip(faces, arrays["splits"].tolist(), strict=True)):
        problems += [Problem(kind, split, seen.file, sentence, level, row) for kind, sentence, level in seen.problems]
    boxed, digests = any(seen.face.box for seen in faces), [seen.look.digest for seen in faces]
    if not faces and not problems:
        problems.append(Problem("layout", "", str(data_dir), f"no faces in {data_dir} for {reader.NAME}: {reader.LAYOUT}"))
    del faces
    more, facts = faults.whole_problems(reader, arrays, digests)
    facts |= {"boxed": boxed, "dropped": {part: dict(names) for part, names in dropped.items() if names}}
    write_index(folder, arrays, {"facts": facts, "problems": [asdict(problem) for problem in problems + more]})


def _arrays(faces: list[_Seen], with_points: bool) -> dict[str, np.ndarray]:
    """The columns of all faces, but for ``splits``."""
    arrays = {
        "files": np.array([seen.file for seen in faces], str),
        "labels": np.array([seen.label for seen in faces], np.int64),
        "second": np.array([seen.face.second for seen in faces], str),
        "paths": np.array([seen.path for seen in faces], str),
        "boxes": np.array([seen.box for seen in faces], np.float64).reshape(-1, 4),
        "hashes": np.array([seen.look.hashes for seen in faces], np.uint64).reshape(-1, 2),
        "grey": np.array([seen.look.grey for seen in faces], np.uint8).reshape(-1, faults.SIDE, faults.SIDE),
    }
    points = [seen.points for seen in faces] if with_points else []
    return arrays | ({"points": np.array(points, np.float32).reshape(-1, 68, 2)} if with_points else {})


def open_pictures(folder: Path, data_dir: Path) -> Pictures:
    """What ``import_pictures`` has written."""
    arrays, kept = open_index(folder)
    return Pictures(folder, data_dir, arrays, [Problem(**problem) for problem in kept["problems"]], kept["facts"])
