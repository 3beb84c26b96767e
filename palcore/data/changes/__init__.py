# ruff: noqa: F401
"""Every change that is made to faces on their way into a run or a test: each a function from ``Faces`` to ``Faces``.

Images are changed when they are read.
"""

from palcore.data.changes.augmentation import augmented
from palcore.data.changes.disturb import CONDITIONS, PLACES, boxes_of, covered, patch_box, with_patch
from palcore.data.changes.framing import WHOLE, crop_faces, face_windows, placed
from palcore.data.changes.training import SOURCES, jittered_landmarks, landmarks_from, noisy_labels, shuffled_landmarks, take_share
