"""RAF-DB (Li, Deng and Du, 2017): 15,339 aligned faces of 100x100 pixels with one of seven basic expressions."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from palcore import EMOTIONS
from palcore.data.images import read_probed
from palcore.data.landmark_files import ORDERS, landmarks_from_files
from palcore.data.landmark_fit import as_shown, with_landmark_problems
from palcore.data.landmark_table import landmarks_of
from palcore.data.listing import UNKNOWN, Listing, Problem
from palcore.data.probe import elsewhere, faces_in_folders, first_file, found_names, look_at_images
from palcore.data.splits import VALIDATION_SHARE, split_rows

LABELS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""The expression that each number means, counted from 1."""

PUBLISHED = {
    "train": dict(zip(LABELS, (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),
    "test": dict(zip(LABELS, (329, 74, 160, 1185, 478, 162, 680), strict=True)),
}
"""Faces of each expression in the owner's splits. There is no validation split: it is a part of train."""

GROUPS = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""What its annotators noted of each face, in the order and under the numbers (from 0) of the owner's files."""

SIDE = 100
LIST = "list_patition_label.txt"  # the owner's spelling
NAME = re.compile(r"(train|test)_\d+\.\w+")
LAYOUT = (
    "data_dir must hold Image/aligned/ and EmoLabel/list_patition_label.txt, or DATASET/train/1/ to 7/ and DATASET/test/1/ to 7/"
)


def face_name(path):
    """The name in the owner's list, ``train_00001.jpg``, of ``Image/aligned/train_00001_aligned.jpg``, whatever the suffix."""
    return f"{Path(str(path)).stem.lower().removesuffix('_aligned')}.jpg"


def _fits(folder):
    return (folder / "EmoLabel").is_dir() or (folder / "train" / "1").is_dir()


def _listed_rows(root, part):
    """Names, paths, labels and problems of one of the owner's parts, by the list of labels."""
    table, images = root / "EmoLabel" / LIST, root / "Image" / "aligned"
    lacking = [path for path, there in ((table, table.is_file()), (images, images.is_dir())) if not there]
    if lacking:
        where = elsewhere(root, _fits) if len(lacking) == 2 else ""
        return [], [], [], [Problem("layout", str(path), f"no {path} for rafdb: {LAYOUT}{where}") for path in lacking]
    try:
        lines = table.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return [], [], [], [Problem("table", str(table), f"{table} is no text: it must have lines such as `train_00001.jpg 5`")]
    files, labels, problems, seen = [], [], [], set()
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if not NAME.fullmatch(words[0]) or len(words) != 2:
            if part == "train":  # it belongs to no part: it is told once
                sentence = f"line {number} of {table} is {line.strip()!r}: it must be such as `train_00001.jpg 5`"
                problems.append(Problem("table", str(table), sentence))
            continue
        name, label = face_name(words[0]), words[1]
        if not name.startswith(part):
            continue
        if name in seen:
            problems.append(Problem("label", name, f"line {number} of {table} names {name} a second time: remove a line"))
            continue
        seen.add(name)
        known = label in list("1234567")
        if not known:
            sentence = f"label {label} of {name} in line {number} of {table}: it must be a whole number from 1 to 7"
            problems.append(Problem("label", name, sentence))
        files.append(name)
        labels.append(EMOTIONS.index(LABELS[int(label) - 1]) if known else UNKNOWN)
    if not files:
        sentence = f"{table} names no {part} faces: it must have lines such as `{part}_00001.jpg 5`"
        problems.append(Problem("layout", str(table), sentence))
    names = found_names(images, [name.replace(".", "_aligned.") for name in files])
    return files, [images / name for name in names], labels, problems


def _folder_rows(root, part):
    """Likewise, where the folder that a face lies in is its label."""
    folder = root / part
    if not folder.is_dir():
        return [], [], [], [Problem("layout", str(folder), f"no folder {folder} for rafdb: {LAYOUT}")]
    classes = {str(number): EMOTIONS.index(emotion) for number, emotion in enumerate(LABELS, start=1)}
    found, problems = faces_in_folders(folder, classes, "rafdb", "each part has 1 to 7")
    faces = {}
    for path, label in found:
        name = face_name(path)
        if name in faces:
            sentence = f"{name} lies in {faces[name][0].parent} and in {path.parent}: a face has one label"
            problems.append(Problem("label", name, sentence))
        else:
            faces[name] = path, label
    if not faces:
        problems.append(Problem("layout", str(folder), f"no images in {folder} for rafdb: check data_dir"))
    files = sorted(faces)
    return files, [faces[name][0] for name in files], [faces[name][1] for name in files], problems


def _root(data_dir):
    """The folder that holds ``Image/`` and ``EmoLabel/`` and whether that is so; else the one that holds ``train/1/``."""
    for folder in (data_dir, data_dir / "basic"):
        if (folder / "EmoLabel").is_dir() or (folder / "Image").is_dir():
            return folder, True
    for folder in (data_dir / "DATASET", data_dir):
        if (folder / "train").is_dir() or (folder / "test").is_dir():
            return folder, False
    return data_dir, True


def _places(root):
    """Where what belongs to the images may lie: in their folder, or above it where it is called ``DATASET`` or ``basic``."""
    return [root, root.parent] if root.name in ("DATASET", "basic") else [root]


def _with_landmarks(listing, data_dir, root, given, frame, orientations, order, undetected):
    """The listing with landmarks from what is given, or from what lies in or above the images' folder."""
    files = listing.files
    places = _places(root)
    if given:
        choices = [Path(given).expanduser()]
    else:
        choices = [place / "landmarks" for place in places if (place / "landmarks").is_dir()]
        choices += [table for place in places if (table := first_file(place, "landmarks.csv.gz", "landmarks.csv"))]
    if not choices:
        sentence = (
            f"no landmarks/ and no landmarks.csv.gz in {data_dir} for rafdb: give their path as landmarks, or make a table with "
            "`python -m palcore landmarks rafdb`"
        )
        return replace(listing, problems=[*listing.problems, Problem("landmarks missing", str(data_dir), sentence)])
    if len(choices) > 1:
        sentence = f"both {choices[0]} and {choices[1]} hold landmarks of rafdb: give the path of one as landmarks"
        return replace(listing, problems=[*listing.problems, Problem("layout", str(choices[1]), sentence)])
    source, remedy = choices[0], "make the table again"
    if source.is_dir():
        # The files go with the images, whatever those are called in a copy.
        points, problems = landmarks_from_files(files, [source / f"{Path(name).stem}_aligned.txt" for name in files], frame, order)
        where, pixels = f"landmarks in {source} read as {order}", True
        remedy = f"give landmark_order {ORDERS[1 - ORDERS.index(order)]}"
    else:
        points, problems, _, pixels = landmarks_of(files, source, frame, undetected, face_name)
        where = f"landmark table {source}"
    points, _ = as_shown(points, listing.frames, orientations)
    return with_landmark_problems(replace(listing, landmarks=points, problems=listing.problems + problems), where, remedy, pixels)


def list_faces(data_dir, split, landmarks=None, landmark_order="row_column", undetected="keep", seed=0):
    """RAF-DB's basic expressions as its owners ship them, or in the common copies with a folder for each label.

    ``Image/aligned/train_00001_aligned.jpg`` with ``EmoLabel/list_patition_label.txt``, or ``DATASET/train/5/`` and so on. Faces
    are called as in the owner's list, ``train_00001.jpg``, in both. The validation split is a tenth of train, with the same
    mixture of expressions; a face whose label is wrong counts as train.

    The release has 5 and 37 landmarks, not 68. Those are read from ``landmarks/train_00001_aligned.txt``: 68 lines of two
    numbers in pixels, the first pixel's centre at (0, 0), **the row first and then the column**; values outside the image are
    legal. Or from a landmark table (``palcore.data.landmark_table``), whose names may have folders and ``_aligned``.

    :param data_dir: the folder with ``Image/`` and ``EmoLabel/``, or with ``basic/`` that holds those, or with ``DATASET/``, or
        with what that holds.
    :param landmarks: folder of text files, or a landmark table; None for ``landmarks/`` or ``landmarks.csv.gz`` beside ``Image/``
        or ``DATASET/``; False for none.
    :param landmark_order: what the text files' numbers are: ``row_column`` or ``x_y``.
    :param undetected: of a table, see ``palcore.data.landmark_table.landmarks_of``.
    :param seed: draws the validation faces from train.
    """
    data_dir = Path(data_dir)
    part = "test" if split == "test" else "train"
    root, listed = _root(data_dir)
    files, paths, labels, problems = (_listed_rows if listed else _folder_rows)(root, part)
    labels = np.array(labels, np.int64)
    rows, problems = split_rows("rafdb", root, files, labels, problems, split, VALIDATION_SHARE, seed)
    files, paths, labels = [files[row] for row in rows], [paths[row] for row in rows], labels[rows]
    frames, orientations, frame, odd = look_at_images(files, paths, SIDE, "rafdb")
    files, points = np.array(files, str), np.full((len(files), 68, 2), np.nan, np.float32)
    listing = Listing("rafdb", split, files, paths, read_probed, str, labels, points, frames, SIDE, problems + odd)
    if landmarks is False:
        return listing
    return _with_landmarks(listing, data_dir, root, landmarks, frame, orientations, landmark_order, undetected)


def read_groups(data_dir, files):
    """Gender, race and age group of some faces, as the owner's annotators saw them: ``Annotation/manual/test_0001_manu_attri.txt``.

    Each file has five lines of two numbers, landmarks in the picture that the face was cut from, and then three lines of one.

    :param data_dir: as for ``list_faces``; ``Annotation/`` lies beside ``EmoLabel/``, or beside ``DATASET/``.
    :param files: the faces' names, as ``list_faces`` gives them.
    :return: ``{kind: (N,) str}`` for each kind of ``GROUPS``.
    :raises FileNotFoundError: where the folder or a face's file is missing.
    :raises ValueError: for a file that has other lines or other numbers.
    """
    root, _ = _root(Path(data_dir).expanduser())
    places = [place / "Annotation" / "manual" for place in _places(root)]
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"no {places[0]} for rafdb: it holds gender, race and age group of each face")
    found = [_groups_of(folder / f"{Path(name).stem}_manu_attri.txt") for name in files]
    return {kind: np.array([face[place] for face in found]) for place, kind in enumerate(GROUPS)}


def _groups_of(path):
    if not path.is_file():
        raise FileNotFoundError(f"no annotation file {path}: there must be one for each face")
    try:
        lines = [words for line in path.read_text("utf-8-sig").splitlines() if (words := line.split())]
        points = np.array(lines[:5], np.float64)
        whole = [len(words) for words in lines] == [2] * 5 + [1] * 3 and np.isfinite(points).all()
    except ValueError:  # no text, or no numbers, or not as many in each line
        whole = False
    if not whole:
        form = "five lines of two numbers, then gender, race and age group"
        raise ValueError(f"annotation file {path} makes no sense: it must have {form}")
    for (kind, names), [number] in zip(GROUPS.items(), lines[5:], strict=True):
        if number not in map(str, range(len(names))):
            meaning = ", ".join(f"{place} {name}" for place, name in enumerate(names))
            raise ValueError(f"{kind} {number} in {path}: it must be one of {meaning}")
    return [names[int(number)] for names, [number] in zip(GROUPS.values(), lines[5:], strict=True)]
