"""Maps that move an image and its landmarks together.

A map is a ``(3, 3)`` matrix from image fractions (from the top-left corner, as landmarks are) to image fractions.
Matrices multiply, the change that is made first on the right, so that several cost one interpolation of the image.
"""

import cv2
import numpy as np


def _mirror_index():
    index = np.arange(68)
    index[:17] = np.arange(16, -1, -1)  # jaw
    index[17:27] = np.arange(26, 16, -1)  # brows
    index[31:36] = np.arange(35, 30, -1)  # nostrils
    index[36:48] = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]  # eyes
    index[48:60] = [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]  # outer lips
    index[60:68] = [64, 63, 62, 61, 60, 67, 66, 65]  # inner lips
    return index


FLIP_INDEX = _mirror_index()
"""``(68,)``: which landmark takes each one's place when the face is mirrored (left brow and right brow, and so on)."""


def flip_matrix():
    """``(3, 3)`` map of image fractions that mirrors left and right: ``x`` becomes ``1 - x``."""
    return np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def affine_matrix(angle=0.0, scale=1.0, shift=(0.0, 0.0)):
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


def crop_matrix(left, top, width, height):
    """``(3, 3)`` map of image fractions that makes a box, given in fractions, the whole image; it may reach beyond it."""
    return np.array([[1 / width, 0.0, -left / width], [0.0, 1 / height, -top / height], [0.0, 0.0, 1.0]])


def landmark_boxes(landmarks):
    """The box around each face's landmarks.

    :param landmarks: ``(N, 68, 2)`` fractions; those that are not finite are left out.
    :return: ``(corners, sides)``, each ``(N, 2)``: left and top, width and height; NaN for a face without landmarks or without a
        width or height.
    """
    finite = np.all(np.isfinite(landmarks), axis=-1, keepdims=True)
    low = np.where(finite, landmarks, np.inf).min(axis=1)
    sides = np.where(finite, landmarks, -np.inf).max(axis=1) - low
    there = np.all(sides > 0, axis=-1, keepdims=True) & np.isfinite(low)
    return np.where(there, low, np.nan), np.where(there, sides, np.nan)


def transform_landmarks(landmarks, matrix):
    """Landmarks ``(68, 2)`` moved by a map of fractions, float32; a map that mirrors exchanges left and right landmarks too.

    Of many faces, ``(N, 68, 2)``, each by its own, ``(N, 3, 3)``.
    """
    moved = landmarks @ matrix[..., :2, :2].swapaxes(-1, -2) + matrix[..., None, :2, 2]
    mirrored = matrix[..., 0, 0] * matrix[..., 1, 1] < matrix[..., 0, 1] * matrix[..., 1, 0]
    return np.where(mirrored[..., None, None], moved[..., FLIP_INDEX, :], moved).astype(np.float32)


def pixel_map(matrix, width, height):
    """``(2, 3)`` map of pixels, whose centres have whole numbers, for a map of fractions; ``(N, 2, 3)`` for ``(N, 3, 3)``.

    Fractions count from the image's corner, and pixel i has its centre at (i + 0.5) / W: hence the half pixels.
    """
    sides = np.array([width, height])
    pixels = np.empty((*matrix.shape[:-2], 2, 3))
    pixels[..., :2] = matrix[..., :2, :2] * sides[:, None] / sides
    pixels[..., 2] = matrix[..., :2, 2] * sides + 0.5 * pixels[..., :2].sum(axis=-1) - 0.5
    return pixels


def warp(image, pixels, out=None):
    """An image ``(H, W, 3)`` uint8 moved by a ``pixel_map``, of the same size; beyond it its edge repeats. ``out`` takes it."""
    size = image.shape[1::-1]
    return cv2.warpAffine(image, pixels, size, out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def transform_image(image, matrix):
    """An image ``(H, W, 3)`` uint8 moved by a map of fractions, with linear interpolation, of the same size as before."""
    return warp(image, pixel_map(matrix, *image.shape[1::-1]))
