"""Splits with the same mixture of classes, where the owner of a data set gives none."""

import numpy as np
from sklearn.model_selection import train_test_split

VALIDATION_SHARE = 0.1
"""Part of the training faces that becomes the validation split where the owner gives none."""


def stratified_split(labels, share, seed):
    """Rows of two parts of a data set with the same mixture of classes.

    :param labels: ``(N,)`` integers.
    :param share: share of the second part, in (0, 1).
    :param seed: the same seed gives the same parts.
    :return: ``(rows of the first part, rows of the second)``, each ascending.
    :raises ValueError: for a share outside (0, 1), a class with a single face, or a part too small for one face of each class.
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share!r} of a stratified split: it must lie between 0 and 1")
    classes, counts = np.unique(labels, return_counts=True)
    if counts.size and counts.min() < 2:
        raise ValueError(f"class {classes[counts.argmin()]} has a single face: a stratified split needs two of each class")
    smaller = min(share, 1 - share) * len(labels)
    if smaller < len(classes):
        raise ValueError(
            f"share {share!r} of {len(labels)} faces leaves {smaller:.3g} in a part: it must hold each of {len(classes)} classes"
        )
    first, second = train_test_split(np.arange(len(labels)), test_size=share, random_state=seed, stratify=labels)
    return np.sort(first), np.sort(second)


def in_split(files, labels, split, share, seed):
    """Rows of the owner's training faces that are ``train``, or those that are ``validation``.

    A function of names, labels and seed alone, whatever the order of the names. Small sets hold out more than ``share``, so
    that there is a face of each class.

    :param files: ``(N,)`` names.
    :param labels: ``(N,)``; negative ones are ``train``.
    :param split: ``train`` or ``validation``.
    :param share: see ``stratified_split``.
    :return: ``(rows, None)``; where no part of that size has each class, no rows for ``validation``, and the reason.
    """
    everything = np.arange(len(files))
    labelled = np.flatnonzero(np.asarray(labels) >= 0)
    if not labelled.size:
        return (everything if split == "train" else labelled), None
    labelled = labelled[np.argsort(np.asarray(files, str)[labelled], kind="stable")]
    classes = len(np.unique(labels[labelled]))
    try:
        _, held_out = stratified_split(labels[labelled], max(share, min(0.5, classes / len(labelled))), seed)
    except ValueError as problem:
        return (everything if split == "train" else labelled[:0]), str(problem)
    held_out = np.sort(labelled[held_out])
    return (held_out if split == "validation" else np.setdiff1d(everything, held_out)), None
