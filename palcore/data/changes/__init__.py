"""Every change that is made to faces on their way into a run or a test: each a function from ``Faces`` to ``Faces``.

Images are changed when they are read.
"""

from palcore.data.changes.augmentation import augmented
from palcore.data.changes.disturb import CONDITIONS, PLACES, boxes_of, covered, disturbed, patch_box, with_patch
from palcore.data.changes.framing import WHOLE, crop_faces, face_windows, placed
from palcore.data.changes.selection import noisy_labels, take_share
from palcore.data.changes.wrong_landmarks import SOURCES, jittered_landmarks, landmarks_from, shuffled_landmarks

__all__ = [
    "CONDITIONS",
    "PLACES",
    "SOURCES",
    "WHOLE",
    "augmented",
    "boxes_of",
    "covered",
    "crop_faces",
    "disturbed",
    "face_windows",
    "jittered_landmarks",
    "landmarks_from",
    "noisy_labels",
    "patch_box",
    "placed",
    "shuffled_landmarks",
    "take_share",
    "with_patch",
]
