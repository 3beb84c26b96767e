"""Many small maps side by side, in one scale or each in its own: the figures of the chapters that teach the method."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from palcore.heatmaps import REGIONS
from palcore.plots import COLOURS, show_map

MARKERS = {"jaw": "o", "brows": "^", "nose": "s", "eyes": "D", "mouth": "v"}
"""Shape of each region's landmarks: with its colour, so that neither has to be told apart alone."""


def draw_landmarks(axes, landmarks, size=14):
    """Draw landmarks ``(68, 2)`` over the unit square, each region of ``palcore.heatmaps.REGIONS`` in its colour and shape."""
    for colour, (region, indices) in zip(COLOURS, REGIONS.items(), strict=False):
        points = landmarks[list(indices)]
        axes.scatter(*points.T, s=size, color=colour, marker=MARKERS[region], edgecolor="white", linewidth=0.4, label=region)
    axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal")
    axes.axis("off")


def draw_grid(rows, images=None, points=None, limits=None, unit=None, side=1.75, cmap=None):
    """A grid of maps, rows and columns named. Returns the figure.

    :param rows: ``{row name: {column name: map (h, w) or image (H, W, 3)}}``. An image in colour is shown as it is. The first
        row names the columns; an empty name writes nothing.
    :param images: ``{row name or column name: image (H, W, 3)}`` to lay under the maps of a row or a column, or None.
    :param points: ``{(row name, column name): landmarks (L, 2)}`` to draw over single cells of the grid, or None.
    :param limits: ``(least, greatest)`` value of one scale for all maps, drawn as a colour bar; None stretches each map.
    :param unit: what the colour bar shows.
    :param side: of each map, in inches.
    :raises ValueError: for no rows.
    """
    if not rows:
        raise ValueError("no rows for a grid of maps: give at least one")
    images, points = images or {}, points or {}
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
                show_map(axis, values, images.get(row, images.get(column)), cmap=cmap, **scale)
            if (row, column) in points:
                axis.scatter(*points[row, column].T, s=6, color="white", edgecolor="black", linewidth=0.4)
                axis.set(xlim=(0, 1), ylim=(1, 0))
        cells[0].text(-0.06, 0.5, row, rotation=90, ha="right", va="center", transform=cells[0].transAxes)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column, fontsize=plt.rcParams["font.size"])
    if limits is not None:
        figure.colorbar(ScalarMappable(Normalize(*limits), cmap), ax=axes, label=unit, shrink=0.9, aspect=30)
    return figure
