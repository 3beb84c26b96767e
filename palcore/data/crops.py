"""Face crops: the cheap way to keep a network from looking beside the face.

A training face is cropped to the square around its own landmarks. That would not be fair at test time, when landmarks are not
known: the network would be told where the face is. So validation and test faces, and every later one, are all cropped to the
same window, the mean of the training faces' own. Like PAL, a network on crops sees landmarks in training only. It works as far
as faces are framed alike, as they are in the data sets of this study.
"""

import numpy as np

from palcore.data.augment import crop_matrix, transform_image, transform_landmarks
from palcore.data.table import changed

WHOLE = (0.0, 0.0, 1.0)
"""The window that leaves an image as it is."""


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

    :param faces: ``palcore.data.table.Faces``.
    :param windows: ``(N, 3)`` left, top and side as fractions, or one ``(3,)`` for all faces.
    """
    matrices = [crop_matrix(left, top, side, side) for left, top, side in np.broadcast_to(windows, (len(faces), 3))]
    landmarks = [transform_landmarks(points, matrix) for points, matrix in zip(faces.landmarks, matrices, strict=True)]
    return changed(faces, lambda image, row: transform_image(image, matrices[row]), np.stack(landmarks))
