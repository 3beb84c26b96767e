"""A real data set, opened: read once (``palcore.data.pictures``, ``palcore.data.landmark_fit``), and from then on in its index."""

import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from palcore import EMOTIONS, choose
from palcore.data.index import index_key, indexed, open_index, signature
from palcore.data.landmark_fit import import_landmarks
from palcore.data.landmark_table import MAKE, ORDERS
from palcore.data.pictures import StoredPictures, import_pictures
from palcore.data.readers import Problem, Reader
from palcore.data.table import Faces, LazyImages

CHOICES = {"landmark_order": ORDERS, "labels": ("own", "ferplus")}  # what some options of readers may be


class Opened(NamedTuple):
    """``folder`` of the index of pictures, its ``arrays`` and ``facts`` (see ``palcore.data.pictures.import_pictures``); landmarks
    ``(N, 68, 2)`` of all faces in fractions, NaN without; and all ``problems``."""

    folder: Path
    arrays: dict
    facts: dict
    landmarks: np.ndarray
    problems: list[Problem]


def _landmark_source(reader: Reader, data_dir: Path, given: str | Path | None) -> Path | Problem | None:
    """A table or folder of landmarks; None for the owner's own; or what keeps the choice from being made."""
    places = [Path(given).expanduser()] if given else reader.landmark_places(data_dir)
    if len(places) > 1:
        sentence = f"both {places[0]} and {places[1]} hold landmarks of {reader.NAME}: give the path of one as landmarks"
        return Problem("layout", sentence)
    if not places and not reader.OWN_LANDMARKS:
        remedy = f"give their path as landmarks, or make a table with {MAKE}"
        return Problem("landmarks missing", f"no landmarks.csv.gz in {data_dir} for {reader.NAME}: {remedy}")
    return places[0] if places else None


def open_data_set(
    reader: Reader, data_dir: Path, landmarks: str | Path | bool | None, index_dir: Path | None, copied: bool = True, **options
) -> Opened:
    """All that is known of a data set's faces, from its index, which is made where it is missing or a source has changed.

    Landmarks have an index of their own, so that another table does not read the pictures again.

    :param landmarks: as for ``palcore.data.load``; ``copied``: whether pixels may be copied; ``options``: ``reader.OPTIONS``.
    """
    version, key = signature(reader.sources(data_dir), reader.NAME), index_key(reader.NAME, data_dir)
    folder = indexed(partial(import_pictures, reader, data_dir, copied), key, version, index_dir)
    arrays, facts = open_index(folder)
    problems = [Problem(**problem) for problem in facts["problems"]]
    points = np.full((len(arrays["files"]), 68, 2), np.nan, np.float32)
    source = _landmark_source(reader, data_dir, landmarks) if landmarks is not False and len(points) else False
    if isinstance(source, Problem):
        problems.append(source)
    elif source is not None:  # what is wrong with the owner's does not matter
        problems = [problem for problem in problems if not problem.kind.startswith("landmarks")]
    if source is None or isinstance(source, Path):
        order = options.get("landmark_order", ORDERS[0])
        build = partial(import_landmarks, reader, arrays, source, order)
        version = signature([source] if source else [], version)
        kept, told = open_index(indexed(build, f"{key}-{index_key('landmarks', source or data_dir)}-{order}", version, index_dir))
        points, problems = kept["landmarks"], problems + [Problem(**problem) for problem in told["problems"]]
    return Opened(folder, arrays, facts, points, problems)


def check_options(reader: Reader, options: dict) -> dict:
    """The values of ``reader.OPTIONS`` among some options; a ``ValueError`` for an unknown option or value."""
    for option, value in options.items():
        known = ["image_size", "landmarks", "index_dir", *reader.OPTIONS]
        choose(option, known, f"unknown option {option!r} of dataset {reader.NAME}")
        choose(value, CHOICES.get(option, [value]), f"{option} {value!r} of dataset {reader.NAME}")
    return {option: options.get(option, default) for option, default in reader.OPTIONS.items()}


def _told(reader: Reader, split: str, problems: list[Problem]) -> list[Problem]:
    """Warns of what would bias a run, or has cost a face; raises what refuses the data set; the costly ones are returned."""
    refused = [problem for problem in problems if problem.level == "refused"]
    told = refused or [problem for problem in problems if problem.level in ("bias", "loss") and problem.split in ("", split)]
    more = f" ({len(told) - 1} more: `python -m palcore check {reader.NAME}` lists all)" if len(told) > 1 else ""
    if refused:
        raise refused[0].error(refused[0].sentence + more)
    if told:
        warnings.warn(f"{reader.NAME} {split}: {told[0].sentence}{more}", stacklevel=5)
    return [problem for problem in told if problem.level == "loss" and problem.kind != "note"]


def _second_labels(reader: Reader, opened: Opened, data_dir: Path) -> np.ndarray:
    """Labels of all faces by others; -1 for faces that have none."""
    for problem in opened.problems:
        if problem.kind == "second labels":
            raise ValueError(problem.sentence)
    names = opened.arrays["second"]
    if not (names != "").any():
        remedy = "FER+'s fer2013new.csv must lie beside fer2013.csv, by whose rows it goes"
        raise FileNotFoundError(f"no labels ferplus for {reader.NAME} in {data_dir}: {remedy}")
    return np.array([EMOTIONS.index(name) if name in EMOTIONS else -1 for name in names.tolist()], np.int64)


def faces_of(reader: Reader, data_dir: Path, split: str, options: dict) -> Faces:
    """One split of a data set, see ``palcore.data.load``."""
    own = check_options(reader, options)
    opened = open_data_set(reader, data_dir, options.get("landmarks"), options.get("index_dir"), **own)
    costly, arrays = _told(reader, split, opened.problems), opened.arrays
    labels, here = np.array(arrays["labels"]), np.array(arrays["splits"] == split)
    here[[problem.row for problem in costly if problem.row >= 0]] = False
    dropped = Counter({} if reader.VALIDATION_SHARE and split == "validation" else opened.facts["dropped"].get(split, {}))
    dropped.update(problem.kind for problem in costly)
    if own.get("labels", "own") != "own":
        labels = _second_labels(reader, opened, data_dir)
        dropped.update(sorted(arrays["second"][here & (labels < 0)].tolist()))
        here &= labels >= 0
    rows = np.flatnonzero(here)
    images = LazyImages(rows, StoredPictures(opened.folder, data_dir), options.get("image_size") or reader.SIDE)
    landmarks, files = np.array(opened.landmarks[rows]), np.array(arrays["files"][rows])
    return Faces(reader.NAME, split, images, landmarks, labels[rows], files, dict(dropped))
