"""Wrong landmarks on purpose: is it the right place on this face that helps, a place where faces are, or any place?"""

from dataclasses import replace

import numpy as np

from palcore.data.geometry import landmark_boxes

SOURCES = ("own", "shuffled", "template", "box", "upside_down", "centre")
"""Whose landmarks training aims at, see ``landmarks_from``."""

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
CENTRE_RADIUS = 0.3
"""Radius of the disc of ``centre``, as a fraction of the image side: it covers about as much of the image as a face's features."""


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

    :param deviation: standard deviation along each axis, as a fraction of the image side.
    """
    noise = np.random.default_rng([seed, 3]).normal(0, deviation, faces.landmarks.shape)
    return replace(faces, landmarks=(faces.landmarks + noise).astype(np.float32))


def _boxed_template(landmarks):
    """One shape for all faces, moved and scaled to each face's own box: it says where a face is, and nothing else of it.

    The shape is the mean of the faces' landmarks, each taken within its own box.
    """
    corners, sides = landmark_boxes(landmarks)
    shape = np.nanmean((landmarks - corners[:, None]) / sides[:, None], axis=0)
    return corners[:, None] + shape * sides[:, None]


def _centre():
    index = np.arange(68) + 0.5  # Vogel's sunflower: evenly over a disc, nothing random
    radius, angle = CENTRE_RADIUS * np.sqrt(index / 68), GOLDEN_ANGLE * index
    return 0.5 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def landmarks_from(faces, source, seed=0):
    """Faces with the landmarks of ``source`` in place of their own; augmentation moves them along with the image as ever.

    - ``own``: unchanged.
    - ``shuffled``: another face's, see ``shuffled_landmarks``.
    - ``template``: the mean of all the faces' landmarks, one map for all. Where faces are cut out alike it says where faces are;
      it says nothing about this face.
    - ``box``: that mean moved to each face's own box: where this face is and how large, and nothing else of it.
    - ``upside_down``: this face's own, mirrored at the image's middle line: the same shape in the wrong place.
    - ``centre``: 68 points spread evenly over a disc at the middle of the image: no shape of a face at all.

    A face without landmarks (NaN) stays without under ``upside_down`` and ``box``; under ``template`` and ``centre`` it gets them.

    :param source: one of ``SOURCES``.
    :param seed: of ``shuffled``.
    :raises ValueError: for an unknown source.
    """
    if source == "own":
        return faces
    if source == "shuffled":
        return shuffled_landmarks(faces, seed)
    if source == "template":
        with np.errstate(invalid="ignore"):
            landmarks = np.broadcast_to(np.nanmean(faces.landmarks, axis=0), faces.landmarks.shape)
    elif source == "box":
        landmarks = _boxed_template(faces.landmarks)
    elif source == "upside_down":
        landmarks = faces.landmarks * [1, -1] + [0, 1]
    elif source == "centre":
        landmarks = np.broadcast_to(_centre(), faces.landmarks.shape)
    else:
        raise ValueError(f"unknown source {source!r} of landmarks: choose from {', '.join(SOURCES)}")
    return replace(faces, landmarks=np.array(landmarks, np.float32))
