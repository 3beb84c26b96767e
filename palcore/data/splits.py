"""Splits with the same mixture of classes, where the owner of a data set gives none."""

import numpy as np
from sklearn.model_selection import train_test_split


def stratified_split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two parts of a data set with the same mixture of classes.

    :param share: of the second part, in (0, 1).
    :return: rows of the first part and of the second, each ascending, the same for the same seed.
    :raises ValueError: for a share outside (0, 1), a class with a single face, or a part too small for one face of each class.
    """
    if not 0 < share < 1:
        raise ValueError(f"share {share!r} of a stratified split: it must lie between 0 and 1")
    classes, counts = np.unique(labels, return_counts=True)
    if counts.size and counts.min() < 2:
        raise ValueError(f"class {classes[counts.argmin()]} has a single face: a stratified split needs two of each class")
    smaller = min(share, 1 - share) * len(labels)
    if smaller < len(classes):
        needs = f"it must hold each of {len(classes)} classes"
        raise ValueError(f"share {share!r} of {len(labels)} faces leaves {smaller:.3g} in a part: {needs}")
    first, second = train_test_split(np.arange(len(labels)), test_size=share, random_state=seed, stratify=labels)
    return np.sort(first), np.sort(second)


def with_validation(files: np.ndarray, parts: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """The split of each face: the owner's part, or where the owner has no validation split, a part of train.

    The validation faces are a function of names and labels alone, whatever the order of the names. Small sets hold out more than
    ``share``, so that there is a face of each class. A face whose label makes no sense is train.

    :param files: ``(N,)`` names; ``parts``: ``(N,)`` str; ``labels``: ``(N,)``, negative where they make no sense.
    :param share: of train that is held out; 0 where the owner has a validation split. Errors as those of ``stratified_split``.
    """
    splits, rows = parts.copy(), np.flatnonzero((parts == "train") & (labels >= 0))
    if share and rows.size:
        rows = rows[np.argsort(files[rows], kind="stable")]
        _, held_out = stratified_split(labels[rows], max(share, min(0.5, len(np.unique(labels[rows])) / len(rows))), 0)
        splits[rows[held_out]] = "validation"
    return splits
