"""Folders of many image files: what counts as one, where they are, and what their headers say, without decoding them."""

import os
from pathlib import Path

import joblib
import numpy as np

from palcore.data.images import probe_image
from palcore.data.listing import Problem
from palcore.progress import progress_bar

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Ends of image files, in upper or lower case."""

CHUNK = 500
MANY = 40_000
"""From so many files on, several processes read them. Threads do not help: what takes the time is Python, not the disk."""

SEARCHED = 1000
"""Folders that are looked into for a layout that is not where it should be."""


def seen_names(folder):
    """Entries of a folder without those that systems leave there: hidden ones, macOS's ``._NAME.jpg``, Windows' ``Thumbs.db``."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    return [name for name in names if not name.startswith((".", "__MACOSX")) and name.lower() not in ("thumbs.db", "desktop.ini")]


def image_names(folder):
    """Names of the image files in a folder, sorted.

    :raises ValueError: for a name that is not UTF-8.
    """
    names = [name for name in seen_names(folder) if name.lower().endswith(SUFFIXES)]
    for name in names:
        if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"the name {name!a} in {folder} is not UTF-8: rename the file")
    return names


def found_names(folder, names):
    """Each of some file names (with ``/``), or the one beside a file that is missing that differs in suffix or case only."""
    found, stems = [], {}
    for name in names:
        place, _, last = name.rpartition("/")
        if not os.path.lexists(folder / name) and os.path.isdir(folder / place):  # pathlib's raises for names that are too long
            if place not in stems:
                stems[place] = {Path(other).stem.lower(): other for other in image_names(folder / place)}
            last = stems[place].get(Path(last).stem.lower(), last)
        found.append(f"{place}/{last}" if place else last)
    return found


def in_pieces(function, items, what=None):
    """``function`` of each of ``items``, results in order; by a process for each core where there are many.

    :param function: it and what it returns can be pickled.
    :param what: shown with a progress bar; None for no bar.
    """
    pool = joblib.Parallel(-1 if len(items) >= MANY else 1, return_as="generator", batch_size=CHUNK)
    results = pool(joblib.delayed(function)(item) for item in items)
    return list(progress_bar(results, total=len(items), desc=what, disable=what is None, unit="face"))


def _probe(path):
    """Width, height and orientation, or the kind of problem and the sentence."""
    try:
        return probe_image(path)
    except (FileNotFoundError, ValueError) as problem:
        return "image missing" if isinstance(problem, FileNotFoundError) else "image unreadable", str(problem)


def probe_images(paths, what=None):
    """Sizes of many image files, as they are shown.

    :return: ``(sizes, orientations, problems)``: ``(N, 2)`` int32 width and height, 0 where there are none; ``(N,)`` uint8, EXIF's
        number; and ``{row: (kind, sentence)}``.
    """
    found = in_pieces(_probe, list(paths), what)
    problems = {row: facts for row, facts in enumerate(found) if len(facts) == 2}
    facts = np.array([(0, 0, 1) if row in problems else facts for row, facts in enumerate(found)], np.int32).reshape(-1, 3)
    return facts[:, :2], facts[:, 2].astype(np.uint8), problems


def first_file(folder, *names):
    """The first of some files that exists in a folder, or None. Tables may be packed (``.csv.gz``), and in upper case."""
    names = [packed for name in names for packed in ([name, f"{name}.gz"] if name.endswith(".csv") else [name])]
    there = {name.lower(): name for name in reversed(seen_names(folder))} if Path(folder).is_dir() else {}
    paths = (Path(folder) / (name if (Path(folder) / name).exists() else there.get(name.lower(), name)) for name in names)
    return next((path for path in paths if path.is_file()), None)


def elsewhere(data_dir, fits):
    """The end of a sentence that says where a layout is that ``data_dir`` lacks: up to two folders below or above, or nothing.

    :param fits: whether a folder holds the layout.
    """
    level, below = [Path(data_dir)], []
    for _ in range(2):
        level = [place / name for place in level for name in (seen_names(place) if os.access(place, os.R_OK) else [])][:SEARCHED]
        level = [place for place in level if place.is_dir()]
        below += level
    found = next(filter(fits, [*below, *Path(data_dir).resolve().parents[:2]]), None)
    return f"; {found} does: give that as data_dir" if found else ""


def faces_in_folders(root, classes, name, wanted):
    """The image files of one split, where the folder that a file lies in is its label.

    :param classes: ``{folder: label}``.
    :param name: of the data set; it and ``wanted``, such as ``each part has 1 to 7``, are for the sentences.
    :return: ``(faces, problems)``: ``(path, label)`` of each, and a ``Problem`` for each folder that lacks or is unknown.
    """
    known = wanted.partition(" has ")[2]
    problems = [
        Problem("label", str(root / folder), f"unknown folder {folder!r} in {root}: those of {name} are {known}")
        for folder in seen_names(root)
        if folder not in classes and (root / folder).is_dir()
    ]
    faces = []
    for folder, label in classes.items():
        if (root / folder).is_dir():
            faces += [(root / folder / image, label) for image in image_names(root / folder)]
        else:
            problems.append(Problem("layout", str(root / folder), f"no folder {root / folder} for {name}: {wanted}"))
    return faces, problems


def look_at_images(files, paths, side, name):
    """The sizes of a split's images, and what can be seen to be wrong without decoding them.

    :param side: in pixels, of the owner's images.
    :return: ``(frames, orientations, usual, problems)``: as ``probe_images``, ``(width, height)`` of most, and ``Problem`` s, among
        them those of images that have another size than most, whose landmarks would be misplaced.
    """
    frames, orientations, broken = probe_images(paths)
    problems = [Problem(kind, str(files[row]), sentence) for row, (kind, sentence) in broken.items()]
    sizes, counts = np.unique(frames[frames[:, 0] > 0], axis=0, return_counts=True)
    if not len(sizes):
        return frames, orientations, (side, side), problems
    usual = tuple(int(value) for value in sizes[np.argmax(counts)])
    for row in np.flatnonzero((frames[:, 0] > 0) & (frames != usual).any(axis=1)):
        width, height = frames[row]
        sentence = f"image {files[row]} of {name} has {width}x{height} pixels: the others have {usual[0]}x{usual[1]}"
        problems.append(Problem("image size", str(files[row]), sentence))
    return frames, orientations, usual, problems
