"""Test faces made harder: patches on and off the parts of a face (by their true landmarks), shifts, blur. Nothing is random."""

from functools import partial

import cv2
import numpy as np

from palcore.data.geometry import affine_matrix, transform_image, transform_landmarks
from palcore.data.table import Faces, changed
from palcore.landmarks import REGIONS

PATCH = (0.8, 0.3)
"""Width and height of every patch, as fractions of the width and height of the box around a face's landmarks."""

PLACES = ("off", "eyes", "mouth")
"""Where a patch may lie."""

TRIED = 13
"""Places tried along each axis for the patch off the face."""

SHIFTS = (0.1, 0.2)
"""How far faces are shifted, as fractions of the image side: the first face to the right, then left, down, up, and again."""

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))
BLURS = (0.01, 0.02, 0.04)
"""Standard deviation of the Gaussian blur, as fractions of the image side."""


def _face_shares(boxes: np.ndarray, hull: np.ndarray, canvas: int = 96) -> np.ndarray:
    """How many pixels of the face's outline each of ``(N, 4)`` boxes covers."""
    face = np.zeros((canvas, canvas), np.uint8)
    cv2.fillConvexPoly(face, np.round(hull * canvas).astype(np.int32), 1)
    above = cv2.integral(face)
    left, top, right, bottom = np.clip(np.round(boxes * canvas).astype(int), 0, canvas).T
    return above[bottom, right] - above[top, right] - above[bottom, left] + above[top, left]


def patch_box(landmarks: np.ndarray, place: str, avoid: np.ndarray | None = None) -> np.ndarray | None:
    """Where a patch lies: ``(4,)`` left, top, right and bottom in fractions; None for landmarks ``(68, 2)`` that are not finite.

    On the eyes and on the mouth it is centred on their landmarks. Off the face it lies within the image where it covers least of
    the convex outline of the landmarks, and of such places on the one farthest from the face's centre.

    :param place: one of ``PLACES``.
    :param avoid: a box ``(4,)`` that the patch off the face does not touch if it can, such as that of a shortcut; None for none.
    :raises ValueError: for another place.
    """
    if place not in PLACES:
        raise ValueError(f"place {place!r} of a patch: choose from {', '.join(PLACES)}")
    if not np.all(np.isfinite(landmarks)):
        return None
    size = np.minimum((landmarks.max(axis=0) - landmarks.min(axis=0)) * PATCH, 0.9)
    if place != "off":
        centre = landmarks[REGIONS[place]].mean(axis=0)
        return np.concatenate([centre - size / 2, centre + size / 2])
    hull, middle = cv2.convexHull(landmarks.astype(np.float32))[:, 0], landmarks.mean(axis=0)
    columns, rows = (np.linspace(length / 2, 1 - length / 2, TRIED) for length in size)
    centres = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([centres - size / 2, centres + size / 2], axis=1)
    avoid = np.full(4, np.nan) if avoid is None else np.asarray(avoid)
    touching = np.all((boxes[:, :2] < avoid[2:]) & (boxes[:, 2:] > avoid[:2]), axis=1)
    distance = np.sum((centres - middle) ** 2, axis=1)
    return boxes[np.lexsort([-distance, _face_shares(boxes, hull), touching])[0]]


def with_patch(image: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """An image ``(H, W, 3)`` uint8 with a box (fractions; None for no box) painted in the image's mean colour."""
    if box is None:
        return image
    height, width = image.shape[:2]
    left, top, right, bottom = np.round(np.clip(box, 0, 1) * [width, height, width, height]).astype(int)
    painted = image.copy()
    painted[top:bottom, left:right] = np.round(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return painted


def boxes_of(faces: Faces, place: str | tuple, avoid: np.ndarray | None = None) -> list:
    """A box ``(4,)`` for each face, or None where it has no landmarks.

    :param place: one of ``PLACES``, see ``patch_box``; or a box ``(4,)`` in fractions, the same for all faces.
    :param avoid: see ``patch_box``.
    """
    if isinstance(place, str):
        return [patch_box(landmarks, place, avoid) for landmarks in faces.landmarks]
    return [np.asarray(place)] * len(faces)


def covered(faces: Faces, boxes: list) -> Faces:
    """Faces with a patch each in their mean colour, at the boxes that ``boxes_of`` gives."""
    return changed(faces, lambda image, row: with_patch(image, boxes[row]), faces.landmarks)


def _patched(faces: Faces, place: str) -> Faces:
    return covered(faces, boxes_of(faces, place))


def _shifted(faces: Faces, share: float) -> Faces:
    four = np.stack([affine_matrix(shift=np.multiply(direction, share)) for direction in DIRECTIONS])
    matrices = four[np.arange(len(faces)) % len(four)]
    return changed(faces, lambda image, row: transform_image(image, matrices[row]), transform_landmarks(faces.landmarks, matrices))


def _blurred(faces: Faces, share: float) -> Faces:
    blur = partial(cv2.GaussianBlur, ksize=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return changed(faces, lambda image, row: blur(image, sigmaX=share * image.shape[1]), faces.landmarks)


CONDITIONS = {
    **{f"patch_{place}": partial(_patched, place=place) for place in PLACES},
    **{f"shift_{round(100 * share)}": partial(_shifted, share=share) for share in SHIFTS},
    **{f"blur_{round(100 * share)}": partial(_blurred, share=share) for share in BLURS},
}
"""Name of each test condition, such as ``shift_10`` for a shift by 10 % of the image side, and what makes it of faces, landmarks
moved along where the face moves."""
