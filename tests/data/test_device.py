"""Faces augmented in an accelerator's memory are those that the processor makes, and landmarks exactly so."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.data.changes.augmentation import draw_matrix
from palcore.data.device import DeviceBatches, draw_matrices, moved_landmarks
from palcore.data.geometry import transform_landmarks

COMPARED = """
import json
import numpy as np
from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.data.device import DeviceBatches

faces = load("synthetic", None, "test", image_size=48).subset(slice(0, 96))
settings = {"batch_size": 32, "augment": True, "shuffle": True, "seed": 5, "strength": 1.5}
host, device = FaceBatches(faces, **settings), DeviceBatches(faces, **settings)
pixels, points, labels = [], [], []
for index in range(len(host)):
    (there, expected), (here, given, _) = host[index], device[index]
    pixels.append(np.abs(there.astype(int) - np.asarray(here).astype(int)))
    points.append(np.abs(expected["attribution"] - given["attribution"]).max())
    labels.append(bool(np.array_equal(expected["expression"], given["expression"])))
plain = np.asarray(DeviceBatches(faces, batch_size=96)[0][0])
print(json.dumps({
    "mean": float(np.mean(pixels)), "far": float(np.mean(np.array(pixels) > 16)), "points": float(np.max(points)),
    "labels": all(labels), "plain": bool(np.array_equal(plain, faces.images[:])),
}))
"""


def test_a_batch_on_the_device_is_the_processors_batch():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    answer = subprocess.run([sys.executable, "-c", COMPARED], capture_output=True, text=True, env=environment, check=True).stdout
    compared = json.loads(answer.splitlines()[-1])
    assert compared["labels"] and compared["plain"]  # not augmented: to the last bit
    assert compared["mean"] < 1 and compared["far"] < 0.005 and compared["points"] < 1e-6


def test_landmarks_of_many_faces_move_as_one_by_one():
    rng = np.random.default_rng(0)
    points, draws = rng.random((6, 68, 2)).astype(np.float32), rng.random((6, 8))
    draws[:, 7] = [0.1, 0.9] * 3
    expected = [transform_landmarks(face, draw_matrix(numbers, 2.0)) for face, numbers in zip(points, draws, strict=True)]
    np.testing.assert_allclose(moved_landmarks(points, draw_matrices(draws, 2.0), draws[:, 7] < 0.5), expected, atol=1e-6)


def test_another_backend_is_refused():
    faces = load("synthetic", None, "test", image_size=48).subset(slice(0, 4))
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        DeviceBatches(faces)
    assert len(FaceBatches(faces)) == 1
