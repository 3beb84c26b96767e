"""Figures of data sets: how many faces of each expression there are, and where landmarks lie."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse, Rectangle

from palcore import EMOTIONS
from palcore.heatmaps import REGIONS
from palcore.plots import COLOURS


def draw_class_shares(counts):
    """The share of each expression in the training and test faces of some data sets. Returns the figure.

    :param counts: ``{data set: {split: {expression: faces}}}``, each with the splits ``train`` and ``test``.
    """
    figure, axes = plt.subplots(1, len(counts), figsize=(2.6 * len(counts) + 1, 3.6), sharey=True, layout="constrained")
    places = np.arange(len(EMOTIONS))
    for axis, (name, splits) in zip(np.atleast_1d(axes), counts.items(), strict=True):
        train, test = (np.array([splits[split][emotion] for emotion in EMOTIONS], float) for split in ("train", "test"))
        axis.barh(places, 100 * train / train.sum(), color=COLOURS[0], height=0.7, label="train")
        axis.plot(100 * test / test.sum(), places, "D", color=COLOURS[1], markersize=7, markeredgecolor="white", label="test")
        axis.set(title=f"{name}\n{int(train.sum()):,} train", xlabel="share of faces (%)", xlim=(0, 50))
    first = np.atleast_1d(axes)[0]
    first.set_yticks(places, EMOTIONS)
    first.invert_yaxis()
    first.legend(frameon=False, loc="lower right")
    return figure


def _unit_square(axis, title):
    axis.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor="0.5", linewidth=1))
    axis.set(xlim=(-0.15, 1.15), ylim=(1.15, -0.15), aspect="equal", title=title)
    axis.set(xlabel="x (image widths)", ylabel="y (image heights)")


def draw_landmark_clouds(landmarks, mean, covariance, titles):
    """All landmarks of some faces, and beside them the mean and spread of others. Returns the figure.

    :param landmarks: ``(N, 68, 2)`` in fractions of the image's sides.
    :param mean: ``(68, 2)`` likewise.
    :param covariance: ``(68, 3)``: of x, of x with y, and of y. The ellipses hold 68 % of a normal distribution along each axis.
    :param titles: of the two panels.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.4, 4.7), layout="constrained")
    for (region, rows), colour in zip(REGIONS.items(), COLOURS, strict=False):
        rows = list(rows)
        axes[0].scatter(*landmarks[:, rows].reshape(-1, 2).T, s=2, color=colour, alpha=0.15, linewidth=0)
        for row in rows:
            xx, xy, yy = covariance[row]
            values, vectors = np.linalg.eigh([[xx, xy], [xy, yy]])
            angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
            size = 2 * np.sqrt(values)
            axes[1].add_patch(Ellipse(mean[row], size[1], size[0], angle=angle, color=colour, alpha=0.25, linewidth=0))
        axes[1].scatter(*np.asarray(mean)[rows].T, s=14, color=colour, label=region)
    for axis, title in zip(axes, titles, strict=True):
        _unit_square(axis, title)
    figure.legend(frameon=False, loc="outside right center", markerscale=1.6)
    return figure
