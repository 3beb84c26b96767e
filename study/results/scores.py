"""Which labels a network is scored by, and each test face's score, from the predictions that were kept.

FER2013's faces have two kinds of labels, and a network learns the shares of the kind that it is trained on: FER+'s majority calls
34 % of its test faces neutral, FER2013 19 % of the same faces. By the other kind it is scored after its probabilities were
multiplied, class by class, by the ratio of the two kinds' shares among the training faces (Saerens, Latinne and Decaestecker,
Neural Computation, 2002). Nothing of the test faces is used for that. Without it, such a score counts how often a network
answers "neutral".
"""

import json
from pathlib import Path

import numpy as np

from palcore import EMOTIONS
from palcore.runs.records import predictions_of

LABELS = {"test": "own", "uncopied": "own", "detected": "own", "guessed": "own", "ferplus": "ferplus"}
"""The kind of labels that each test condition of FER2013 has, those of ``SUBSETS`` included."""

SUBSETS = {"uncopied": ("copies", False), "detected": ("guessed", False), "guessed": ("guessed", True)}
"""Test faces of FER2013 by a list of ``check/fer2013_faces.json``: its name, and whether they are those in it or the others."""


def read_facts(results):
    """``results/check/fer2013_faces.json``: lists of test faces and both kinds' counts among the training faces; {} without it."""
    path = Path(results) / "check" / "fer2013_faces.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def shares_ratio(training, trained_on, scored_by):
    """``(7,)``: by how much the probabilities of a network are multiplied before it is scored by another kind of labels.

    :param training: ``{kind: {expression: count among the training faces}}``.
    """
    counts = np.array([[training[kind][name] for name in EMOTIONS] for kind in (scored_by, trained_on)], float)
    wanted, learnt = counts / counts.sum(axis=1, keepdims=True)
    return wanted / learnt


def read_predictions(folder, name, condition):
    """``(labels (faces,), probabilities (faces, 7))`` of a published run; None where they were not kept."""
    path = Path(folder) / f"{name}.npz"
    arrays = predictions_of(path) if path.is_file() else {}
    if f"{condition}_probabilities" not in arrays:
        return None
    return arrays[f"{condition}_labels"], arrays[f"{condition}_probabilities"].astype(np.float64)


def right_faces(folder, name, config, condition, facts):
    """Which test faces a network names as their labels do, ``(faces,)`` bool, and those labels.

    :param folder: that holds ``NAME.npz``.
    :param config: options of the run.
    :param condition: of the predictions, or one of ``SUBSETS``.
    :param facts: from ``read_facts``.
    :return: None where it can't be said: no predictions, or no shares to put in.
    :raises ValueError: where the lists are of other faces.
    """
    if (kept := read_predictions(folder, name, "test" if condition in SUBSETS else condition)) is None:
        return None
    labels, probabilities = kept
    trained_on, scored_by = config.get("labels", "own"), LABELS.get(condition)
    if config["dataset"] == "fer2013" and scored_by and trained_on != scored_by:
        if "training" not in facts:
            return None
        probabilities = probabilities * shares_ratio(facts["training"], trained_on, scored_by)
    right = probabilities.argmax(axis=-1) == labels
    if condition in SUBSETS:
        listed, inside = SUBSETS[condition]
        if listed not in facts:
            return None
        if len(right) != facts["faces"]:
            raise ValueError(f"run {name} was tested on {len(right)} faces, and fer2013_faces.json lists those of {facts['faces']}")
        chosen = np.isin(np.arange(len(right)), facts[listed]) == inside
        right, labels = right[chosen], labels[chosen]
    return right, labels


def fair_scores(folder, name, config, facts):
    """``{column: value}`` of a run on FER2013: accuracies and means over classes that its record does not have as they are.

    On ``SUBSETS``, by FER+'s labels, and by FER2013's for a network trained on the former; NaN where they can't be had. FER+'s come
    from the predictions for either kind of network, so that both are rounded alike where 16 bits were kept.
    """
    scores = {}
    for condition in (*SUBSETS, "ferplus", *(["test"] if config.get("labels", "own") == "ferplus" else [])):
        pair = right_faces(folder, name, config, condition, facts)
        values = (np.nan, np.nan)
        if pair is not None and len(pair[0]):
            right, labels = pair
            values = right.mean(), np.mean([right[labels == label].mean() for label in np.unique(labels)])
        scores |= {f"{condition}_accuracy": values[0], f"{condition}_mean_class_accuracy": values[1]}
    return scores
