"""Changes to a training face that move its landmarks along."""

import cv2
import numpy as np


def _pairs():
    index = np.arange(68)
    index[:17] = np.arange(16, -1, -1)  # jaw
    index[17:27] = np.arange(26, 16, -1)  # brows
    index[31:36] = np.arange(35, 30, -1)  # nostrils
    index[36:48] = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]  # eyes
    index[48:60] = [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]  # outer lips
    index[60:68] = [64, 63, 62, 61, 60, 67, 66, 65]  # inner lips
    return index


FLIP_INDEX = _pairs()
"""``(68,)``: which landmark takes each one's place when the face is mirrored (left brow and right brow, and so on)."""

IDENTITY = np.eye(3)


def flip_matrix():
    """``(3, 3)`` map of image fractions that mirrors left and right: ``x`` becomes ``1 - x``."""
    return np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def affine_matrix(angle, scale, shift):
    """``(3, 3)`` map of image fractions: rotate and scale about the centre, then shift.

    :param angle: radians, clockwise as seen in the image.
    :param scale: above 1 enlarges.
    :param shift: ``(x, y)`` as fractions of the image's sides.
    """
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = 0.5 - linear @ [0.5, 0.5] + shift
    return matrix


def transform_landmarks(landmarks, matrix):
    """Landmarks ``(68, 2)`` moved by a ``(3, 3)`` map of fractions; a mirroring map also exchanges left and right landmarks."""
    moved = landmarks @ matrix[:2, :2].T + matrix[:2, 2]
    if np.linalg.det(matrix[:2, :2]) < 0:
        moved = moved[FLIP_INDEX]
    return moved.astype(np.float32)


def transform_image(image, matrix):
    """A square image ``(S, S, 3)`` moved by the same map, linear interpolation; what comes from outside repeats the edge.

    Fractions count from the image's corner, and pixel i has its centre at (i + 0.5) / S: hence the half pixels.
    """
    size = image.shape[0]
    to_fraction = np.array([[1 / size, 0, 0.5 / size], [0, 1 / size, 0.5 / size], [0, 0, 1]])
    pixels = np.linalg.inv(to_fraction) @ matrix @ to_fraction
    return cv2.warpAffine(image, pixels[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def random_matrix(rng, flip=0.5, angle=0.15, scale=0.1, shift=0.08):
    """One random map: a flip in half of the cases, rotation within ``angle`` radians, scale and shift within their bounds."""
    matrix = affine_matrix(rng.uniform(-angle, angle), 1 + rng.uniform(-scale, scale), rng.uniform(-shift, shift, 2))
    return matrix @ flip_matrix() if rng.random() < flip else matrix
