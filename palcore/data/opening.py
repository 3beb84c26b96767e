"""A real data set, opened: read once (``palcore.data.pictures``, ``palcore.data.landmark_fit``), and from then on in its index."""

import tempfile
import warnings
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from palcore import EMOTIONS
from palcore.data.index import index_key, indexed, open_index, signature
from palcore.data.landmark_fit import import_landmarks
from palcore.data.landmark_table import MAKE, ORDERS
from palcore.data.pictures import Pictures, StoredPictures, import_pictures, open_pictures
from palcore.data.readers import Problem, Reader
from palcore.data.splits import with_validation
from palcore.data.table import Faces, LazyImages

LABELS = ("own", "ferplus")
UNDETECTED = ("keep", "leave_out")


class Opened(NamedTuple):
    """``pictures``, ``{"landmarks", "found"}`` of all faces (none without), and all ``problems``."""

    pictures: Pictures
    landmarks: dict
    problems: list[Problem]


def _landmark_source(reader: Reader, data_dir: Path, given: str | Path | None) -> Path | Problem | None:
    """A table or folder of landmarks; None for the owner's own; or what keeps the choice from being made."""
    places = [Path(given).expanduser()] if given else reader.landmark_places(data_dir)
    if len(places) > 1:
        sentence = f"both {places[0]} and {places[1]} hold landmarks of {reader.NAME}: give the path of one as landmarks"
        return Problem("layout", "", str(places[1]), sentence)
    if not places and not reader.OWN_LANDMARKS:
        remedy = f"give their path as landmarks, or make a table with {MAKE}"
        return Problem("landmarks missing", "", str(data_dir), f"no landmarks.csv.gz in {data_dir} for {reader.NAME}: {remedy}")
    return places[0] if places else None


def _tolerated(problems: list[Problem], splits: np.ndarray, share: float) -> list[Problem]:
    """Problems of which missing pictures cost no more than those faces, where they are few enough of their part."""
    parts = np.where(splits == "validation", "train", splits)
    missing = Counter(parts[problem.row] for problem in problems if problem.kind == "image missing")
    few = {part for part, count in missing.items() if count <= share * (parts == part).sum()}
    lost = [problem.kind == "image missing" and parts[problem.row] in few for problem in problems]
    return [replace(problem, level="loss") if cost else problem for problem, cost in zip(problems, lost, strict=True)]


def open_data_set(
    reader: Reader, data_dir: Path, landmarks: str | Path | bool | None, index_dir: Path | None, copied: bool = True, **options
) -> Opened:
    """All that is known of a data set's faces, from its index, which is made where it is missing or a source has changed.

    Landmarks have an index of their own, so that another table does not read the pictures again.

    :param landmarks: a landmark table or a folder of text files; None for what lies beside the pictures, False for none.
    :param copied: whether pixels may be copied into the index.
    :param options: ``reader.OPTIONS``.
    """
    version, key = signature(reader.sources(data_dir), reader.NAME), index_key(reader.NAME, data_dir)
    pictures = open_pictures(indexed(partial(import_pictures, reader, data_dir, copied), key, version, index_dir), data_dir)
    problems = _tolerated(pictures.problems, pictures.arrays["splits"], options.get("missing_share", 0))
    if not len(pictures.arrays["files"]):
        return Opened(pictures, {}, problems)
    if landmarks is False:
        return Opened(pictures, {}, [problem for problem in problems if not problem.kind.startswith("landmarks")])
    source = _landmark_source(reader, data_dir, landmarks)
    if isinstance(source, Problem):
        return Opened(pictures, {}, [*problems, source])
    if source is not None:
        problems = [problem for problem in problems if not problem.kind.startswith("landmarks")]
    order = options.get("landmark_order", ORDERS[0])
    build = partial(import_landmarks, reader, pictures, source, order)
    own = index_key("landmarks", source or data_dir)
    kept = indexed(build, f"{key}-{own}-{order}", signature([source] if source else [], version), index_dir)
    arrays, facts = open_index(kept)
    return Opened(pictures, arrays, [*problems, *(Problem(**problem) for problem in facts["problems"])])


def check_options(reader: Reader, options: dict) -> None:
    """
    :raises ValueError: for an unknown option or value.
    """
    known = ["image_size", "landmarks", "undetected", "seed", "index_dir", *reader.OPTIONS]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} of dataset {reader.NAME}: choose from {', '.join(known)}")
    for option, choices in (("landmark_order", ORDERS), ("labels", LABELS), ("undetected", UNDETECTED)):
        value = options.get(option, choices[0])
        if value not in choices:
            raise ValueError(f"{option} {value!r} of dataset {reader.NAME}: choose from {', '.join(choices)}")


def _told(reader: Reader, split: str, problems: list[Problem]) -> list[Problem]:
    """Warns of what would bias a run, or has cost a face; raises what refuses the data set; the costly ones are returned."""
    refused = [problem for problem in problems if problem.level == "refused"]
    if refused:
        raise refused[0].error(len(refused) - 1)
    told = [problem for problem in problems if problem.level in ("bias", "loss") and problem.split in ("", split)]
    if told:
        others = f" ({len(told) - 1} more: `python -m palcore check {reader.NAME}` lists all)" if len(told) > 1 else ""
        warnings.warn(f"{reader.NAME} {split}: {told[0].sentence}{others}", stacklevel=5)
    return [problem for problem in told if problem.level == "loss" and problem.kind != "note"]


def _second_labels(reader: Reader, opened: Opened, data_dir: Path) -> np.ndarray:
    """Labels of all faces by others; ``UNKNOWN`` for faces that have none."""
    for problem in opened.problems:
        if problem.kind == "second labels":
            raise ValueError(problem.sentence)
    names = opened.pictures.arrays["second"]
    if not (names != "").any():
        remedy = "FER+'s fer2013new.csv must lie beside fer2013.csv, by whose rows it goes"
        raise FileNotFoundError(f"no labels ferplus for {reader.NAME} in {data_dir}: {remedy}")
    return np.array([EMOTIONS.index(name) if name in EMOTIONS else -1 for name in names.tolist()], np.int64)


def faces_of(reader: Reader, data_dir: Path, split: str, options: dict) -> Faces:
    """One split of a data set, see ``palcore.data.load``."""
    check_options(reader, options)
    own = {name: options.get(name, default) for name, default in reader.OPTIONS.items()}
    opened = open_data_set(reader, data_dir, options.get("landmarks"), options.get("index_dir"), **own)
    costly, arrays = _told(reader, split, opened.problems), opened.pictures.arrays
    splits, labels, seed = np.array(arrays["splits"]), np.array(arrays["labels"]), options.get("seed", 0)
    if seed and reader.VALIDATION_SHARE:
        parts = np.where(splits == "validation", "train", splits)
        splits = with_validation(arrays["files"], parts, labels, reader.VALIDATION_SHARE, seed)
    here = splits == split
    here[[problem.row for problem in costly if problem.row >= 0]] = False
    dropped = Counter({} if reader.VALIDATION_SHARE and split == "validation" else opened.pictures.facts["dropped"].get(split, {}))
    dropped.update(problem.kind for problem in costly)
    if own.get("labels", "own") != "own":
        labels = _second_labels(reader, opened, data_dir)
        dropped.update(sorted(arrays["second"][here & (labels < 0)].tolist()))
        here &= labels >= 0
    rows = np.flatnonzero(here)
    points = opened.landmarks["landmarks"][rows] if opened.landmarks else np.full((len(rows), 68, 2), np.nan, np.float32)
    if opened.landmarks and options.get("undetected") == "leave_out":
        points[~opened.landmarks["found"][rows]] = np.nan
    images = LazyImages(rows, StoredPictures(opened.pictures.folder, data_dir), options.get("image_size") or reader.SIDE)
    return Faces(reader.NAME, split, images, np.asarray(points), labels[rows], np.array(arrays["files"][rows]), dict(dropped))


def check_only(reader: Reader, data_dir: Path, landmarks: str | Path | bool | None, **options) -> Opened:
    """As ``open_data_set``, without keeping anything."""
    with tempfile.TemporaryDirectory(prefix="palcore-check-") as folder:
        opened = open_data_set(reader, data_dir, landmarks, Path(folder), copied=False, **options)
        names = ("files", "splits", "labels")
        arrays = {name: np.array(opened.pictures.arrays[name]) for name in names}
        return Opened(opened.pictures._replace(arrays=arrays), {}, opened.problems)
