"""From 68 landmarks to a map of where the face's features are.

The heatmap is the sum of one isotropic Gaussian per landmark (:eq:`heatmap`). ``gaussian_heatmap`` averages it exactly over
each cell (:eq:`cell-average`), in the graph of whichever backend Keras uses. ``blurred_heatmap`` is the usual way, one blur of
a binary image, kept as a reference to compare with.
"""

import math

import numpy as np
from keras import ops
from scipy.ndimage import gaussian_filter

SIGMA = 3 / 112
"""Default width of a landmark's Gaussian, as a fraction of the image side: 3 pixels on a canvas of 112."""

REGIONS = {
    "jaw": range(0, 17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 68),
}
"""Landmark indices of each region of the face, in the iBUG order of 68 points."""


MIDDLE = (0.05, 0.95)
"""Between these fractions of the picture, along each axis, lies the middle of a batch's median face, wherever faces are put."""

SPAN = (0.1, 3.0)
"""How large the box around a face's landmarks is, at least and at most, in picture sides. Those of FER2013 span 0.33 to 1.53."""


def face_extents(landmarks, xp=np) -> tuple:
    """How many finite landmarks each face has, their middle, and the larger side of the box around them.

    :param landmarks: ``(N, 68, 2)``.
    :param xp: NumPy, or ``keras.ops`` for tensors, compiled or not.
    :return: ``(counts (N, 1), middles (N, 2), spans (N, 1))``. The span of a single landmark is 1, as one cannot be too close.
    """
    finite = xp.all(xp.isfinite(landmarks), axis=-1, keepdims=True)
    counts = xp.sum(xp.where(finite, 1.0, 0.0), axis=1)
    middles = xp.sum(xp.where(finite, landmarks, 0.0), axis=1) / xp.maximum(counts, 1.0)
    lowest, highest = xp.min(xp.where(finite, landmarks, 1e30), axis=1), xp.max(xp.where(finite, landmarks, -1e30), axis=1)
    return counts, middles, xp.where(counts == 1, 1.0, xp.max(highest - lowest, axis=-1, keepdims=True))


def median_face(landmarks, xp=np) -> tuple:
    """How many faces have landmarks, and middle (x, y) and span of the median one: what ``landmark_fault`` judges.

    Faces without a finite landmark, and those with all of them in one place, count as faces without landmarks.

    :param landmarks: ``(N, 68, 2)``.
    :param xp: NumPy, or ``keras.ops`` for tensors, compiled or not.
    :return: ``(count, (3,))``; the numbers mean nothing where the count is 0.
    """
    counts, middles, spans = face_extents(landmarks, xp)
    there = xp.logical_and(counts > 0, spans > 0)
    ordered = xp.sort(xp.where(there, xp.concatenate([middles, spans], axis=-1), 1e30), axis=0)
    count = xp.sum(xp.where(there, 1, 0))
    lower, upper = xp.maximum(count - 1, 0) // 2, xp.minimum(count // 2, xp.shape(landmarks)[0] - 1)
    return count, (xp.take(ordered, lower, axis=0) + xp.take(ordered, upper, axis=0)) / 2


def landmark_fault(landmarks: np.ndarray, middle: tuple[float, float] = MIDDLE) -> str | None:
    """Why the landmarks of some faces can't be fractions of their pictures, or None.

    The median face is judged, so that a few odd ones are no fault. The order of x and y is not looked at: a run may turn faces
    over on purpose.

    :param landmarks: ``(N, 68, 2)``, x and y; see ``median_face`` for faces without.
    :param middle: least and greatest fraction of each side at which the middle of the median face may lie.
    :return: a clause that begins with what was seen and ends with the remedy.
    """
    landmarks = np.asarray(landmarks, np.float64)
    count, (x, y, span) = median_face(landmarks) if len(landmarks) else (0, np.zeros(3))
    if count == 0:
        return None
    seen = f"the middle of the face lies at ({x:.2f}, {y:.2f}) of the picture's sides"
    if max(abs(x), abs(y)) > SPAN[1]:
        return f"{seen}, so they are in pixels: divide x by the width and y by the height"
    if not (middle[0] <= x <= middle[1] and middle[0] <= y <= middle[1]):
        if 0.3 < np.mean(landmarks[..., 0] < 0) < 0.7:
            return f"{seen}, so they are centred on 0: count from the picture's upper left corner, as fractions of its sides"
        return f"{seen}, so they are of pictures of another size or frame: make them of these pictures"
    if not SPAN[0] <= span <= SPAN[1]:
        return f"the median face spans {span:.2g} of the picture's side: they must be fractions of width and height"
    return None


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


def gaussian_heatmap(landmarks, size: int | tuple[int, int], sigma: float = SIGMA, weights=None):
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


def blurred_heatmap(landmarks: np.ndarray, size, sigma: float = SIGMA, outside: str = "drop") -> np.ndarray:
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
