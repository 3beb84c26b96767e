"""The 68 landmarks of a face: which are of which region, and when they can't be fractions of a picture's sides. Without Keras."""

from types import ModuleType

import numpy as np

from palcore import Tensor

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


def face_extents(landmarks: Tensor, xp: ModuleType = np) -> tuple:
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


def median_face(landmarks: Tensor, xp: ModuleType = np) -> tuple:
    """How many faces have landmarks, and middle (x, y) and span of the median one: what ``landmark_fault`` judges.

    Faces without a finite landmark, and those with all of them in one place, count as faces without landmarks.

    :param landmarks: and ``xp``: as in ``face_extents``.
    :return: ``(count, (3,))``; the numbers mean nothing where the count is 0.
    """
    counts, middles, spans = face_extents(landmarks, xp)
    there = xp.logical_and(counts > 0, spans > 0)
    ordered = xp.sort(xp.where(there, xp.concatenate([middles, spans], axis=-1), 1e30), axis=0)
    count = xp.sum(xp.where(there, 1, 0))
    lower, upper = xp.maximum(count - 1, 0) // 2, xp.minimum(count // 2, xp.shape(landmarks)[0] - 1)
    return count, (xp.take(ordered, lower, axis=0) + xp.take(ordered, upper, axis=0)) / 2


def landmark_fault(landmarks: np.ndarray, middle: tuple[float, float] = MIDDLE) -> str | None:
    """Why the landmarks of some faces can't be fractions of their pictures, or None; the median face is judged.

    :param landmarks: ``(N, 68, 2)``, x and y; their order is not looked at: a run may turn faces over on purpose.
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
