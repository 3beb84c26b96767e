"""Which faces a run trains on, and under which labels."""

from dataclasses import replace

import numpy as np

from palcore import EMOTIONS
from palcore.data.splits import stratified_split


def take_share(faces, share, seed):
    """A stratified part of some faces.

    :param share: in (0, 1]; 1 for all of them.
    :param seed: the same seed takes the same faces.
    :raises ValueError: as for ``stratified_split``.
    """
    if share == 1:
        return faces
    return faces.subset(stratified_split(faces.labels, share, seed)[1])


def noisy_labels(faces, rate, seed):
    """Faces of which exactly the share ``rate`` (rounded) carries another class's label, each other class equally likely.

    :param rate: in [0, 1].
    :param seed: the same seed changes the same labels in the same way.
    :raises ValueError: for a rate outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate {rate!r} of label noise: it must be in [0, 1]")
    rng = np.random.default_rng(seed)
    labels = np.array(faces.labels)
    rows = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, len(EMOTIONS), len(rows))) % len(EMOTIONS)
    return replace(faces, labels=labels)
