"""Figures that the notebooks share: colours that a colour-blind reader can tell apart, legible at half size."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Ellipse, Rectangle

from palcore import EMOTIONS
from palcore.landmarks import REGIONS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette."""

SETTINGS = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.grid": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 12,
    "figure.dpi": 110,
    "image.cmap": "cividis",
    "axes.prop_cycle": plt.cycler(color=COLOURS),
}


def use_style():
    """Set Matplotlib's defaults to ``SETTINGS``; figures keep a white ground, so that they read in the book's dark theme."""
    plt.rcParams.update(SETTINGS)


def show_map(axes, values, image=None, **options):
    """Draw a map over the unit square, dimly over its image where one is given.

    :param values: ``(h, w)``; stretched from its least to its greatest value.
    :param image: ``(H, W, 3)`` uint8.
    """
    square = (0, 1, 1, 0)
    if image is not None:
        axes.imshow(np.asarray(image).mean(axis=-1), extent=square, cmap="gray")
    axes.imshow(values, extent=square, alpha=None if image is None else 0.6, interpolation="nearest", **options)
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)
    axes.axis("off")


def draw_faces(images, landmarks, heatmaps, labels):
    """Faces with their landmarks above, their heatmaps below. Returns the figure."""
    count = len(images)
    figure, axes = plt.subplots(2, count, figsize=(1.7 * count, 3.9), squeeze=False, layout="constrained")
    for column in range(count):
        axes[0, column].imshow(images[column], extent=(0, 1, 1, 0))
        axes[0, column].scatter(*landmarks[column].T, s=5, color="white", edgecolor="black", linewidth=0.3)
        axes[0, column].set(xlim=(0, 1), ylim=(1, 0), title=EMOTIONS[labels[column]])
        axes[0, column].axis("off")
        show_map(axes[1, column], heatmaps[column])
    return figure


def draw_history(history, attribution_loss="PAL (minus correlation)"):
    """Both terms of a record's ``history`` and the accuracy against the epoch, training and validation. Returns the figure."""
    panels = [
        ("expression_loss", "cross-entropy (nats)"),
        ("attribution_loss", attribution_loss),
        ("expression_accuracy", "accuracy"),
    ]
    panels = [panel for panel in panels if panel[0] in history]
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.4), squeeze=False, layout="constrained")
    for axis, (name, label) in zip(axes[0], panels, strict=True):
        epochs = np.arange(1, len(history[name]) + 1)
        axis.plot(epochs, history[name], marker="o", markersize=4, label="training")
        axis.plot(epochs, history[f"val_{name}"], marker="s", markersize=4, linestyle="--", label="validation")
        axis.set(xlabel="epoch", ylabel=label)
    axes[0, 0].legend(frameon=False)
    return figure


def draw_confusion(confusion):
    """Share of each true class (row) given each name (column), in per cent. Returns the figure."""
    confusion = np.asarray(confusion, float)
    shares = 100 * confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(6.2, 5.2), layout="constrained")
    bar = {"label": "share of the true class (%)"}
    seaborn.heatmap(shares, vmin=0, vmax=100, cmap="cividis", annot=True, fmt=".0f", cbar_kws=bar, ax=axes)
    axes.set_xticks(axes.get_xticks(), EMOTIONS, rotation=40, ha="right")
    axes.set_yticks(axes.get_yticks(), EMOTIONS, rotation=0)
    axes.set(xlabel="predicted expression", ylabel="true expression")
    return figure


def draw_attributions(images, rows):
    """Faces above, and below them one row of maps for each entry of ``{name: maps (N, h, w)}``. Returns the figure."""
    faces = dict(enumerate(images))
    return draw_grid({"face": faces, **{name: dict(enumerate(maps)) for name, maps in rows.items()}}, faces)


def draw_predictions(faces, seen):
    """Faces, where each network looks on them, and what each says of them. Returns the figure.

    :param faces: ``(H, W, 3)`` uint8 each.
    :param seen: for each face ``{network: ({expression: probability}, picture (H, W, 3) uint8)}``, the same networks for all.
    """
    names = list(seen[0])
    ratios = [1] * (1 + len(names)) + [1.4]
    size = (2.1 * sum(ratios), 2.3 * len(faces) + 0.4)
    figure, axes = plt.subplots(
        len(faces), len(ratios), figsize=size, squeeze=False, layout="constrained", gridspec_kw={"width_ratios": ratios}
    )
    places, height = np.arange(len(EMOTIONS)), 0.8 / len(names)
    for row, (face, found) in enumerate(zip(faces, seen, strict=True)):
        for axis, title, picture in zip(axes[row], ["face", *names], [face, *(drawn for _, drawn in found.values())], strict=False):
            axis.imshow(picture, extent=(0, 1, 1, 0))
            axis.axis("off")
            axis.set_title(title if row == 0 else "", fontsize=plt.rcParams["font.size"])
        for number, (probabilities, _) in enumerate(found.values()):
            values = [100 * probabilities[emotion] for emotion in EMOTIONS]
            axes[row, -1].barh(places + number * height, values, height, color=COLOURS[number], hatch=("", "//")[number % 2])
        axes[row, -1].set_yticks(places + height * (len(names) - 1) / 2, EMOTIONS)
        axes[row, -1].invert_yaxis()
        axes[row, -1].set(xlim=(0, 100), xlabel="probability (%)" if row == len(faces) - 1 else "")
    figure.legend(axes[0, -1].containers, names, loc="outside lower right", ncols=len(names), frameon=False)
    return figure


def draw_gradient_sizes(sizes):
    """The size of each layer's gradient as bars on a logarithmic scale, a colour for each entry. Returns the figure.

    :param sizes: ``{name: {layer: size}}`` with the same layers for every name (``study.book.derivatives.size_by_layer``). A size
        of 0 has no place on the scale: it is written as 0 in its bar's place.
    """
    table = pd.DataFrame(sizes)
    floor = 10.0 ** (np.floor(np.log10(table[table > 0].min(axis=None))) - 1) if (table > 0).any(axis=None) else 0.1
    figure, axes = plt.subplots(figsize=(1.5 + 0.68 * len(table), 4.2), layout="constrained")
    table[table > 0].plot.bar(ax=axes, logy=True, width=0.8, rot=40, legend=False)
    for container, name, hatch, colour in zip(axes.containers, table, ("", "//", ".."), COLOURS, strict=False):
        for bar, size in zip(container, table[name], strict=True):
            bar.set_hatch(hatch)
            if size == 0:
                axes.text(bar.get_x() + bar.get_width() / 2, floor * 1.2, "0", ha="center", color=colour, fontweight="bold")
    axes.set_ylim(bottom=floor)
    axes.set_xticks(axes.get_xticks(), table.index, ha="right")
    axes.set_ylabel("size of PAL's gradient\n(root mean square)")
    figure.legend(loc="outside upper center", ncols=len(sizes), frameon=False)
    return figure


MARKERS = {"jaw": "o", "brows": "^", "nose": "s", "eyes": "D", "mouth": "v"}
"""Shape of each region's landmarks: with its colour, so that neither has to be told apart alone."""


def draw_landmarks(axes, landmarks):
    """Draw landmarks ``(68, 2)`` over the unit square, each region of ``palcore.landmarks.REGIONS`` in its colour and shape."""
    for colour, (region, indices) in zip(COLOURS, REGIONS.items(), strict=False):
        points = landmarks[list(indices)]
        axes.scatter(*points.T, s=14, color=colour, marker=MARKERS[region], edgecolor="white", linewidth=0.4, label=region)
    axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")
    axes.axis("off")


def draw_grid(rows, images=None, limits=None, unit=None, side=1.75):
    """A grid of maps, rows and columns named. Returns the figure.

    :param rows: ``{row name: {column name: map (h, w) or image (H, W, 3)}}``. An image in colour is shown as it is. The first
        row names the columns; an empty name, or a number, writes nothing.
    :param images: ``{row name or column name: image (H, W, 3)}`` to lay under the maps of a row or a column, or None.
    :param limits: ``(least, greatest)`` value of one scale for all maps, drawn as a colour bar; None stretches each map.
    :param unit: what the colour bar shows.
    :param side: of each map, in inches.
    """
    images = images or {}
    columns = list(next(iter(rows.values())))
    width = side * len(columns) + 0.35 + (0.9 if limits else 0)
    size = (width, side * len(rows) + 0.4)
    figure, axes = plt.subplots(len(rows), len(columns), figsize=size, squeeze=False, layout="constrained")
    scale = {} if limits is None else {"vmin": limits[0], "vmax": limits[1]}
    for cells, (row, maps) in zip(axes, rows.items(), strict=True):
        for axis, (column, values) in zip(cells, maps.items(), strict=True):
            values = np.asarray(values)
            if values.ndim == 3:
                axis.imshow(values, extent=(0, 1, 1, 0))
                axis.axis("off")
            else:
                show_map(axis, values, images.get(row, images.get(column)), **scale)
        cells[0].text(-0.06, 0.5, row, rotation=90, ha="right", va="center", transform=cells[0].transAxes)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column if isinstance(column, str) else "", fontsize=plt.rcParams["font.size"])
    if limits is not None:
        figure.colorbar(ScalarMappable(Normalize(*limits)), ax=axes, label=unit, shrink=0.9, aspect=30)
    return figure


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
        axis.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor="0.5", linewidth=1))
        axis.set(xlim=(-0.15, 1.15), ylim=(1.15, -0.15), aspect="equal", title=title)
        axis.set(xlabel="x (image widths)", ylabel="y (image heights)")
    figure.legend(frameon=False, loc="outside right center", markerscale=1.6)
    return figure
