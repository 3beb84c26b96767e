"""The usual heatmap, one blur of a binary image: what the chapter on heatmaps compares the exact one with."""

import math

import numpy as np
from scipy.ndimage import gaussian_filter

from palcore.heatmaps import SIGMA


def blurred_heatmap(landmarks, size, sigma=SIGMA, outside="drop"):
    """Set the pixel under each landmark to one, then blur the picture once.

    It merges landmarks that share a pixel and rounds each to its pixel. Scaled by `2 pi sigma^2` (sigma in pixels) so that
    a lone landmark peaks near 1, as in `palcore.heatmaps.gaussian_heatmap`.

    :param landmarks: `(N, 68, 2)`, and `sigma`: as for that.
    :param size: pixels along each side, or `(height, width)`.
    :param outside: what to do with a landmark left of or above the image: `"drop"` it, or `"wrap"` it round to the other side, as
        code that indexes an array with negative numbers does. Beyond the right and lower edge it is dropped.
    :return: `(N, height, width)` float32 NumPy array.
    """
    height, width = np.broadcast_to(size, 2).tolist()
    sides = np.array([width, height])
    pixels = np.floor(np.nan_to_num(np.asarray(landmarks, np.float64), nan=np.inf) * sides)
    lowest = {"drop": 0, "wrap": -sides}[outside]
    inside = np.all((pixels >= lowest) & (pixels < sides), axis=-1)
    binary = np.zeros((len(pixels), height, width), np.float32)
    for face, (points, keep) in enumerate(zip(pixels, inside, strict=True)):
        column, row = points[keep].astype(int).T
        binary[face, row, column] = 1.0
    deviation = (0, sigma * height, sigma * width)
    peak = 2 * math.pi * deviation[1] * deviation[2]
    return gaussian_filter(binary, deviation, mode="constant") * np.float32(peak)
