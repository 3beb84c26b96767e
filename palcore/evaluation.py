"""How well expressions are recognised, and where the network looks while it does so."""

from functools import cache

import cv2
import keras
import numpy as np
from scipy.special import softmax
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from palcore import EMOTIONS
from palcore.attribution import compiled
from palcore.heatmaps import SIGMA, gaussian_heatmap
from palcore.losses import attribution_correlation

FINE = 112  # pixels along the side of the picture on which "near a landmark" is drawn before it is averaged over cells


def classification_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Accuracy, mean-class accuracy, macro-F1, recall and F1 per class, and the confusion matrix (scikit-learn).

    :param labels: ``(N,)`` in 0..6.
    :param probabilities: ``(N, 7)``, or logits: only their order counts.
    :return: a dictionary of plain numbers. ``confusion[i][j]`` counts faces of class i that were called j. The mean-class
        accuracy is the mean recall over the classes that occur.
    :raises ValueError: where there is no face.
    """
    labels = np.asarray(labels)
    if not len(labels):
        raise ValueError("no faces to score: the split is empty")
    called = np.argmax(probabilities, axis=-1)
    classes = np.arange(len(EMOTIONS))
    _, recalls, f1_scores, _ = precision_recall_fscore_support(labels, called, labels=classes, zero_division=np.nan)
    return {
        "faces": len(labels),
        "accuracy": float(accuracy_score(labels, called)),
        "mean_class_accuracy": float(np.nanmean(recalls)),
        "macro_f1": float(np.nanmean(f1_scores[np.unique(labels)])),
        "recall": {name: None if np.isnan(value) else float(value) for name, value in zip(EMOTIONS, recalls, strict=True)},
        "f1": {name: None if np.isnan(value) else float(value) for name, value in zip(EMOTIONS, f1_scores, strict=True)},
        "confusion": confusion_matrix(labels, called, labels=classes).tolist(),
    }


def landmark_cells(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which of ``size`` ``(h, w)`` cells hold one of the landmarks ``(N, 68, 2)``, fractions of the sides: ``(N, h, w)`` bool."""
    height, width = size
    cells = np.zeros((len(landmarks), height, width), bool)
    places = np.floor(np.nan_to_num(landmarks, nan=-1.0) * [width, height]).astype(int)
    inside = np.all((places >= 0) & (places < [width, height]), axis=-1)
    face, landmark = np.nonzero(inside)
    cells[face, places[face, landmark, 1], places[face, landmark, 0]] = True
    return cells


def near_landmarks(landmarks: np.ndarray, size: tuple[int, int], radius: float = 2 * SIGMA) -> np.ndarray:
    """Share of each cell's area that lies within ``radius``, a fraction of the image side, of a landmark: ``(N, h, w)`` float32.

    :param landmarks: ``(N, 68, 2)`` as fractions of the image's sides; ``size``: ``(h, w)``.
    """
    shares = np.empty((len(landmarks), *size), np.float32)
    for face, points in enumerate(landmarks):
        picture = np.zeros((FINE, FINE), np.float32)
        for x, y in points[np.all(np.isfinite(points), axis=-1)]:
            centre = (round(float(x) * FINE - 0.5), round(float(y) * FINE - 0.5))
            cv2.circle(picture, centre, round(radius * FINE), 1.0, thickness=-1)
        shares[face] = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    return shares


@cache
def _heatmap_correlation(size, sigma):
    def correlation(attribution, landmarks):
        return attribution_correlation(attribution, gaussian_heatmap(landmarks, size, sigma))

    return compiled(correlation, backends=("jax",))


def attribution_scores(attribution: np.ndarray, landmarks: np.ndarray, sigma: float = SIGMA) -> dict[str, np.ndarray]:
    """Does the attribution lie on the landmarks? Three answers per face, each with what chance would give where that is not 0.

    - ``correlation`` with the heatmap, in [-1, 1]: minus PAL (:eq:`correlation`).
    - ``pointing``: 1 where the cell of the largest attribution holds a landmark, else 0; by chance ``pointing_chance``, the share
      of cells that hold one.
    - ``energy``: share of the positive attribution within two ``sigma`` of a landmark, 0 where nothing is positive; by chance
      ``energy_chance``, the share of the image's area.

    :param attribution: ``(N, h, w)``.
    :param landmarks: ``(N, 68, 2)`` as fractions of the image's sides.
    :return: a dictionary of ``(N,)`` float32 arrays.
    """
    attribution = np.asarray(attribution, np.float32)
    count, height, width = attribution.shape
    faces = np.arange(count)
    correlation = _heatmap_correlation((height, width), sigma)(attribution, np.asarray(landmarks, np.float32))
    held = landmark_cells(landmarks, (height, width)).reshape(count, -1)
    near = near_landmarks(landmarks, (height, width), 2 * sigma).reshape(count, -1)
    positive = np.maximum(attribution.reshape(count, -1), 0)
    total = positive.sum(axis=1)
    energy = (positive * near).sum(axis=1) / np.where(total > 0, total, 1)
    return {
        "correlation": keras.ops.convert_to_numpy(correlation),
        "pointing": held[faces, attribution.reshape(count, -1).argmax(axis=1)].astype(np.float32),
        "pointing_chance": held.mean(axis=1, dtype=np.float32),
        "energy": energy.astype(np.float32),
        "energy_chance": near.mean(axis=1),
    }


def outputs_of(model: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray | dict[str, np.ndarray]:
    """What ``model`` returns for a batch of images, in NumPy arrays.

    JAX compiles a model anew for each shape: there a last, smaller batch is filled up to ``batch_size``.
    """
    count = len(images)
    if keras.backend.backend() == "jax" and count < batch_size:
        images = images[np.arange(batch_size) % count]
    return keras.tree.map_structure(lambda output: output[:count], model.predict_on_batch(images))


def evaluate(model: keras.Model, batches: keras.utils.PyDataset, sigma: float = SIGMA) -> tuple[dict, dict]:
    """Run a training model over a split.

    :param model: from ``palcore.models.with_attribution`` whose attribution is ``(N, h, w)``.
    :param batches: ``palcore.data.batches.FaceBatches`` in order, not augmented.
    :return: ``(scores, predictions)``: the classification scores with the means of the attribution scores, over the faces that have
        landmarks, under ``"attribution"`` (None where none has), and arrays ``labels (N,)``, ``probabilities (N, 7)``,
        ``correlation (N,)``, the last 0 without landmarks.
    """
    labels, logits, pieces, marked = [], [], [], []
    for index in range(len(batches)):
        images, targets = batches[index][:2]
        outputs = outputs_of(model, images, batches.batch_size)
        labels.append(targets["expression"])
        marked.append(np.isfinite(targets["attribution"]).all(axis=-1).any(axis=-1))
        logits.append(outputs["expression"])
        pieces.append(attribution_scores(outputs["attribution"], targets["attribution"], sigma))
    labels = np.concatenate(labels)
    probabilities = softmax(np.concatenate(logits).astype(np.float64), axis=-1).astype(np.float32)
    attribution = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    scores = classification_scores(labels, probabilities)
    marked = np.concatenate(marked)
    scores["attribution"] = {name: float(values[marked].mean()) if marked.any() else None for name, values in attribution.items()}
    return scores, {"labels": labels, "probabilities": probabilities, "correlation": attribution["correlation"]}
