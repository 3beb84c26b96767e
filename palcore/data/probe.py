"""Image files looked at without decoding them: their size, and whether they are whole."""

from pathlib import Path

import joblib
import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from palcore.data.listing import Problem

SUFFIXES = (".jpg", ".jpeg", ".png")
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
"""What the last bytes of a whole file hold."""

TAIL = 4096
CHUNK = 500
MANY = 40_000
"""From so many files on, several processes read them. Threads do not help: what takes the time is Python, not the disk."""


def probe_image(path):
    """Width and height of an image file from its first bytes.

    A file whose end is not marked as such is decoded to see whether anything is missing.

    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where the file is no image, or is cut short.
    """
    try:
        with open(path, "rb") as file:
            image = Image.open(file)
            size = image.size
            length = file.seek(0, 2)
            file.seek(max(length - TAIL, 0))
            if ENDS.get(image.format, b"") not in file.read():
                file.seek(0)
                Image.open(file).load()
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(f"no image file {path}: check data_dir") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path} cannot be read as an image: replace the file, or remove its row") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise ValueError(f"{path} is cut short or damaged: replace the file, or remove its row") from None
    return size


def _probe_all(paths):
    sizes, problems = np.zeros((len(paths), 2), np.int32), {}
    for row, path in enumerate(paths):
        try:
            sizes[row] = probe_image(path)
        except (FileNotFoundError, ValueError) as problem:
            problems[row] = ("image missing" if isinstance(problem, FileNotFoundError) else "image unreadable", str(problem))
    return sizes, problems


def in_pieces(function, items, what=None):
    """``function`` of consecutive pieces of ``items``, results in order; by a process for each core where there are many.

    :param function: of a list; it and what it returns can be pickled.
    :param what: shown with a progress bar; None for no bar.
    """
    pieces = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    results = map(function, pieces)
    if len(items) >= MANY:
        results = joblib.Parallel(n_jobs=-1, return_as="generator")(joblib.delayed(function)(piece) for piece in pieces)
    collected = []
    with tqdm(total=len(items), desc=what, disable=what is None, unit="face") as bar:
        for piece, result in zip(pieces, results, strict=True):
            collected.append(result)
            bar.update(len(piece))
    return collected


def probe_images(paths, what=None):
    """Sizes of many image files.

    :param paths: a sequence.
    :param what: see ``in_pieces``.
    :return: ``(sizes, problems)``: ``(N, 2)`` int32 width and height, 0 where there are none, and ``{row: (kind, sentence)}``.
    """
    sizes, problems, start = [np.zeros((0, 2), np.int32)], {}, 0
    for piece, found in in_pieces(_probe_all, list(paths), what):
        sizes.append(piece)
        problems |= {start + row: problem for row, problem in found.items()}
        start += len(piece)
    return np.concatenate(sizes), problems


def first_file(folder, *names):
    """The first of some files that exists in a folder, or None."""
    return next((Path(folder) / name for name in names if (Path(folder) / name).is_file()), None)


def faces_in_folders(root, classes, name, wanted):
    """The image files of one split, where the folder that a file lies in is its label.

    :param root: the split's folder.
    :param classes: ``{folder: label}``.
    :param name: of the data set; it and ``wanted``, such as ``each part has 1 to 7``, are for the sentences.
    :return: ``(faces, problems)``: ``(path, label)`` of each, and a ``Problem`` for each folder that lacks or is unknown.
    """
    known = wanted.partition(" has ")[2]
    problems = [
        Problem("label", str(path), f"unknown folder {path.name!r} in {root}: those of {name} are {known}")
        for path in sorted(root.iterdir())
        if path.is_dir() and path.name not in classes
    ]
    faces = []
    for folder, label in classes.items():
        if (root / folder).is_dir():
            paths = sorted(path for path in (root / folder).iterdir() if path.suffix.lower() in SUFFIXES)
            faces += [(path, label) for path in paths]
        else:
            problems.append(Problem("layout", str(root / folder), f"no folder {root / folder} for {name}: {wanted}"))
    return faces, problems
