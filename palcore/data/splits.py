"""Splits with the same mixture of classes, where the owner of a data set gives none."""

import numpy as np
from sklearn.model_selection import train_test_split

from palcore.data.listing import Problem

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


def split_rows(name, data_dir, files, labels, problems, split, share, seed):
    """The faces of one of the owner's parts that are in a split, and the problems that concern it.

    The validation faces are a function of names, labels and seed alone, whatever the order of the names. Small sets hold out more
    than ``share``, so that there is a face of each class. What concerns no single face is a problem of train.

    :param name: of the data set, for the sentence where no part of that size has each class: then all faces are train.
    :param files: ``(N,)`` names of all faces of the part.
    :param labels: ``(N,)``; negative ones are ``train``.
    :param split: ``train``, ``validation``, or ``test``, which is the whole part.
    :param share: see ``stratified_split``.
    :return: ``(rows, problems)``.
    """
    everything, labels = np.arange(len(files)), np.asarray(labels)
    known = np.flatnonzero(labels >= 0)
    if split == "test" or not known.size:
        return (everything if split != "validation" else known), problems
    known = known[np.argsort(np.asarray(files, str)[known], kind="stable")]
    classes = len(np.unique(labels[known]))
    try:
        _, held_out = stratified_split(labels[known], max(share, min(0.5, classes / len(known))), seed)
    except ValueError as problem:
        unsplit = Problem("label", str(data_dir), f"no validation split of {name}: {problem}")
        return (everything, [*problems, unsplit]) if split == "train" else (known[:0], [unsplit])
    held_out = np.sort(known[held_out])
    theirs = {str(files[row]) for row in held_out}
    if split == "validation":
        return held_out, [problem for problem in problems if problem.file in theirs]
    return np.setdiff1d(everything, held_out), [problem for problem in problems if problem.file not in theirs]
