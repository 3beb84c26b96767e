"""Maps that move an image and its landmarks together.

A map is a ``(3, 3)`` matrix from image fractions (from the top-left corner, as landmarks are) to image fractions.
Matrices multiply, the change that is made first on the right, so that several cost one interpolation of the image.
"""

import cv2
import numpy as np

FLIP_INDEX = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31), *range(35, 30, -1),  # nose
        45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
        54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55,  # outer lips
        64, 63, 62, 61, 60, 67, 66, 65,  # inner lips
    ]
)  # fmt: skip
"""``(68,)``: which landmark takes each one's place when the face is mirrored (left brow and right brow, and so on)."""


def flip_matrix() -> np.ndarray:
    """``(3, 3)`` map of image fractions that mirrors left and right: ``x`` becomes ``1 - x``."""
    return np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def affine_matrix(
    angle: float | np.ndarray = 0.0, scale: float | np.ndarray = 1.0, shift: tuple | np.ndarray = (0.0, 0.0)
) -> np.ndarray:
    """``(3, 3)`` map of image fractions: rotate and scale about the centre, then shift; ``(N, 3, 3)`` for arrays.

    :param angle: radians, clockwise as seen in the image.
    :param scale: above 1 enlarges.
    :param shift: ``(x, y)`` as fractions of the image's sides.
    """
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    x, y = shift
    matrix = np.zeros((*np.shape(cosine), 3, 3))
    matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2] = cosine, -sine, 0.5 - 0.5 * (cosine - sine) + x
    matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2] = sine, cosine, 0.5 - 0.5 * (sine + cosine) + y
    matrix[..., 2, 2] = 1
    return matrix


def crop_matrix(left: float, top: float, width: float, height: float) -> np.ndarray:
    """``(3, 3)`` map of image fractions that makes a box, given in fractions, the whole image; it may reach beyond it."""
    return np.array([[1 / width, 0.0, -left / width], [0.0, 1 / height, -top / height], [0.0, 0.0, 1.0]])


def landmark_extents(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest x and y of each face's finite landmarks, of ``(N, 68, 2)``, each ``(N, 2)``; NaN for a face without."""
    known = np.where(np.all(np.isfinite(landmarks), axis=-1, keepdims=True), landmarks, np.nan)
    return np.fmin.reduce(known, axis=1), np.fmax.reduce(known, axis=1)


def transform_landmarks(landmarks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Landmarks ``(68, 2)`` moved by a map of fractions, float32, or ``(N, 68, 2)``, each face's by its own ``(N, 3, 3)``. A map
    that mirrors exchanges left and right landmarks too."""
    moved = (landmarks @ matrix[..., :2, :2].swapaxes(-1, -2) + matrix[..., None, :2, 2]).astype(np.float32)
    mirrored = matrix[..., 0, 0] * matrix[..., 1, 1] < matrix[..., 0, 1] * matrix[..., 1, 0]
    return np.where(mirrored[..., None, None], moved.take(FLIP_INDEX, axis=-2), moved)


def pixel_map(matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """``(2, 3)`` map of pixels, whose centres have whole numbers, for a map of fractions, which count from the image's corner:
    hence the half pixels. ``(N, 2, 3)`` for ``(N, 3, 3)``."""
    sides = np.array([width, height])
    pixels = np.empty((*matrix.shape[:-2], 2, 3))
    pixels[..., :2] = matrix[..., :2, :2] * sides[:, None] / sides
    pixels[..., 2] = matrix[..., :2, 2] * sides + 0.5 * pixels[..., :2].sum(axis=-1) - 0.5
    return pixels


def warp(image: np.ndarray, pixels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """An image ``(H, W, 3)`` uint8 moved by a ``pixel_map``, of the same size; beyond it its edge repeats. ``out`` takes it."""
    size = image.shape[1::-1]
    return cv2.warpAffine(image, pixels, size, out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def transform_image(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """An image ``(H, W, 3)`` uint8 moved by a map of fractions, with linear interpolation, of the same size as before."""
    return warp(image, pixel_map(matrix, *image.shape[1::-1]))
