"""Batches for Keras: uint8 images, labels, and landmarks that follow every change to the image."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import keras
import numpy as np

from palcore import EMOTIONS
from palcore.data.changes import DRAWS, augmented, draw_matrix
from palcore.data.geometry import transform_landmarks
from palcore.data.memory import keep_freed_memory
from palcore.data.table import Faces


def epoch_order(labels: np.ndarray, seed: int, epoch: int, shuffle: bool = False, balanced: bool = False) -> np.ndarray:
    """Which face stands at each place of an epoch: ``(N,)`` row numbers, a function of the arguments alone.

    :param balanced: draw ``N`` faces with repetition, each class that occurs equally likely, and each face of a class.
    """
    rng = np.random.default_rng([seed, epoch, 0])
    if balanced:
        by_class = np.argsort(labels, kind="stable")
        _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
        drawn = rng.integers(len(counts), size=len(labels))
        return by_class[first[drawn] + rng.integers(counts[drawn])]
    return rng.permutation(len(labels)) if shuffle else np.arange(len(labels))


def reading_threads(faces: Faces) -> int:
    """How many images are read at once: drawn faces are kept once drawn, and several threads would only draw some of them twice."""
    return 1 if faces.name == "synthetic" else min(8, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How faces become batches; a ``ValueError`` for values that make no sense."""

    batch_size: int = 64  # the last batch may be smaller
    augment: bool = False  # whether to change each face at random, see palcore.data.changes.augmented
    strength: float = 1.0  # of the augmentation, see palcore.data.changes.draw_matrix
    shuffle: bool = False  # another order in each epoch; else the faces' own
    balanced: bool = False  # draw each class equally often, with repetition; an epoch keeps its length
    seed: int = 0  # of order and augmentation
    drop_remainder: bool = False  # leave out a last batch that is smaller
    class_weight: dict | None = None  # {label: weight} of the cross-entropy, 1 for labels not named; PAL is not weighted
    attribution: bool = True  # whether landmarks are among the targets
    threads: int | None = None  # how many faces of a batch are prepared at once; None for reading_threads

    def __post_init__(self):
        for name in ("batch_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value}: it must be at least 1")
        for label, weight in (self.class_weight or {}).items():
            if label not in range(len(EMOTIONS)):
                raise ValueError(f"class_weight has the key {label!r}: its keys are labels, 0..{len(EMOTIONS) - 1}")
            if not (np.isfinite(weight) and weight >= 0):
                raise ValueError(f"class_weight of label {label} is {weight!r}: it must be a number >= 0")


class FaceBatches(keras.utils.PyDataset):
    """Batches of faces, read and augmented when Keras asks for them.

    ``batches[i]`` is ``(images, targets)``, or ``(images, targets, weights)`` with ``class_weight``: images ``(B, S, S, 3)``
    uint8; targets ``{"expression": labels (B,) int64, "attribution": landmarks (B, 68, 2) float32}``, or the labels alone;
    weights ``(B,)`` float32 for each target, likewise.

    The order is a function of seed and epoch; the augmentation of a face, of seed, epoch and the face's place in it. Nothing
    depends on timing: the threads share the faces of one batch among them, and batches are asked for one after the other.
    (Keras's own workers fetch batches ahead; what they hold when an epoch is broken off comes out in the next one.)

    An epoch counts once its last batch has been read: the JAX trainer, unlike that of TensorFlow, reads one to learn its shape and
    then ends that "epoch".

    :param options: see ``BatchOptions``.
    :raises ValueError: for no faces, no batch, or options that make no sense.
    """

    def __init__(self, faces: Faces, batch_size: int = 64, **options):
        super().__init__(workers=1)
        self.faces, self.batch_size, self.options = faces, batch_size, BatchOptions(batch_size=batch_size, **options)
        if len(faces) == 0:
            raise ValueError(f"{faces.name} {faces.split}: no faces to make batches of")
        if len(self) == 0:
            raise ValueError(f"batch_size {batch_size} for {len(faces)} faces: with drop_remainder no batch is left")
        self.threads = self.options.threads or reading_threads(faces)
        # A face is one thread's: OpenCV would share its warp among threads of its own, and leave no core to a second one of ours.
        cv2.setNumThreads(1)
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None  # the one that asks reads as well
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, counted from 0: where a run is continued, say."""
        options = self.options
        self.order = epoch_order(self.faces.labels, options.seed, epoch, options.shuffle, options.balanced)
        self.epoch, self._complete = epoch, False
        if options.augment:
            # One line of numbers for each place of the epoch, not for each face: a balanced epoch shows a face repeatedly.
            self.draws = np.random.default_rng([options.seed, epoch, 1]).random((len(self.order), DRAWS))

    def __len__(self):
        count = len(self.faces)
        return count // self.batch_size if self.options.drop_remainder else -(-count // self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        keep_freed_memory()  # here, since what undoes it comes after the first batch was asked for; see there
        places = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, len(self.order)))
        images, labels, landmarks = self._prepared(self.order[places], places)
        self._complete = self._complete or index == len(self) - 1
        targets = {"expression": labels, "attribution": landmarks} if self.options.attribution else labels
        if self.options.class_weight is None:
            return images, targets
        weights = np.array([self.options.class_weight.get(label, 1) for label in labels.tolist()], np.float32)
        if self.options.attribution:
            weights = {"expression": weights, "attribution": np.ones(len(labels), np.float32)}
        return images, targets, weights

    def _prepared(self, rows, places):
        """Images, labels and landmarks of the faces in ``rows``, augmented by the random numbers of their ``places``."""
        faces = self.faces.subset(rows)
        if self.options.augment:
            faces = augmented(faces, self.draws[places], self.options.strength)
        images = np.empty((len(rows), faces.images.size, faces.images.size, 3), np.uint8)

        def read(part):
            faces.images.read_into(part, images[part[0] : part[-1] + 1])

        first, *others = [part for part in np.array_split(np.arange(len(rows)), self.threads) if len(part)]
        waiting = [self._pool.submit(read, part) for part in others]
        read(first)
        for one in waiting:
            one.result()
        return images, faces.labels, faces.landmarks

    def on_epoch_end(self):
        if self._complete:
            self.set_epoch(self.epoch + 1)


@cache
def _warp():
    import jax
    import jax.numpy as jnp

    @jax.jit
    def warp(pixels, rows, inverses):
        """Images ``pixels[rows]`` ``(N, S, S, C)`` uint8, each seen through a map from its new fractions to its old ones."""
        images = pixels[rows]
        side = images.shape[1]
        place = (jnp.arange(side, dtype=jnp.float32) + 0.5) / side
        across, down = jnp.meshgrid(place, place)
        old = [
            m[:, 0, None, None] * across + m[:, 1, None, None] * down + m[:, 2, None, None]
            for m in (inverses[:, 0], inverses[:, 1])
        ]
        x, y = (jnp.clip(fraction * side - 0.5, 0, side - 1) for fraction in old)  # beyond the image its edge repeats
        left, top = (jnp.minimum(jnp.floor(value), side - 2).astype(jnp.int32) for value in (x, y))
        right, lower = ((value - whole)[..., None] for value, whole in ((x, left), (y, top)))
        face = jnp.arange(len(images))[:, None, None]
        corners = [images[face, top + i, left + j].astype(jnp.float32) for i in (0, 1) for j in (0, 1)]
        above, below = (one * (1 - right) + other * right for one, other in (corners[:2], corners[2:]))
        seen = jnp.round(above * (1 - lower) + below * lower).astype(jnp.uint8)
        return jnp.broadcast_to(seen, (*seen.shape[:3], 3))

    return warp


class DeviceBatches(FaceBatches):
    """``FaceBatches`` whose images are arrays of the accelerator, ``(B, S, S, 3)`` uint8, taken and moved from its memory, on JAX:
    a small network takes more faces a second on a GPU than the cores can move.

    All images of the split are sent there once, a single channel where all are grey: 66 MB for FER2013's training faces. The random
    numbers are those of ``FaceBatches``; OpenCV interpolates in steps of 1/32 of a pixel and this exactly, so that some pixels
    differ by a few grey levels.

    :param pal_weight: a face's weight in the loss of the attribution; it comes with its batch, so that runs of others share
        what is compiled.
    :raises ValueError: on another backend than JAX.
    """

    def __init__(self, faces: Faces, pal_weight: float = 1.0, **options):
        if keras.backend.backend() != "jax":
            raise ValueError(f"option warp is 'device' on the backend {keras.backend.backend()}: it needs KERAS_BACKEND=jax")
        super().__init__(faces, **options)
        self.pal_weight = pal_weight
        import jax

        images = faces.images[:]
        grey = bool(np.all(images == images[..., :1]))
        self._pixels = jax.device_put(images[..., :1] if grey else images)

    def __getitem__(self, index):
        images, targets, *weights = super().__getitem__(index)
        if not self.options.attribution:
            return images, targets, *weights
        ones = np.ones(len(targets["expression"]), np.float32)
        given = weights[0] if weights else {"expression": ones}
        return images, targets, {**given, "attribution": np.float32(self.pal_weight) * ones}

    def _prepared(self, rows, places):
        faces = self.faces.subset(rows)
        landmarks, matrices = faces.landmarks, np.broadcast_to(np.eye(3), (len(rows), 3, 3))
        if self.options.augment:
            matrices = draw_matrix(self.draws[places], self.options.strength)
            landmarks = transform_landmarks(landmarks, matrices)
        inverses = np.linalg.inv(matrices)[:, :2].astype(np.float32)
        return _warp()(self._pixels, rows.astype(np.int32), inverses), faces.labels, landmarks


def given_to_fit(batches: keras.utils.PyDataset) -> Any:
    """What ``fit`` takes in place of batches: on TensorFlow a dataset of the same, in the same order, that tf.data does not tune.

    The dataset that Keras makes has a thread that tunes it, and TensorFlow 2.21 wakes that thread a moment before it says that the
    epoch is over: a thread that looks too early, on one core nearly always, sleeps on, and the next epoch waits for it, at worst as
    long as the last one took. Who calls ``fit`` says the epoch itself (``set_epoch``): Keras tells a dataset nothing of it.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    kinds = keras.tree.map_structure(lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), batches[0])
    options = tf.data.Options()
    options.autotune.enabled = False
    every = tf.data.Dataset.from_generator(lambda: (batches[index] for index in range(len(batches))), output_signature=kinds)
    return every.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)
