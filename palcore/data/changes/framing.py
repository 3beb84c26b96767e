"""How a face lies in its picture: cropped to its landmarks, or put at a random place on a larger ground."""

import cv2
import numpy as np

from palcore.data.geometry import crop_matrix, landmark_extents, transform_image, transform_landmarks
from palcore.data.images import resize
from palcore.data.readers import SPLITS
from palcore.data.table import Faces, changed

SHARES = (0.5, 0.8)
"""Side of a placed face, at least and at most, as a fraction of the side of its ground."""

GRAINS = (2, 5, 12, 32)
"""Cells along the side of each layer of noise of which a ground is made."""

WHOLE = (0.0, 0.0, 1.0)
"""The window that leaves an image as it is."""


def face_windows(landmarks: np.ndarray, margin: float) -> np.ndarray:
    """The square around each face's landmarks.

    :param landmarks: ``(N, 68, 2)`` as fractions of the image's sides; those that are not finite are left out.
    :param margin: added on each side, as a fraction of the square's side.
    :return: ``(N, 3)`` left, top and side in fractions of the image's sides, ``WHOLE`` for a face without landmarks. A window may
        reach beyond the image, where the edge repeats.
    """
    low, high = landmark_extents(landmarks)
    sides = (high - low).max(axis=1, keepdims=True).astype(np.float64) * (1 + 2 * margin)
    corners = (low + high - sides.astype(low.dtype)) / 2
    return np.where(sides > 0, np.concatenate([corners, sides], axis=1), WHOLE)


def crop_faces(faces: Faces, windows: np.ndarray) -> Faces:
    """Faces cropped to a window each, landmarks moved along, images of the same size as before.

    The cheap way to keep a network from looking beside the face: a training face is cropped to the square around its own landmarks,
    and validation and test faces, whose landmarks nobody would know, all to the mean of those. So faces must be framed alike.

    :param windows: ``(N, 3)`` left, top and side as fractions, or one ``(3,)`` for all faces.
    """
    windows = np.broadcast_to(windows, (len(faces), 3))
    matrices = np.stack([crop_matrix(left, top, side, side) for left, top, side in windows])
    return changed(faces, lambda image, row: transform_image(image, matrices[row]), transform_landmarks(faces.landmarks, matrices))


def _ground(rng: np.random.Generator, side: int) -> np.ndarray:
    """A textured ground ``(side, side, 3)`` float32: grey noise of several grains, some parts rougher than others."""
    texture = np.full((side, side), rng.uniform(90, 160), np.float32)
    for grain in GRAINS:
        noise = rng.normal(0, rng.uniform(6, 26), (grain, grain)).astype(np.float32)
        texture += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(texture, 0, 255)[..., None], 3, axis=-1)


def placed(faces: Faces, side: int) -> Faces:
    """Faces put at a random place and scale on a larger textured ground, landmarks moved along.

    Data sets are cut out around the face, so that a template of landmarks fits every face nearly as well as its own. Here it can't:
    where a face is, only its own landmarks tell. A face's place is a function of split and row alone, the same in every run.

    :param side: of the ground, and so of the images now, in pixels.
    :return: faces whose side is between ``SHARES`` of the ground's.
    """
    split = SPLITS.index(faces.split)
    draws = np.random.default_rng([split, 7]).random((len(faces), 3))
    shares = SHARES[0] + (SHARES[1] - SHARES[0]) * draws[:, 0]
    sides = np.round(shares * side).astype(int)
    corners = np.round(draws[:, 1:] * (side - sides)[:, None]).astype(int)

    def put(image, row):
        picture = _ground(np.random.default_rng([split, row, 8]), side)
        (left, top), own = corners[row], sides[row]
        picture[top : top + own, left : left + own] = resize(image, int(own))
        return np.round(picture).astype(np.uint8)

    landmarks = (corners[:, None] + faces.landmarks * sides[:, None, None]) / side
    return changed(faces, put, landmarks, side)
