"""What changes a training face anew in each epoch: flip, rotation, scale, shift, and its landmarks along with it."""

from dataclasses import replace

import numpy as np

from palcore.data.geometry import affine_matrix, flip_matrix, transform_image, transform_landmarks
from palcore.data.table import LazyImages

FLIP, ANGLE, SCALE, SHIFT = 0.5, 0.15, 0.1, 0.08
"""Probability of mirroring; then the most either way: radians of rotation, fraction of enlargement or reduction, fraction of the
image side of a shift along each axis."""

DRAWS = 8
"""Random numbers a face. The fifth to seventh have no meaning: with fewer, a seed would give other faces than in the records."""


def draw_matrix(draws, strength=1.0):
    """The ``(3, 3)`` map of image fractions that random numbers stand for.

    :param draws: ``(DRAWS,)`` uniform in [0, 1): angle, scale, shift in x and y, and at last the flip.
    :param strength: factor of ``ANGLE``, ``SCALE`` and ``SHIFT``.
    """
    angle, scale, x, y = (2 * draws[:4] - 1) * (ANGLE, SCALE, SHIFT, SHIFT) * strength
    matrix = affine_matrix(angle, 1 + scale, (x, y))
    return matrix @ flip_matrix() if draws[7] < FLIP else matrix


def augmented(faces, draws, strength=1.0):
    """Faces flipped, rotated, scaled and shifted, each by its own random numbers, landmarks moved along.

    :param draws: ``(N, DRAWS)`` uniform in [0, 1).
    :param strength: see ``draw_matrix``.
    """
    matrices = [draw_matrix(numbers, strength) for numbers in draws]
    landmarks = [transform_landmarks(points, matrix) for points, matrix in zip(faces.landmarks, matrices, strict=True)]
    # At the size that is trained on, not as they are stored: it costs less.
    images = LazyImages(range(len(faces)), lambda row: transform_image(faces.images[row], matrices[row]), faces.images.size)
    return replace(faces, images=images, landmarks=np.stack(landmarks))
