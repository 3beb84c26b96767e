"""From 68 landmarks to a map of where the face's features are.

The heatmap is the sum of one isotropic Gaussian per landmark (:eq:`heatmap`). ``gaussian_heatmap`` averages it exactly over
each cell (:eq:`cell-average`), in the graph of whichever backend Keras uses.
"""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from palcore import Tensor, choose
from palcore.landmarks import REGIONS

SIGMA = 3 / 112
"""Default width of a landmark's Gaussian, as a fraction of the image side: 3 pixels on a canvas of 112."""


def region_weights(**weights: float) -> np.ndarray:
    """One weight per landmark, ``(68,)`` float32, from one of at least 0 per region; regions not given keep 1.

    ``region_weights(jaw=0)`` leaves the jaw out. A ``ValueError`` for an unknown region or a negative weight.
    """
    per_landmark = np.ones(68, np.float32)
    for region, weight in weights.items():
        choose(region, REGIONS, f"unknown region {region!r} in region_weights")
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight {weight!r} of region {region!r} in region_weights: it must be a number >= 0")
        per_landmark[REGIONS[region]] = weight
    return per_landmark


def _check_sigma(sigma):
    if not 1e-4 <= sigma <= 1:
        raise ValueError(f"sigma {sigma!r} of a heatmap: it must be a fraction of the image side, 0.0001 to 1, such as 3 / 112")


def _check_weights(weights):
    values = np.asarray(weights, np.float32)
    if values.ndim != 1 or not (np.all(np.isfinite(values)) and np.all(values >= 0) and np.any(values)):
        seen = f"{values.min():.3g} to {values.max():.3g}" if values.size else "none"
        raise ValueError(f"weights of landmarks ({seen}): they must be numbers >= 0, not all 0, one for each landmark")


def _axis_averages(coordinates, cells, sigma):
    """Average over each of ``cells`` equal cells of [0, 1] of ``exp(-(t - x)^2 / (2 sigma^2))``: ``(..., cells)``."""
    edges = np.arange(cells + 1, dtype=np.float32) / cells
    cumulative = ops.erf((edges - coordinates[..., None]) / (math.sqrt(2) * sigma))
    return (cumulative[..., 1:] - cumulative[..., :-1]) * (math.sqrt(math.pi / 2) * sigma * cells)


def gaussian_heatmap(
    landmarks: Tensor, size: int | tuple[int, int], sigma: float = SIGMA, weights: Sequence[float] | None = None
) -> Tensor:
    """The exact average over each cell of the sum of one Gaussian per landmark, :eq:`cell-average`.

    The Gaussian separates, so the map is one product of two small matrices per face, each holding differences of the error
    function. What falls outside the image drops out, coincident landmarks add up, and there is no rounding to pixels.

    :param landmarks: ``(N, 68, 2)``, (x, y) as fractions of the image's width and height, from its top-left corner. Values
        outside [0, 1] are legal. A landmark that is not finite is left out. Any number of landmarks in place of 68 works.
    :param size: cells along each side, or ``(height, width)``.
    :param sigma: standard deviation of each Gaussian, as a fraction of the image side (of each side, if they differ).
    :param weights: ``(68,)`` weight of each landmark, see ``region_weights``; None for all equal.
    :return: ``(N, height, width)`` float32 tensor of the backend. Each Gaussian has peak 1, so values lie in [0, 68].
    :raises ValueError: for a ``sigma`` outside 0.0001 to 1, a ``size`` that is not positive, landmarks of another shape, or weights
        that are negative, all 0, or of another number of landmarks.
    """
    _check_sigma(sigma)
    height, width = map(int, (size, size) if isinstance(size, int | np.integer) else size)
    if height < 1 or width < 1:
        raise ValueError(f"size {size!r} of a heatmap: it must be a positive whole number, or (height, width)")
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    if len(landmarks.shape) != 3 or landmarks.shape[-1] not in (2, None):
        raise ValueError(f"landmarks of shape {tuple(landmarks.shape)} for a heatmap: they must be (faces, 68, 2)")
    finite = ops.all(ops.isfinite(landmarks), axis=-1)
    landmarks = ops.where(finite[..., None], landmarks, 0.0)
    strength = ops.cast(finite, "float32")
    if weights is not None:
        _check_weights(weights)
        if landmarks.shape[1] not in (len(weights), None):
            raise ValueError(f"{len(weights)} weights for {landmarks.shape[1]} landmarks of a heatmap: give one for each")
        strength = strength * ops.cast(weights, "float32")
    columns = _axis_averages(landmarks[..., 0], width, sigma)
    rows = _axis_averages(landmarks[..., 1], height, sigma) * strength[..., None]
    return ops.einsum("nlh,nlw->nhw", rows, columns)
