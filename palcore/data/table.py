"""Faces as a table in memory with images read on demand: what every data set of the study is turned into."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from palcore import EMOTIONS
from palcore.data.images import resize


@dataclass(frozen=True)
class LazyImages:
    """A read-only sequence of images, decoded when they are asked for: ``read(item)`` returns ``(H, W, 3)`` uint8 RGB.

    An integer index gives one image ``(size, size, 3)``; a slice or an array of indices gives ``(N, size, size, 3)``.
    """

    items: Sequence
    read: Callable
    size: int

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            return resize(self.read(self.items[index]), self.size)
        rows = np.arange(len(self))[index]
        images = np.empty((len(rows), self.size, self.size, 3), np.uint8)
        self.read_into(rows, images)
        return images

    def read_into(self, rows: Sequence[int], out: np.ndarray) -> None:
        """Write the images of some rows into ``out``, ``(N, size, size, 3)`` uint8."""
        for position, row in enumerate(rows):
            out[position] = resize(self.read(self.items[row]), self.size)


@dataclass(frozen=True)
class Faces:
    """One split of one data set.

    - ``images``: ``LazyImages``; a slice is ``(N, H, W, 3)`` uint8 RGB.
    - ``landmarks``: ``(N, 68, 2)`` float32, iBUG order, (x, y) as fractions of the width and height measured from the
      image's top-left corner; values outside [0, 1] are legal.
    - ``labels``: ``(N,)`` int64 in 0..6, the order of ``palcore.EMOTIONS``.
    - ``files``: ``(N,)`` str, each face's name in its data set (unique within a split).
    - ``dropped``: ``{reason: count}`` of the owner's faces that are not here: another class, a file that is missing.
    """

    name: str
    split: str
    images: LazyImages
    landmarks: np.ndarray
    labels: np.ndarray
    files: np.ndarray
    dropped: dict = field(default_factory=dict)

    def __post_init__(self):
        count = len(self.files)
        fault, wrong = "", np.flatnonzero((self.labels < 0) | (self.labels >= len(EMOTIONS)))
        if self.landmarks.shape != (count, 68, 2):
            fault = f"landmarks of shape {self.landmarks.shape} for {count} faces; they must be ({count}, 68, 2)"
        elif self.labels.shape != (count,) or len(self.images) != count:
            fault = f"{self.labels.shape} labels and {len(self.images)} images for {count} faces"
        elif wrong.size:
            fault = f"label {self.labels[wrong[0]]} of {self.files[wrong[0]]} is not in 0..6 ({', '.join(EMOTIONS)})"
        if fault:
            raise ValueError(f"{self.name} {self.split}: {fault}")

    def __len__(self):
        return len(self.files)

    def subset(self, rows: Sequence[int] | slice | np.ndarray) -> "Faces":
        """The same split reduced to ``rows`` (indices, a slice or a mask), images still unread."""
        rows = np.arange(len(self))[rows]
        items = self.images.items
        images = replace(self.images, items=items[rows] if isinstance(items, np.ndarray) else [items[row] for row in rows])
        return replace(self, images=images, landmarks=self.landmarks[rows], labels=self.labels[rows], files=self.files[rows])

    def counts(self) -> dict[str, int]:
        """Faces per expression, ``{name: count}`` in the order of ``EMOTIONS``."""
        return class_counts(self.labels)

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of the SHA-256 of files, labels and landmarks: which faces a run has seen."""
        arrays = self.labels.astype("<i8").tobytes() + np.round(self.landmarks.astype("<f4"), 5).tobytes()
        return hashlib.sha256("\n".join(self.files.tolist()).encode() + arrays).hexdigest()[:16]


def class_counts(labels: np.ndarray) -> dict[str, int]:
    """``{expression: count}`` in the order of ``EMOTIONS``; labels below 0, which make no sense, are left out."""
    return dict(zip(EMOTIONS, np.bincount(labels[labels >= 0], minlength=len(EMOTIONS)).tolist(), strict=True))


def changed(faces: Faces, change: Callable, landmarks: np.ndarray, size: int | None = None) -> Faces:
    """Faces whose images are changed when they are read, and their landmarks and side in pixels now (None for what it was).

    :param change: ``change(image (H, W, 3) uint8 as stored, row)`` returns an image; it must always do the same.
    """
    images = faces.images
    read = LazyImages(np.arange(len(faces)), lambda row: change(images.read(images.items[row]), row), size or images.size)
    return replace(faces, images=read, landmarks=np.asarray(landmarks, np.float32))
