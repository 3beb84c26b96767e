"""Draw the first picture of book and README from results/maps: where networks look without PAL and with it, on average."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from palcore.data import load
from palcore.data.synthetic import PATCH_BOX
from study.book import figures as plots
from study.book.slider import to_png

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "book" / "figures" / "two_networks.png"
STRATEGIES = {"without PAL": "none", "with PAL": "mean"}


def mean_maps():
    """Means over all test faces, patch at random, and over the networks there are: ``{"without PAL": (h, w), ...}``."""
    maps = {}
    for words, strategy in STRATEGIES.items():
        paths = sorted((ROOT / "results" / "maps").glob(f"synthetic-compact-{strategy}-seed=*.npz"))
        maps[words] = np.mean([np.load(path)["mean"] for path in paths], axis=0, dtype=float)
    return maps


def draw(maps):
    """A face with its patch, and each map over the mean face, the patch's place outlined. Returns the figure."""
    plots.use_style()
    faces = load("synthetic", split="test", image_size=96, shortcut=0.0)
    left, top, right, bottom = PATCH_BOX
    with plt.rc_context({"font.size": 15}):
        figure, axes = plt.subplots(1, 3, figsize=(8, 2.75), layout="constrained")
        axes[0].imshow(faces.images[3], extent=(0, 1, 1, 0))
        axes[0].set_title("a drawn face")
        axes[0].axis("off")
        limits = {"vmin": 0, "vmax": max(values.max() for values in maps.values())}
        ground = faces.images[:140].mean(axis=0)
        for axis, (words, values) in zip(axes[1:], maps.items(), strict=True):
            plots.show_map(axis, values, ground, **limits)
            axis.set_title(words)
        for axis in axes:
            axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="white", linewidth=2.5))
        bar = figure.colorbar(plots.ScalarMappable(plots.Normalize(0, 1)), ax=axes, shrink=0.9, aspect=14)
        bar.set_ticks([0, 1], labels=["least", "most"])
    return figure


if __name__ == "__main__":
    PICTURE.write_bytes(to_png(draw(mean_maps()), dpi=100))
