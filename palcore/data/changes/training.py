"""Which faces a run trains on, under which labels, and with whose landmarks: is it the right place on this face that helps, a place
where faces are, or any place?"""

from dataclasses import replace

import numpy as np

from palcore import EMOTIONS
from palcore.data.geometry import landmark_extents
from palcore.data.splits import stratified_split
from palcore.data.table import Faces

SOURCES = ("own", "shuffled", "template", "box", "upside_down", "centre")
"""Whose landmarks training aims at, see ``landmarks_from``."""

GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
CENTRE_RADIUS = 0.3
"""Radius of the disc of ``centre``, as a fraction of the image side: it covers about as much of the image as a face's features."""


def take_share(faces: Faces, share: float, seed: int) -> Faces:
    """A stratified part of some faces, 1 for all of them, the same for the same seed; see ``stratified_split`` for its errors."""
    return faces if share == 1 else faces.subset(stratified_split(faces.labels, share, seed)[1])


def noisy_labels(faces: Faces, rate: float, seed: int) -> Faces:
    """Faces of which exactly the share ``rate`` (rounded) carries another class's label, each other class equally likely."""
    rng = np.random.default_rng(seed)
    labels = np.array(faces.labels)
    rows = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, len(EMOTIONS), len(rows))) % len(EMOTIONS)
    return replace(faces, labels=labels)


def shuffled_landmarks(faces: Faces, seed: int) -> Faces:
    """Faces each of which has the landmarks of another face of the same split: of a face, but not of this one.

    :raises ValueError: for a single face.
    """
    count = len(faces)
    if count < 2:
        raise ValueError(f"{faces.name} {faces.split}: landmarks of another face for {count} face: there must be two at least")
    circle = np.random.default_rng([seed, 2]).permutation(count)
    other = np.empty(count, int)
    other[circle] = np.roll(circle, 1)  # one circle through all faces: none keeps its own
    return replace(faces, landmarks=faces.landmarks[other])


def jittered_landmarks(faces: Faces, deviation: float, seed: int) -> Faces:
    """Faces whose landmarks are moved at random, each by itself; the standard ``deviation`` is in fractions of the image side."""
    noise = np.random.default_rng([seed, 3]).normal(0, deviation, faces.landmarks.shape)
    return replace(faces, landmarks=(faces.landmarks + noise).astype(np.float32))


def _boxed_template(landmarks: np.ndarray) -> np.ndarray:
    """One shape for all faces, the mean of their landmarks within their own boxes, moved and scaled to each face's own box."""
    low, high = (edge[:, None] for edge in landmark_extents(landmarks))
    sides = np.where(np.all(high > low, axis=-1, keepdims=True), high - low, np.nan)
    return low + np.nanmean((landmarks - low) / sides, axis=0) * sides


def _centre() -> np.ndarray:
    index = np.arange(68) + 0.5  # Vogel's sunflower: evenly over a disc, nothing random
    radius, angle = CENTRE_RADIUS * np.sqrt(index / 68), GOLDEN_ANGLE * index
    return 0.5 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def landmarks_from(faces: Faces, source: str, seed: int = 0) -> Faces:
    """Faces with the landmarks of ``source`` in place of their own; augmentation moves them along with the image as ever.

    - ``own``: unchanged.
    - ``shuffled``: another face's, see ``shuffled_landmarks``.
    - ``template``: the mean of all the faces' landmarks, one map for all: where faces are, if they are cut out alike.
    - ``box``: that mean moved to each face's own box: where this face is and how large, and nothing else of it.
    - ``upside_down``: this face's own, mirrored at the image's middle line: the same shape in the wrong place.
    - ``centre``: 68 points spread evenly over a disc at the middle of the image: no shape of a face at all.

    A face without landmarks (NaN) stays without under ``upside_down`` and ``box``; under ``template`` and ``centre`` it gets them.

    :param seed: of ``shuffled``.
    :raises ValueError: for an unknown source.
    """
    if source == "own":
        return faces
    if source == "shuffled":
        return shuffled_landmarks(faces, seed)
    makers = {
        "template": lambda own: np.nanmean(own, axis=0),
        "box": _boxed_template,
        "upside_down": lambda own: own * [1, -1] + [0, 1],
        "centre": lambda own: _centre(),
    }
    if source not in makers:
        raise ValueError(f"unknown source {source!r} of landmarks: choose from {', '.join(SOURCES)}")
    landmarks = np.broadcast_to(makers[source](faces.landmarks), faces.landmarks.shape)
    return replace(faces, landmarks=np.array(landmarks, np.float32))
