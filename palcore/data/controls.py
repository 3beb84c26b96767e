"""Wrong landmarks on purpose: is it the right place that helps, or any place?"""

from dataclasses import replace

import numpy as np


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
