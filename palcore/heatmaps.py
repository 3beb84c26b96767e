"""From 68 landmarks to a map of where the face's features are.

The heatmap is the sum of one isotropic Gaussian per landmark (:eq:`heatmap`). ``gaussian_heatmap`` averages it exactly over
each cell (:eq:`cell-average`), in the graph of whichever backend Keras uses. ``blurred_heatmap`` is the usual way, one blur of
a binary image, kept as a reference to compare with.
"""

import math
from collections.abc import Sequence

import numpy as np
from keras import ops
from scipy.ndimage import gaussian_filter

from palcore import Tensor
from palcore.landmarks import REGIONS

SIGMA = 3 / 112
"""Default width of a landmark's Gaussian, as a fraction of the image side: 3 pixels on a canvas of 112."""


def region_weights(**weights: float) -> np.ndarray:
    """One weight per landmark, ``(68,)`` float32, from one of at least 0 per region; regions not given keep 1.

    ``region_weights(jaw=0)`` leaves the jaw out. A ``ValueError`` for an unknown region or a negative weight.
    """
    per_landmark = np.ones(68, np.float32)
    for region, weight in weights.items():
        if region not in REGIONS:
            raise ValueError(f"unknown region {region!r} in region_weights: choose from {', '.join(REGIONS)}")
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight {weight!r} of region {region!r} in region_weights: it must be a number >= 0")
        per_landmark[REGIONS[region]] = weight
    return per_landmark


def _sides(size):
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    if height < 1 or width < 1:
        raise ValueError(f"size {size!r} of a heatmap: it must be a positive whole number, or (height, width)")
    return int(height), int(width)


def _check_sigma(sigma):
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma {sigma!r} of a heatmap: it must be a positive fraction of the image side, such as 3 / 112")


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
    :raises ValueError: for a ``sigma`` or a ``size`` that is not positive, or landmarks of another shape.
    """
    _check_sigma(sigma)
    height, width = _sides(size)
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    if len(landmarks.shape) != 3 or landmarks.shape[-1] != 2:
        raise ValueError(f"landmarks of shape {tuple(landmarks.shape)} for a heatmap: they must be (faces, 68, 2)")
    finite = ops.all(ops.isfinite(landmarks), axis=-1)
    landmarks = ops.where(finite[..., None], landmarks, 0.0)
    strength = ops.cast(finite, "float32")
    if weights is not None:
        strength = strength * ops.cast(weights, "float32")
    columns = _axis_averages(landmarks[..., 0], width, sigma)
    rows = _axis_averages(landmarks[..., 1], height, sigma) * strength[..., None]
    return ops.einsum("nlh,nlw->nhw", rows, columns)


def blurred_heatmap(landmarks: np.ndarray, size: int | tuple[int, int], sigma: float = SIGMA, outside: str = "drop") -> np.ndarray:
    """The usual heatmap: set the pixel under each landmark to one, then blur the picture once.

    It merges landmarks that share a pixel and rounds each to its pixel. Scaled by ``2 pi sigma^2`` (sigma in pixels) so that
    a lone landmark peaks near 1, as in ``gaussian_heatmap``.

    :param landmarks: ``(N, 68, 2)``, as for ``gaussian_heatmap``.
    :param size: pixels along each side, or ``(height, width)``.
    :param sigma: as for ``gaussian_heatmap``.
    :param outside: what to do with a landmark left of or above the image: ``"drop"`` it, or ``"wrap"`` it round to the other
        side, as code that indexes an array with negative numbers does. Beyond the right and lower edge it is dropped.
    :return: ``(N, height, width)`` float32 NumPy array.
    :raises ValueError: for an unknown ``outside``, a ``sigma`` or a ``size`` that is not positive.
    """
    if outside not in ("drop", "wrap"):
        raise ValueError(f"outside {outside!r} in blurred_heatmap: choose drop or wrap")
    _check_sigma(sigma)
    height, width = _sides(size)
    sides = np.array([width, height])
    pixels = np.floor(np.nan_to_num(np.asarray(landmarks, np.float64), nan=np.inf) * sides)
    lowest = 0 if outside == "drop" else -sides
    inside = np.all((pixels >= lowest) & (pixels < sides), axis=-1)
    binary = np.zeros((len(pixels), height, width), np.float32)
    for face, (points, keep) in enumerate(zip(pixels, inside, strict=True)):
        column, row = points[keep].astype(int).T
        binary[face, row, column] = 1.0
    deviation = (0, sigma * height, sigma * width)
    peak = 2 * math.pi * deviation[1] * deviation[2]
    return gaussian_filter(binary, deviation, mode="constant") * np.float32(peak)
