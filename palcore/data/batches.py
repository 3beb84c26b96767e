"""Batches for Keras: uint8 images, labels, and landmarks that follow every change to the image."""

import keras
import numpy as np

from palcore import EMOTIONS
from palcore.data.augment import random_matrix, transform_image, transform_landmarks


class FaceBatches(keras.utils.PyDataset):
    """Batches of faces, read and augmented when Keras asks for them.

    ``batches[i]`` is ``(images, targets)``, or ``(images, targets, weights)`` with ``class_weight``: images ``(B, S, S, 3)``
    uint8; targets ``{"expression": (B,) int64, "attribution": landmarks (B, 68, 2) float32}``, or the labels alone. The order is
    a function of seed and epoch, a face's augmentation of seed, epoch and row, whatever the number of workers.

    :param faces: ``palcore.data.table.Faces``.
    :param batch_size: faces per batch; the last one may be smaller.
    :param augment: flip, shift, rotate and scale at random, landmarks moved along.
    :param shuffle: another order in each epoch; else the faces' own.
    :param seed: of order and augmentation.
    :param balanced: draw each class equally often, with repetition; an epoch keeps its length.
    :param class_weight: ``{label: weight}`` of the cross-entropy; PAL is not weighted.
    :param attribution: whether landmarks are among the targets.
    :param workers: threads that prepare batches ahead.
    :raises ValueError: for no faces or an empty batch.
    """

    def __init__(
        self,
        faces,
        batch_size=64,
        augment=False,
        shuffle=False,
        seed=0,
        balanced=False,
        class_weight=None,
        attribution=True,
        workers=1,
    ):
        super().__init__(workers=workers)
        if len(faces) == 0:
            raise ValueError(f"{faces.name} {faces.split}: no faces to make batches of")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size}: it must be at least 1")
        self.faces = faces
        self.batch_size = batch_size
        self.augment = augment
        self.shuffle = shuffle
        self.seed = seed
        self.balanced = balanced
        self.attribution = attribution
        self.class_weight = None
        if class_weight is not None:
            self.class_weight = np.array([class_weight.get(label, 1.0) for label in range(len(EMOTIONS))], np.float32)
        self.epoch = 0
        self.order = self._order(0)

    def _order(self, epoch):
        rng = np.random.default_rng([self.seed, epoch])
        if self.balanced:
            members = [np.flatnonzero(self.faces.labels == label) for label in np.unique(self.faces.labels)]
            drawn = rng.integers(len(members), size=len(self.faces))
            return np.array([members[chosen][rng.integers(len(members[chosen]))] for chosen in drawn])
        return rng.permutation(len(self.faces)) if self.shuffle else np.arange(len(self.faces))

    def __len__(self):
        return -(-len(self.faces) // self.batch_size)

    def __getitem__(self, index):
        start = index * self.batch_size
        rows = self.order[start : start + self.batch_size]
        images = self.faces.images[rows]
        labels = self.faces.labels[rows]
        landmarks = self.faces.landmarks[rows].copy()
        if self.augment:
            for position in range(len(rows)):
                # By place in the epoch rather than by row: a balanced epoch shows a face more than once.
                matrix = random_matrix(np.random.default_rng([self.seed, self.epoch, start + position]))
                images[position] = transform_image(images[position], matrix)
                landmarks[position] = transform_landmarks(landmarks[position], matrix)
        targets = {"expression": labels, "attribution": landmarks} if self.attribution else labels
        if self.class_weight is None:
            return images, targets
        weights = self.class_weight[labels]
        if self.attribution:
            weights = {"expression": weights, "attribution": np.ones(len(rows), np.float32)}
        return images, targets, weights

    def on_epoch_end(self):
        self.epoch += 1
        self.order = self._order(self.epoch)
