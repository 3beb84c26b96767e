"""A classifier on every test condition of its run, at the end of training or later."""

from pathlib import Path

import keras
import numpy as np

from palcore import EMOTIONS
from palcore.data.batches import FaceBatches
from palcore.data.changes import CONDITIONS
from palcore.evaluation import evaluate
from palcore.models import with_attribution
from palcore.runs.options import Options
from palcore.runs.reliance import reliance
from palcore.weights import read_model, weights_digest

KEPT_AS = {"labels": np.uint8, "called": np.uint8, "probabilities": np.float32, "correlation": np.float16}
"""The type of each array of ``predictions.npz``."""


def watched_model(options: Options, classifier: keras.Model) -> keras.Model:
    """The classifier with the attribution that is measured: that of the options, channels averaged whatever training does."""
    return with_attribution(classifier, options.layer, options.attribution, "mean", options.score)


def evaluate_conditions(options: Options, classifier: keras.Model, watched: keras.Model, tests: dict) -> tuple[dict, dict]:
    """A classifier on some test conditions.

    :param watched: its ``watched_model``.
    :param tests: ``{condition: faces}``, see ``palcore.runs.faces.tested_faces``; at the end of a run also ``validation``.
    :return: ``(metrics, predictions)``: metrics by condition, for ``test`` also what the answers rely on
        (``palcore.runs.reliance``); predictions by ``<condition>_<name>``, names and types as in ``KEPT_AS``. Of the conditions
        that ``robustness`` adds there is ``called`` in place of labels and probabilities.
    """
    metrics, predictions = {}, {}
    for condition, faces in tests.items():
        metrics[condition], arrays = evaluate(watched, FaceBatches(faces, options.batch_size), options.sigma)
        if condition == "test":
            patch = options.dataset == "synthetic" and options.shortcut is not None and not options.placed
            metrics[condition] |= reliance(classifier, watched, faces, options.sigma, patch, options.batch_size)
        if condition in CONDITIONS:
            arrays = {"called": np.argmax(arrays["probabilities"], axis=-1), "correlation": arrays["correlation"]}
        for name, array in arrays.items():
            predictions[f"{condition}_{name}"] = array.astype(KEPT_AS[name])
    return metrics, predictions


def read_classifier(run: str | Path, record: dict) -> keras.Model:
    """The classifier of a run; a ``FileNotFoundError`` where it is missing, a ``ValueError`` where it is damaged or another's."""
    path = Path(run) / "classifier.keras"
    if not path.is_file():
        raise FileNotFoundError(f"no classifier.keras in {run}: give the folder of a training run, with all its files")
    classifier = read_model(path)
    side = record["config"].get("image_size")
    if "weights" in record and weights_digest(classifier) != record["weights"]:
        raise ValueError(f"{path} has other weights than its record.json says: they are of two runs, take both from one")
    shapes, wanted = (classifier.input_shape, classifier.output_shape), ((None, side, side, 3), (None, len(EMOTIONS)))
    if shapes != wanted:
        raise ValueError(
            f"{path} goes from {shapes[0]} to {shapes[1]}, and record.json is of a classifier from {wanted[0]} to {wanted[1]}: "
            "they are of two runs, take both from one"
        )
    return classifier
