"""What changes a training face anew in each epoch: flip, rotation, scale, shift, and its landmarks along with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from palcore.data.geometry import affine_matrix, flip_matrix, pixel_map, transform_landmarks, warp
from palcore.data.table import Faces, LazyImages

FLIP, ANGLE, SCALE, SHIFT = 0.5, 0.15, 0.1, 0.08
"""Probability of mirroring; then the most either way: radians of rotation, fraction of enlargement or reduction, fraction of the
image side of a shift along each axis."""

DRAWS = 8
"""Random numbers a face. The fifth to seventh have no meaning: with fewer, a seed would give other faces than in the records."""


def draw_matrix(draws: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """The ``(3, 3)`` map of image fractions that random numbers stand for; ``(N, 3, 3)`` for many faces.

    :param draws: ``(DRAWS,)`` or ``(N, DRAWS)``, uniform in [0, 1): angle, scale, shift in x and y, and at last the flip.
    :param strength: factor of ``ANGLE``, ``SCALE`` and ``SHIFT``.
    """
    angle, scale, x, y = np.moveaxis((2 * draws[..., :4] - 1) * (ANGLE, SCALE, SHIFT, SHIFT) * strength, -1, 0)
    matrix = affine_matrix(angle, 1 + scale, (x, y))
    return np.where(draws[..., 7, None, None] < FLIP, matrix @ flip_matrix(), matrix)


@dataclass(frozen=True)
class _Moved(LazyImages):
    """Images of faces, each moved by its own map of pixels when it is asked for: ``items`` are rows, ``read`` gives the image."""

    pixels: np.ndarray = None

    def read_into(self, rows: Sequence[int], out: np.ndarray) -> None:
        for position, row in enumerate(rows):
            warp(self.read(self.items[row]), self.pixels[row], out[position])


def augmented(faces: Faces, draws: np.ndarray, strength: float = 1.0) -> Faces:
    """Faces flipped, rotated, scaled and shifted, each by its own random numbers, landmarks moved along.

    :param draws: ``(N, DRAWS)`` uniform in [0, 1).
    :param strength: see ``draw_matrix``.
    """
    matrices, size = draw_matrix(draws, strength), faces.images.size
    # At the size that is trained on, not as they are stored, and the geometry of all at once: it costs less.
    images = _Moved(range(len(faces)), faces.images.__getitem__, size, pixel_map(matrices, size, size))
    return replace(faces, images=images, landmarks=transform_landmarks(faces.landmarks, matrices))
