import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from palcore.data import load
from palcore.data.synthetic import PATCH_COLOURS, PATCH_SIDE

HASH = """
import hashlib, sys
from palcore.data import load
faces = load("synthetic", split="test", count=6, seed=3, image_size=32)
print(hashlib.sha256(faces.images[:].tobytes() + faces.landmarks.tobytes()).hexdigest(), "keras" in sys.modules)
"""


def patches(faces):
    """The label that each face's patch shows."""
    side = round(PATCH_SIDE * faces.images.size)
    corner = faces.images[:][:, -side:, :side]
    assert np.all(corner == corner[:, :1, :1])
    return np.array([PATCH_COLOURS.index(tuple(colour)) for colour in corner[:, 0, 0].tolist()])


def test_the_same_bytes_in_another_process():
    done = subprocess.run([sys.executable, "-c", HASH], capture_output=True, text=True, check=True, env=os.environ)
    faces = load("synthetic", split="test", count=6, seed=3, image_size=32)
    assert done.stdout.split() == [hashlib.sha256(faces.images[:].tobytes() + faces.landmarks.tobytes()).hexdigest(), "False"]


def test_splits_and_seeds_have_faces_of_their_own():
    images = [
        load("synthetic", split=split, count=7, seed=seed, shortcut=None).images[0]
        for split, seed in (("train", 0), ("validation", 0), ("test", 0), ("train", 1))
    ]
    assert len({image.tobytes() for image in images}) == 4


def test_the_patch_shows_the_label_as_often_as_asked_and_leaves_the_face_alone():
    side, alone = round(PATCH_SIDE * 16), []
    for shortcut, share in ((None, None), (0.0, 1 / 7), (0.9, 0.9 + 0.1 / 7), (1.0, 1)):
        faces = load("synthetic", count=700, image_size=16, shortcut=shortcut)
        if share:
            assert np.mean(patches(faces) == faces.labels) == pytest.approx(share, abs=0.04 if share < 1 else 0)
        alone.append(faces.images[:].copy())
        alone[-1][:, -side:, :side] = 0
        np.testing.assert_array_equal(alone[-1], alone[0])


def test_expressions_move_the_landmarks_as_their_action_units_say():
    faces = load("synthetic", count=1400)
    points = faces.landmarks - faces.landmarks[:, 27:31].mean(axis=1, keepdims=True)
    opening = points[:, 66, 1] - points[:, 62, 1]
    corners = points[:, [48, 54], 1].mean(axis=1) - points[:, [51, 57], 1].mean(axis=1)
    brows = points[:, 17:27, 1].mean(axis=1)
    mean = {name: [values[faces.labels == label].mean() for label in range(7)] for name, values in
            {"opening": opening, "corners": corners, "brows": brows}.items()}  # fmt: skip
    assert np.argmax(mean["opening"]) == 0  # surprise
    assert np.argmin(mean["corners"]) == 3  # happiness: corners up
    assert np.argmax(mean["corners"]) == 4  # sadness: corners down
    assert np.argmin(mean["brows"]) == 0  # surprise: brows up
    assert np.argmax(mean["brows"]) in (2, 5)  # disgust or anger: brows down
