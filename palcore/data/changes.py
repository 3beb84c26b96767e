"""Every change that is made to faces on their way into a run or a test: each a function from ``Faces`` to ``Faces``.

Which faces and labels (``take_share``, ``noisy_labels``), landmarks that are wrong on purpose (``shuffled_landmarks``,
``jittered_landmarks``), crops (``crop_faces``), and the harder tests (``disturbed``). Images are changed when they are read.
What changes a training face anew in each epoch is drawn by ``palcore.data.batches``.
"""

from dataclasses import replace

import cv2
import numpy as np

from palcore.data.geometry import affine_matrix, crop_matrix, transform_image, transform_landmarks
from palcore.data.splits import stratified_split
from palcore.data.table import changed
from palcore.heatmaps import REGIONS

PATCH = (0.8, 0.3)
"""Width and height of every patch, as fractions of the width and height of the box around a face's landmarks."""

PLACES = 13
"""Places tried along each axis for the patch off the face."""

SHIFTS = (0.1, 0.2)
"""How far faces are shifted, as fractions of the image side: the first face to the right, then left, down, up, and again."""

DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))
BLURS = (0.01, 0.02, 0.04)
"""Standard deviation of the Gaussian blur, as fractions of the image side."""


WHOLE = (0.0, 0.0, 1.0)
"""The window that leaves an image as it is."""


def take_share(faces, share, seed):
    """A stratified part of some faces.

    :param faces: ``palcore.data.table.Faces``.
    :param share: in (0, 1]; 1 for all of them.
    :param seed: the same seed takes the same faces.
    :raises ValueError: as for ``stratified_split``.
    """
    if share == 1:
        return faces
    return faces.subset(stratified_split(faces.labels, share, seed)[1])


def noisy_labels(faces, rate, seed, classes=7):
    """Faces of which exactly the share ``rate`` (rounded) carries another class's label, each other class equally likely.

    :param faces: ``palcore.data.table.Faces``.
    :param rate: in [0, 1].
    :param seed: the same seed changes the same labels in the same way.
    :raises ValueError: for a rate outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate {rate!r} of label noise: it must be in [0, 1]")
    rng = np.random.default_rng(seed)
    labels = np.array(faces.labels)
    rows = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    return replace(faces, labels=labels)


def shuffled_landmarks(faces, seed):
    """Faces each of which has the landmarks of another face of the same split.

    They still outline a face at a likely place, but not this one: not its pose, not its expression.

    :param faces: ``palcore.data.table.Faces`` of at least two faces.
    :param seed: the same seed gives each face the same other one.
    :raises ValueError: for a single face.
    """
    count = len(faces)
    if count < 2:
        raise ValueError(f"{faces.name} {faces.split}: landmarks of another face for {count} face: there must be two at least")
    circle = np.random.default_rng([seed, 2]).permutation(count)
    other = np.empty(count, int)
    other[circle] = np.roll(circle, 1)  # one circle through all faces: none keeps its own
    return replace(faces, landmarks=faces.landmarks[other])


def jittered_landmarks(faces, deviation, seed):
    """Faces whose landmarks are moved at random, each by itself, the same way in every epoch.

    :param faces: ``palcore.data.table.Faces``.
    :param deviation: standard deviation along each axis, as a fraction of the image side.
    :param seed: of the noise.
    """
    noise = np.random.default_rng([seed, 3]).normal(0, deviation, faces.landmarks.shape)
    return replace(faces, landmarks=(faces.landmarks + noise).astype(np.float32))


def face_windows(landmarks, margin):
    """The square around each face's landmarks.

    :param landmarks: ``(N, 68, 2)`` as fractions of the image's sides; those that are not finite are left out.
    :param margin: added on each side, as a fraction of the square's side.
    :return: ``(N, 3)`` left, top and side in fractions of the image's sides, ``WHOLE`` for a face without landmarks. A window may
        reach beyond the image, where the edge repeats.
    """
    windows = np.tile(WHOLE, (len(landmarks), 1))
    finite = np.all(np.isfinite(landmarks), axis=-1)
    for face, keep in enumerate(finite):
        if keep.sum() > 1:
            low, high = landmarks[face, keep].min(axis=0), landmarks[face, keep].max(axis=0)
            side = float((high - low).max()) * (1 + 2 * margin)
            if side > 0:
                windows[face] = (*((low + high - side) / 2), side)
    return windows


def crop_faces(faces, windows):
    """Faces cropped to a window each, landmarks moved along, images of the same size as before.

    The cheap way to keep a network from looking beside the face. A training face is cropped to the square around its own landmarks.
    That would not be fair at test time, when landmarks are not known: so validation and test faces are all cropped to one window,
    the mean of the training faces' own. It works as far as faces are framed alike.

    :param faces: ``palcore.data.table.Faces``.
    :param windows: ``(N, 3)`` left, top and side as fractions, or one ``(3,)`` for all faces.
    """
    matrices = [crop_matrix(left, top, side, side) for left, top, side in np.broadcast_to(windows, (len(faces), 3))]
    landmarks = [transform_landmarks(points, matrix) for points, matrix in zip(faces.landmarks, matrices, strict=True)]
    return changed(faces, lambda image, row: transform_image(image, matrices[row]), np.stack(landmarks))


def _box(centre, size):
    return np.array([*(centre - size / 2), *(centre + size / 2)])


def _face_share(box, hull, canvas=96):
    """How many pixels of the face's outline a box covers."""
    face = np.zeros((canvas, canvas), np.uint8)
    cv2.fillConvexPoly(face, np.round(hull * canvas).astype(np.int32), 1)
    left, top, right, bottom = np.round(box * canvas).astype(int)
    return int(face[max(top, 0) : bottom, max(left, 0) : right].sum())


def patch_box(landmarks, place):
    """Where a patch lies: ``(4,)`` left, top, right and bottom, in fractions of the image's sides.

    All patches on one face have the same size. On the eyes and on the mouth it is centred on their landmarks. Off the face it
    lies within the image where it covers least of the convex outline of the landmarks, and of such places on the one farthest
    from the face's centre; where a face fills its image, even that covers a part of it.

    :param landmarks: ``(68, 2)``; None is returned for a face with landmarks that are not finite.
    :param place: ``"eyes"``, ``"mouth"`` or ``"off"``.
    :raises ValueError: for another place.
    """
    if place not in ("eyes", "mouth", "off"):
        raise ValueError(f"place {place!r} of a patch: choose from eyes, mouth, off")
    if not np.all(np.isfinite(landmarks)):
        return None
    size = np.minimum((landmarks.max(axis=0) - landmarks.min(axis=0)) * PATCH, 0.9)
    if place != "off":
        return _box(landmarks[REGIONS[place]].mean(axis=0), size)
    hull, middle = cv2.convexHull(landmarks.astype(np.float32))[:, 0], landmarks.mean(axis=0)
    columns, rows = (np.linspace(length / 2, 1 - length / 2, PLACES) for length in size)
    centres = [np.array([x, y]) for y in rows for x in columns]
    best = min(centres, key=lambda centre: (_face_share(_box(centre, size), hull), -float(np.sum((centre - middle) ** 2))))
    return _box(best, size)


def with_patch(image, box):
    """An image ``(H, W, 3)`` uint8 with a box (fractions; None for no box) painted in the image's mean colour."""
    if box is None:
        return image
    height, width = image.shape[:2]
    left, top, right, bottom = np.round(np.clip(box, 0, 1) * [width, height, width, height]).astype(int)
    painted = image.copy()
    painted[top:bottom, left:right] = np.round(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return painted


def _patched(faces, place):
    boxes = [patch_box(landmarks, place) for landmarks in faces.landmarks]
    return changed(faces, lambda image, row: with_patch(image, boxes[row]), faces.landmarks)


def _shifted(faces, share):
    matrices = [affine_matrix(shift=np.multiply(direction, share)) for direction in DIRECTIONS]
    landmarks = [transform_landmarks(points, matrices[row % len(matrices)]) for row, points in enumerate(faces.landmarks)]
    return changed(faces, lambda image, row: transform_image(image, matrices[row % len(matrices)]), np.stack(landmarks))


def _blurred(faces, share):
    def blur(image, row):
        return cv2.GaussianBlur(image, (0, 0), share * image.shape[1], borderType=cv2.BORDER_REPLICATE)

    return changed(faces, blur, faces.landmarks)


CONDITIONS = {
    **{f"patch_{place}": (_patched, place) for place in ("off", "eyes", "mouth")},
    **{f"shift_{round(100 * share)}": (_shifted, share) for share in SHIFTS},
    **{f"blur_{round(100 * share)}": (_blurred, share) for share in BLURS},
}
"""Name of each test condition, such as ``shift_10`` for a shift by 10 % of the image side, and what makes it."""


def disturbed(faces, condition):
    """Faces under one of ``CONDITIONS``, landmarks moved along where the face moves, images made when they are asked for.

    :param faces: ``palcore.data.table.Faces``.
    :param condition: a key of ``CONDITIONS``.
    :raises ValueError: for an unknown condition.
    """
    if condition not in CONDITIONS:
        raise ValueError(f"unknown test condition {condition!r}: choose from {', '.join(CONDITIONS)}")
    make, strength = CONDITIONS[condition]
    return make(faces, strength)
