"""Batches that are augmented where they are trained on: images lie in the accelerator's memory, and JAX moves them there.

A small network takes more faces a second on a GPU than its processor's cores can move. The random numbers are those of
``FaceBatches``; what differs is the interpolation, which OpenCV does in steps of 1/32 of a pixel and this does exactly: some pixels
differ by a few grey levels (``tests/data/test_batches.py``).
"""

from functools import cache

import keras
import numpy as np

from palcore.data.batches import FaceBatches
from palcore.data.changes import draw_matrix
from palcore.data.geometry import transform_landmarks
from palcore.data.table import Faces


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
    """``FaceBatches`` whose images are arrays of the accelerator, ``(B, S, S, 3)`` uint8, taken and moved from its memory.

    All images of the split are sent there once, a single channel where all are grey: 66 MB for FER2013's training faces.

    A face's weight in the loss of the attribution comes with its batch, so that runs which differ in it share what is compiled.

    :param pal_weight: that weight.
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
