"""The pass over a data set: every picture is decoded once, and all is judged that needs no landmarks."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import joblib
import numpy as np

from palcore import EMOTIONS
from palcore.data import faults
from palcore.data.images import cut_out, decoded, read_image
from palcore.data.index import open_index, write_index
from palcore.data.readers import SPLITS, Face, Problem, Reader, problem_of
from palcore.data.splits import with_validation
from palcore.progress import progress_bar

UNKNOWN, THREADS = -1, 4
"""Label of a face whose own label makes no sense; threads that decode, which is the libraries' work and not Python's."""

MOST_COPIED = 2**30
"""Bytes of pixels that are copied into an index, at most: RAF-DB's are 0.5 GB, FER2013's 0.1. AffectNet's would be 43 GB."""


@dataclass
class _Seen:
    """What the pass keeps of one face."""

    file: str
    face: Face
    label: int
    path: str
    problems: list = field(default_factory=list)
    pixels: np.ndarray | None = None
    box: np.ndarray = field(default_factory=lambda: np.zeros(4))  # x, y, width and height in the picture
    points: np.ndarray = field(default_factory=lambda: np.full((68, 2), np.nan, np.float32))
    look: faults.Look = faults.NOTHING

    @property
    def missing(self) -> bool:
        return any(problem.kind == "image missing" for problem in self.problems)


class StoredPictures:
    """A face's pixels ``(H, W, 3)`` uint8 RGB by its row: from the index, read-only, or from the file that was looked at."""

    def __init__(self, folder: Path, data_dir: Path):
        self.data_dir = Path(data_dir).resolve()
        arrays, facts = open_index(folder)
        self.paths, self.pixels = arrays["paths"], np.asarray(arrays["pixels"]) if "pixels" in arrays else None
        self.boxes = arrays["boxes"] if facts["boxed"] else None

    def __call__(self, row: int) -> np.ndarray:
        if self.pixels is not None:
            image = self.pixels[row]
            return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
        path = self.data_dir / str(self.paths[row])
        try:
            image = decoded(path.read_bytes())
        except (OSError, ValueError, cv2.error):
            image = read_image(path)  # which says what is wrong with it now
        return image if self.boxes is None else cut_out(image, self.boxes[row])


@contextmanager
def _noted(problems: list[Problem], *kinds: str) -> Iterator[None]:
    """Within it, what cannot be read becomes a problem of one of two kinds, see ``problem_of``."""
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        problems.append(problem_of(error, *kinds))


def _accepted(reader: Reader, data_dir: Path, problems: list[Problem], dropped: dict[str, Counter]) -> Iterator[_Seen]:
    """Faces of the seven classes, each with a name of its own, before a picture is read.

    A second face of one picture is called ``PICTURE#2``; the same face twice is told, and kept once.

    :param problems: what is wrong besides is added to it; ``dropped``: the faces of other classes, by part.
    """
    named, places = Counter(), {}
    with _noted(problems):
        problems += reader.lacking(data_dir)
        for face in () if problems else reader.faces(data_dir):
            if isinstance(face, Problem):
                problems.append(face)
                continue
            wrong, name = [], ""
            with _noted(wrong, "label missing", "label"):
                text = face.label if isinstance(face.label, str) else face.label()
                name = reader.CLASSES.get(text.strip(), "")
                if not name:
                    classes = ", ".join(reader.CLASSES)
                    raise ValueError(f"label {text!r} of {face.file} in {face.where}: it must be one of {classes}")
            if name and name not in EMOTIONS:
                dropped[face.part][name] += 1
                continue
            earlier, path = places.setdefault((face.file, face.box), (face.where, face.path))
            if (earlier, path) != (face.where, face.path):
                sentence = f"{face.where} names {face.file} a second time, after {earlier}: remove one"
                problems.append(Problem("repeated", sentence, "loss" if face.box else "refused", split=face.part))
                continue
            named[face.file] += 1
            file = f"{face.file}#{named[face.file]}" if named[face.file] > 1 else face.file
            path = os.path.relpath(face.path, data_dir) if face.path else ""
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


def _look(seen: _Seen) -> _Seen:
    """Everything there is to see of one face by itself."""
    face, picture = seen.face, None
    seen.face = replace(face, points=None, pixels=None)  # those hold half of a face's memory
    with _noted(seen.problems, "image missing", "image unreadable"):
        picture = read_image(face.path) if face.path else face.pixels()
    with _noted(seen.problems, "landmarks missing", "landmarks unreadable"), np.errstate(over="ignore"):
        seen.points = face.points().astype(np.float32) if face.points else seen.points
    with _noted(seen.problems, "", "face box"):
        if picture is not None:
            seen.box, seen.pixels = _boxed(face, picture)
            seen.look = faults.look_at(seen.pixels)
            if not seen.look.hashes[0]:
                sentence = f"image {seen.file} has one colour all over: there is no face to see"
                seen.problems.append(Problem("image blank", sentence, "note"))
    return seen


def _write_pixels(faces: list[_Seen], path: Path) -> None:
    """``pixels.npy``, a row a face, 0 where there are none; nothing where they have several sizes."""
    shapes = {seen.pixels.shape for seen in faces if seen.pixels is not None}
    if len(shapes) == 1:
        array = np.lib.format.open_memmap(path, "w+", np.uint8, (len(faces), *shapes.pop()))
        for row, seen in enumerate(faces):
            array[row] = 0 if seen.pixels is None else seen.pixels


def import_pictures(reader: Reader, data_dir: Path, copied: bool, folder: Path) -> None:
    """Look at every picture of a data set, and write an index of what is there and all that is wrong with it.

    All arrays of the index have a row a face, in the owner's order: ``files``, ``splits``, ``labels`` (``UNKNOWN`` where one makes
    no sense), ``second`` labels, ``paths`` in ``data_dir``, ``boxes (N, 4)`` of the face in its picture (x, y, width and height; 0
    where there is none), ``hashes (N, 2)`` and ``grey (N, 48, 48)`` of ``faults.Look``, the owner's ``points (N, 68, 2)`` in
    pixels, NaN without; perhaps ``pixels (N, H, W, 3)`` or ``(N, H, W)``. Its facts: what the check counts, ``boxed``: whether
    faces are parts of their pictures, and ``problems``.

    :param copied: whether pixels may be copied, where they have one size and are not too many.
    """
    problems, dropped, faces, size = [], {part: Counter() for part in SPLITS}, [], 0
    if copied:
        copied = reader.ONE_SIZE
        kept = f"up to {MOST_COPIED >> 30} GB of pixels are kept in {folder.parent}"
        later = kept if copied else "they are read where they are later on"
        print(f"{reader.NAME} in {data_dir}: every picture is looked at once, {later}", file=sys.stderr)
    pool = joblib.Parallel(THREADS, prefer="threads", return_as="generator", batch_size=32)
    looks = pool(joblib.delayed(_look)(seen) for seen in _accepted(reader, data_dir, problems, dropped))
    for seen in progress_bar(looks, desc=reader.NAME, unit="face", delay=2):
        faces.append(seen)
        size += 0 if seen.pixels is None else seen.pixels.size
        if not copied or size > MOST_COPIED:
            seen.pixels = None
    if copied and size <= MOST_COPIED:
        _write_pixels(faces, folder / "pixels.npy")
    arrays = {
        "files": np.array([seen.file for seen in faces], str),
        "labels": np.array([seen.label for seen in faces], np.int64),
        "second": np.array([seen.face.second for seen in faces], str),
        "paths": np.array([seen.path for seen in faces], str),
        "boxes": np.array([seen.box for seen in faces], np.float64).reshape(-1, 4),
        "hashes": np.array([seen.look.hashes for seen in faces], np.uint64).reshape(-1, 2),
        "grey": np.array([seen.look.grey for seen in faces], np.uint8).reshape(-1, faults.SIDE, faults.SIDE),
        "points": np.array([seen.points for seen in faces], np.float32).reshape(-1, 68, 2),
        "splits": np.array([seen.face.part for seen in faces], "U10"),
    }
    try:
        arrays["splits"] = with_validation(arrays["files"], arrays["splits"], arrays["labels"], reader.VALIDATION_SHARE)
    except ValueError as error:
        problems.append(Problem("label", f"no validation split of {reader.NAME}: {error}"))
    parts, missing = (Counter(seen.face.part for seen in some) for some in (faces, [seen for seen in faces if seen.missing]))
    for row, (seen, split) in enumerate(zip(faces, arrays["splits"].tolist(), strict=True)):
        few = seen.missing and missing[seen.face.part] <= reader.MISSING_SHARE * parts[seen.face.part]
        for problem in seen.problems:
            level = "loss" if few and problem.kind == "image missing" else problem.level
            problems.append(replace(problem, row=row, split=split, level=level))
    boxed, digests = any(seen.face.box for seen in faces), [seen.look.digest for seen in faces]
    if not faces and not problems:
        problems.append(Problem("layout", f"no faces in {data_dir} for {reader.NAME}: {reader.LAYOUT}"))
    del faces
    more, facts = faults.whole_problems(reader, arrays, digests)
    facts["dropped"] = {part: dict(names) for part, names in dropped.items() if names}
    write_index(folder, arrays, {**facts, "boxed": boxed, "problems": [asdict(problem) for problem in problems + more]})
