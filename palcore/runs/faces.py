"""What a run's faces are: the options' data set, and every change that the options ask for."""

import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from palcore.data import changes, data_module, load
from palcore.data.batches import reading_threads
from palcore.data.table import Faces, LazyImages
from palcore.runs.options import Options


class RunFaces(NamedTuple):
    """``train``, with the landmarks that training aims at; ``validation``; ``tests``, ``{condition: faces}`` (``tested_faces``);
    ``window`` ``(3,)`` to which every face that is not trained on is cropped, or None."""

    train: Faces
    validation: Faces
    tests: dict
    window: np.ndarray | None

    @property
    def splits(self) -> dict[str, Faces]:
        """``{split or condition: faces}``, as a record names them."""
        return {"train": self.train, "validation": self.validation, **self.tests}


def load_faces(options: Options, split: str, index_dir: str | Path | None = None, **others) -> Faces:
    """The faces of one split as the options describe them (see ``palcore.data.load``).

    The seed of a run does not reach the real data sets: whatever is held out for validation is the same in all runs.

    :param index_dir: where the real data sets' indexes are kept; None for the default.
    """
    own = {name: getattr(options, name) for name in data_module(options.dataset).READER.OPTIONS if hasattr(options, name)}
    if options.data_dir is not None:
        own |= {"index_dir": index_dir, "landmarks": options.landmarks}
    faces = load(options.dataset, options.data_dir, split, **{"image_size": options.image_size, **own, **others})
    return changes.placed(faces, faces.images.size) if options.placed else faces


def training_faces(options: Options, index_dir: str | Path | None = None) -> Faces:
    """Training faces after ``train_share`` and ``label_noise``; images whole and landmarks their own, whatever the options."""
    faces = changes.take_share(load_faces(options, "train", index_dir), options.train_share, options.seed)
    return changes.noisy_labels(faces, options.label_noise, options.seed) if options.label_noise else faces


def run_faces(options: Options, index_dir: str | Path | None = None) -> RunFaces:
    """All faces of a run, as ``RunFaces``; no image is read yet, but what is missing fails here, before the first epoch."""
    train, validation, window = training_faces(options, index_dir), load_faces(options, "validation", index_dir), None
    if options.crop is not None:
        windows = changes.face_windows(train.landmarks, options.crop)
        window = windows.mean(axis=0).round(6)  # as the record has it
        train, validation = changes.crop_faces(train, windows), changes.crop_faces(validation, window)
    train = changes.landmarks_from(train, options.landmark_source, options.seed)
    if options.landmark_jitter > 0:
        train = changes.jittered_landmarks(train, options.landmark_jitter, options.seed)
    return RunFaces(train, validation, tested_faces(options, window, index_dir), window)


def tested_faces(options: Options, window: np.ndarray | None = None, index_dir: str | Path | None = None) -> dict[str, Faces]:
    """``{condition: faces}``: the test split, for a shortcut also with the patch at random, and what ``robustness`` adds.

    A condition whose file is missing, such as FER+'s labels, is left out with a warning. Where there is a shortcut, it is the faces
    with the patch at random that are disturbed. Landmarks are the true ones, whatever training aimed at.

    :param window: ``(3,)``, to which all faces are cropped, see ``palcore.data.changes.crop_faces``; None for whole images.
    """
    conditions = {}
    for condition, others in data_module(options.dataset).READER.test_conditions(options.shortcut).items():
        try:
            conditions[condition] = load_faces(options, "test", index_dir, **others)
        except FileNotFoundError as missing:
            if condition == "test":
                raise
            warnings.warn(f"not tested as {condition}: {missing}", stacklevel=2)
    plain = "shortcut_free" if "shortcut_free" in conditions else "test"
    if options.robustness:
        conditions |= {condition: make(conditions[plain]) for condition, make in changes.CONDITIONS.items()}
    if window is not None:
        conditions = {condition: changes.crop_faces(faces, window) for condition, faces in conditions.items()}
    return conditions


MOST_DIGESTED = 50_000  # from twice as many faces on, every second or third alone is looked at for ``pixel_fingerprint``


def pixel_fingerprint(images: LazyImages, threads: int = 1) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the pixels (``LazyImages``) that a run sees, before augmentation.

    ``Faces.fingerprint`` tells names, labels and landmarks apart, not another copy of the same pictures. Each image is read here,
    so that a bad one is found before the first epoch.
    """
    rows = range(0, len(images), max(1, len(images) // MOST_DIGESTED))
    with ThreadPoolExecutor(threads) as pool:
        digests = pool.map(lambda row: hashlib.sha256(np.ascontiguousarray(images[row])).digest(), rows)
        return hashlib.sha256(b"".join(digests)).hexdigest()[:16]


def run_data(faces: RunFaces) -> dict:
    """``{split or condition: {"faces": count, "fingerprint": ...}}`` for a record, with what was ``dropped``, if anything, and for
    the three splits ``pixels``."""
    data = {}
    for name, split in faces.splits.items():
        data[name] = {"faces": len(split), "fingerprint": split.fingerprint()}
        if split.dropped:
            data[name]["dropped"] = split.dropped
        if name in ("train", "validation", "test"):
            data[name]["pixels"] = pixel_fingerprint(split.images, reading_threads(split))
    return data
