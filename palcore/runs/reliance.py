"""What the answer depends on, beside where the attribution lies: asked by covering parts of the picture, and by an attribution that
was not trained on."""

import keras
import numpy as np
from scipy.special import softmax

from palcore.data.batches import FaceBatches
from palcore.data.changes import PLACES, boxes_of, covered
from palcore.data.synthetic import PATCH_BOX
from palcore.data.table import Faces
from palcore.evaluation import attribution_scores, outputs_of
from palcore.related_maps import integrated_gradients

SAMPLE, STEPS, TOGETHER = 140, 16, 35
"""Faces whose integrated gradients are taken, evenly over the split; points on the way; faces at a time."""


def probabilities_of(classifier: keras.Model, faces: Faces, batch_size: int = 64) -> np.ndarray:
    """The seven probabilities of each face, ``(N, 7)`` float64."""
    batches = FaceBatches(faces, batch_size)
    logits = [outputs_of(classifier, batches[index][0], batch_size) for index in range(len(batches))]
    return softmax(np.concatenate(logits).astype(np.float64), axis=-1)


def covering_costs(classifier: keras.Model, faces: Faces, boxes: dict, batch_size: int = 64) -> dict[str, dict]:
    """How much is lost when a place is covered in the image's mean colour.

    :param classifier: the plain classifier, ending in logits.
    :param boxes: ``{place: a box for each face}``, see ``palcore.data.changes.boxes_of``.
    :return: ``{place: {"probability": ..., "accuracy": ...}}``: the mean change of the true class's probability, and that of the
        accuracy; below 0 where the answer depends on the place.
    """

    def answers(faces):
        probabilities = probabilities_of(classifier, faces, batch_size)
        right = np.argmax(probabilities, axis=-1) == faces.labels
        return np.take_along_axis(probabilities, faces.labels[:, None].astype(int), axis=-1)[:, 0], right

    probability, right = answers(faces)
    costs = {}
    for place, there in boxes.items():
        less, still = answers(covered(faces, there))
        costs[place] = {"probability": float(np.mean(less - probability)), "accuracy": float(still.mean() - right.mean())}
    return costs


def share_in_boxes(maps: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Share of the positive part of each map that lies in its box, the map constant over each cell: ``(N,)``; 0 for a dead map.

    :param maps: ``(N, h, w)``.
    :param boxes: ``(N, 4)`` left, top, right and bottom, in fractions of the image's sides.
    """
    positive = np.maximum(np.asarray(maps, np.float64), 0)
    left, top, right, bottom = np.asarray(boxes, float).T[..., None]

    def overlap(cells, low, high):
        edges = np.arange(cells + 1) / cells
        return cells * np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)

    inside = np.einsum("nhw,nh,nw->n", positive, overlap(maps.shape[1], top, bottom), overlap(maps.shape[2], left, right))
    total = positive.sum(axis=(1, 2))
    return inside / np.where(total > 0, total, 1)


def attribution_maps(
    classifier: keras.Model, watched: keras.Model, faces: Faces, batch_size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """The trained attribution of some faces and their integrated gradients, ``(N, h, w)`` and ``(N, H, W)``.

    The latter are of the true class's logit, from the image's mean colour, absolute values summed over colours.
    """
    images = faces.images[:]
    colours = images.mean(axis=(1, 2), keepdims=True)
    integrated = np.abs(integrated_gradients(classifier, images, faces.labels, colours, STEPS, TOGETHER)).sum(axis=-1)
    starts = range(0, len(images), TOGETHER)
    trained = [outputs_of(watched, images[start : start + TOGETHER], batch_size)["attribution"] for start in starts]
    return np.concatenate(trained), integrated


def reliance(
    classifier: keras.Model, watched: keras.Model, faces: Faces, sigma: float, patch: bool = False, batch_size: int = 64
) -> dict:
    """What a classifier's answers on some faces depend on: eyes, mouth, a place off the face, and a shortcut's patch.

    :param classifier: ending in logits; ``watched`` is the same with its attribution, channels averaged.
    :param faces: with their true landmarks.
    :param patch: whether the drawn faces' patch is in the pictures.
    :return: ``{"reliance": {place: ...}, "integrated_gradients": their attribution_scores}``. For each place ``probability`` and
        ``accuracy`` (``covering_costs``, all faces); on ``SAMPLE`` faces, evenly over the split, the mean ``share`` of the positive
        attribution that lies there, that of integrated gradients, and the ``area``, the share of the picture.
    """
    avoid = np.array(PATCH_BOX) if patch else None
    boxes = {place: boxes_of(faces, place, avoid) for place in PLACES}
    boxes |= {"patch": boxes_of(faces, PATCH_BOX)} if patch else {}
    costs = covering_costs(classifier, faces, boxes, batch_size)
    marked = np.flatnonzero([box is not None for box in boxes[PLACES[0]]])
    if not len(marked):
        return {"reliance": costs}
    sample = marked[np.unique(np.linspace(0, len(marked) - 1, SAMPLE).astype(int))]
    some = faces.subset(sample)
    trained, integrated = attribution_maps(classifier, watched, some, batch_size)
    for place, there in boxes.items():
        there = np.clip([there[row] for row in sample], 0, 1)
        costs[place] |= {
            "share": float(share_in_boxes(trained, there).mean()),
            "share_integrated_gradients": float(share_in_boxes(integrated, there).mean()),
            "area": float(np.prod(there[:, 2:] - there[:, :2], axis=1).mean()),
        }
    scores = attribution_scores(integrated, some.landmarks, sigma)
    return {"reliance": costs, "integrated_gradients": {name: float(values.mean()) for name, values in scores.items()}}
