"""Batches for Keras: uint8 images, labels, and landmarks that follow every change to the image."""

import os
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from palcore import EMOTIONS
from palcore.data.changes.augmentation import DRAWS, augmented
from palcore.data.memory import keep_freed_memory


def epoch_order(labels, seed, epoch, shuffle=False, balanced=False):
    """Which face stands at each place of an epoch: ``(N,)`` row numbers, a function of the arguments alone.

    :param labels: ``(N,)``.
    :param shuffle: a random order, another one in each epoch; else the faces' own.
    :param balanced: draw ``N`` faces with repetition, each class that occurs equally likely, and each face of a class.
    """
    rng = np.random.default_rng([seed, epoch, 0])
    if balanced:
        by_class = np.argsort(labels, kind="stable")
        _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
        drawn = rng.integers(len(counts), size=len(labels))
        return by_class[first[drawn] + rng.integers(counts[drawn])]
    return rng.permutation(len(labels)) if shuffle else np.arange(len(labels))


def reading_threads(faces):
    """How many images are read at once: drawn faces are kept once drawn, and several threads would only draw some of them twice."""
    return 1 if faces.name == "synthetic" else min(8, os.cpu_count() or 1)


def _label_weights(class_weight):
    weights = np.ones(len(EMOTIONS), np.float32)
    for label, weight in class_weight.items():
        if label not in range(len(EMOTIONS)):
            raise ValueError(f"class_weight has the key {label!r}: its keys are labels, 0..{len(EMOTIONS) - 1}")
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"class_weight of label {label} is {weight!r}: it must be a number >= 0")
        weights[label] = weight
    return weights


class FaceBatches(keras.utils.PyDataset):
    """Batches of faces, read and augmented when Keras asks for them.

    ``batches[i]`` is ``(images, targets)``, or ``(images, targets, weights)`` with ``class_weight``: images ``(B, S, S, 3)``
    uint8; targets ``{"expression": labels (B,) int64, "attribution": landmarks (B, 68, 2) float32}``, or the labels alone;
    weights ``(B,)`` float32 for each target, likewise.

    The order is a function of seed and epoch; the augmentation of a face, of seed, epoch and the face's place in it. Nothing
    depends on timing: the threads share the faces of one batch among them, and batches are asked for one after the other.
    (Keras's own workers fetch batches ahead; what they hold when an epoch is broken off comes out in the next one.)

    An epoch counts once its last batch has been read. The JAX trainer reads one batch to learn its shape and then ends that
    "epoch"; the TensorFlow trainer does not. With more than one batch, both see the same faces in the same order.

    :param batch_size: faces per batch; the last one may be smaller.
    :param augment: whether to change each face at random, see ``palcore.data.changes.augmented``.
    :param shuffle: another order in each epoch; else the faces' own.
    :param seed: of order and augmentation.
    :param balanced: draw each class equally often, with repetition; an epoch keeps its length.
    :param drop_remainder: leave out a last batch that is smaller.
    :param class_weight: ``{label: weight}`` of the cross-entropy, 1 for labels not named; PAL is not weighted.
    :param attribution: whether landmarks are among the targets.
    :param threads: how many faces of a batch are prepared at once; None for ``reading_threads``.
    :param strength: of the augmentation, see ``palcore.data.changes.augmentation.draw_matrix``.
    :param share: ``(which, of)``: of each batch only this one of so many equal parts, where several processes read one batch.
    :raises ValueError: for no faces, an empty batch, or arguments that make no sense.
    """

    def __init__(
        self,
        faces,
        batch_size=64,
        augment=False,
        shuffle=False,
        seed=0,
        balanced=False,
        drop_remainder=False,
        class_weight=None,
        attribution=True,
        threads=None,
        share=(0, 1),
        strength=1.0,
    ):
        super().__init__(workers=1)
        if len(faces) == 0:
            raise ValueError(f"{faces.name} {faces.split}: no faces to make batches of")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}: it must be at least 1")
        if drop_remainder and len(faces) < batch_size:
            raise ValueError(f"batch_size {batch_size} for {len(faces)} faces: with drop_remainder no batch is left")
        threads = reading_threads(faces) if threads is None else threads
        if threads < 1:
            raise ValueError(f"threads {threads}: it must be at least 1")
        if share[1] > 1 and (batch_size % share[1] or not drop_remainder):
            raise ValueError(
                f"share {share} of batches of {batch_size}: it needs batches that {share[1]} divides, and drop_remainder"
            )
        self.faces = faces
        self.batch_size = batch_size
        self.augment = augment
        self.shuffle = shuffle
        self.seed = seed
        self.balanced = balanced
        self.drop_remainder = drop_remainder
        self.class_weight = None if class_weight is None else _label_weights(class_weight)
        self.attribution = attribution
        self.threads = threads
        self.share = share
        self.strength = strength
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self.set_epoch(0)

    def set_epoch(self, epoch):
        """Go to an epoch, counted from 0: where a run is continued, say."""
        self.epoch = epoch
        self.order = epoch_order(self.faces.labels, self.seed, epoch, self.shuffle, self.balanced)
        if self.augment:
            # One line of numbers for each place of the epoch, not for each face: a balanced epoch shows a face repeatedly.
            self.draws = np.random.default_rng([self.seed, epoch, 1]).random((len(self.order), DRAWS))
        self._complete = False

    def files_of(self, epoch, index):
        """Names of the faces in a batch of an epoch, whichever epoch it is now."""
        order = epoch_order(self.faces.labels, self.seed, epoch, self.shuffle, self.balanced)
        return self.faces.files[order[index * self.batch_size : (index + 1) * self.batch_size]].tolist()

    def __len__(self):
        count = len(self.faces)
        return count // self.batch_size if self.drop_remainder else -(-count // self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        keep_freed_memory()  # here, since what undoes it comes after the first batch was asked for; see there
        places = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, len(self.order)))
        which, of = self.share
        places = np.array_split(places, of)[which]
        images, labels, landmarks = self._prepared(self.order[places], places)
        self._complete = self._complete or index == len(self) - 1
        targets = {"expression": labels, "attribution": landmarks} if self.attribution else labels
        if self.class_weight is None:
            return images, targets
        weights = self.class_weight[labels]
        if self.attribution:
            weights = {"expression": weights, "attribution": np.ones(len(labels), np.float32)}
        return images, targets, weights

    def _prepared(self, rows, places):
        """Images, labels and landmarks of the faces in ``rows``, augmented by the random numbers of their ``places``."""
        faces = self.faces.subset(rows)
        if self.augment:
            faces = augmented(faces, self.draws[places], self.strength)
        images = np.empty((len(rows), faces.images.size, faces.images.size, 3), np.uint8)

        def fill(positions):
            faces.images.read_into(positions, images[positions[0] : positions[-1] + 1] if len(positions) else images[:0])

        each = map if self._pool is None else self._pool.map
        list(each(fill, np.array_split(np.arange(len(rows)), self.threads)))
        return images, faces.labels, faces.landmarks

    def on_epoch_end(self):
        if self._complete:
            self.set_epoch(self.epoch + 1)
