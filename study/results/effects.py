"""Figures of the result pages: effects beside the arms that they are of, training curves, and attributions from records."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke

from study.book.figures import COLOURS, show_map

BASELINE, GUIDED = {"color": COLOURS[0], "fmt": "o"}, {"color": COLOURS[1], "fmt": "D"}
"""How arms without and with a loss of the attribution are drawn: told apart by colour and by shape."""


def draw_differences(axes, rows, places, margin):
    """Differences as points with 95 % intervals, those of the single seeds as small dots, a line at zero.

    :param rows: ``{label: (difference, low, high, [difference of each seed])}`` in points, drawn at the heights ``places``.
    :param margin: in points: what counts as no difference is shaded; None shades nothing.
    """
    if margin is not None:
        axes.axvspan(-margin, margin, color="0.88", linewidth=0, zorder=0)
    axes.axvline(0, color="black", linewidth=1, zorder=1)
    for label, (mean, low, high, seeds) in rows.items():
        axes.plot(seeds, np.full(len(seeds), places[label] - 0.25), ".", color="0.45", markersize=4, zorder=2)
        spread = np.nan_to_num([[mean - low], [high - mean]])
        axes.errorbar([mean], [places[label]], xerr=spread, capsize=3, **GUIDED, zorder=3)
    axes.set(xlabel="difference (points)", ylim=(-0.7, len(places) - 0.3))


def draw_effects(groups, margin):
    """Effects one below the other, each group of rows on a scale of its own, see ``draw_differences``. Returns the figure."""
    counts = [max(len(rows), 1) for rows in groups]
    size = (4.8, 0.8 + 1.3 * sum(counts) + 0.5 * len(groups))  # labels above, not beside: a phone shows both
    figure, axes = plt.subplots(len(groups), 1, figsize=size, squeeze=False, height_ratios=counts, layout="constrained")
    for axis, rows in zip(axes[:, 0], groups, strict=True):
        places = dict(zip(rows, range(len(rows))[::-1], strict=True))
        draw_differences(axis, rows, places, margin)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        for label, place in places.items():
            text = axis.text(0, place + 0.15, label, va="bottom", transform=axis.get_yaxis_transform(), fontsize=11, zorder=4)
            text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    return figure


def draw_arms(numbers, heading, differences, baselines, margin):
    """A score of all arms, and beside it their differences. Returns the figure.

    :param numbers: from ``study.results.tables.summary``, shares, drawn in per cent; arms without a run are left out.
    :param heading: what it is.
    :param differences: see ``draw_differences``; empty for no such panel.
    :param baselines: labels of the arms without a loss of the attribution.
    """
    numbers = numbers[numbers["mean"].notna()]
    panels = 2 if differences else 1
    size = (5.5 + 2.7 * (panels - 1), 1.1 + 0.42 * max(len(numbers), 2))
    figure, axes = plt.subplots(1, panels, figsize=size, squeeze=False, sharey=True, layout="constrained")
    places = dict(zip(numbers.index, range(len(numbers))[::-1], strict=True))
    for label, place in places.items():
        mean, low, high = 100 * numbers.loc[label]
        spread = np.nan_to_num([[mean - max(low, 0)], [min(high, 100) - mean]])
        axes[0, 0].errorbar([mean], [place], xerr=spread, capsize=3, **(BASELINE if label in baselines else GUIDED))
    axes[0, 0].set_yticks(list(places.values()), [fill(label, 32) for label in places])  # the widest name takes the panels' room
    axes[0, 0].set(xlabel=fill(heading, 30), ylim=(-0.7, len(places) - 0.3))
    if differences:
        draw_differences(axes[0, 1], differences, places, margin)
        axes[0, 1].tick_params(left=False)
    return figure


def draw_curves(curves):
    """The validation accuracy after each epoch, mean over an arm's seeds, and a band from least to greatest. Returns the figure.

    :param curves: ``{arm: {seed: accuracies}}``, shares.
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    for number, (arm, found) in enumerate(curves.items()):
        length = min(map(len, found.values()))
        values = 100 * np.array([accuracies[:length] for accuracies in found.values()])
        epochs, colour = np.arange(1, length + 1), COLOURS[number % len(COLOURS)]
        axes.plot(epochs, values.mean(axis=0), "-o", markersize=3, color=colour, label=f"{arm} ({len(found)})")
        axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    axes.set(xlabel="epoch", ylabel="accuracy on validation faces (%)")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), title="arm (seeds)")
    return figure


def draw_pace(panels):
    """Validation accuracy against the epoch without PAL and with it, below it the lead, a column a panel. Returns the figure.

    :param panels: ``{title: [{seed: accuracy after each epoch} without PAL, the same with it]}``, shares. Lines are means over the
        seeds that both have, bands reach from the least to the greatest, and dots stand where a training ends.
    """
    shape = {"sharex": "col", "sharey": "row", "squeeze": False, "height_ratios": (3, 2), "layout": "constrained"}
    figure, axes = plt.subplots(2, len(panels), figsize=(1.2 + 3.3 * len(panels), 4.6), **shape)
    for (above, below), (title, arms) in zip(axes.T, panels.items(), strict=True):
        seeds = sorted(set(arms[0]) & set(arms[1]))
        without, guided = (100 * np.array([arm[seed] for seed in seeds]) for arm in arms)
        epochs = np.arange(1, without.shape[1] + 1)
        for axis, values, label, style in (
            (above, without, "without PAL", BASELINE | {"linestyle": "--"}),
            (above, guided, "with PAL", GUIDED),
            (below, guided - without, None, GUIDED),
        ):
            mean, look = values.mean(axis=0), {name: style[name] for name in ("color", "linestyle") if name in style}
            axis.plot(epochs, mean, label=label, **look)
            axis.plot(epochs[-1:], mean[-1:], style["fmt"], color=style["color"])
            axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.18, linewidth=0)
        below.axhline(0, color="black", linewidth=1)
        above.set_title(f"{title}\n({len(seeds)} seeds)", fontsize=11)
        below.set_xlabel("epoch")
        below.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].set_ylabel("accuracy on\nvalidation faces (%)")
    axes[1, 0].set_ylabel("PAL's lead\n(points)")
    axes[0, 0].legend(frameon=False, loc="lower right")
    return figure


def draw_recalls(recalls, names):
    """The recall of each expression as bars side by side, one colour and hatch an arm. Returns the figure.

    :param recalls: ``{arm: (expressions,)}`` as shares.
    """
    figure, axes = plt.subplots(figsize=(7.6, 3.8), layout="constrained")
    width = 0.8 / len(recalls)
    for number, (label, values) in enumerate(recalls.items()):
        places = np.arange(len(names)) + width * (number - (len(recalls) - 1) / 2)
        hatch = ("", "//", "..", "xx")[number % 4]
        axes.bar(places, 100 * np.asarray(values), 0.92 * width, color=COLOURS[number], hatch=hatch, label=label)
    axes.set_xticks(range(len(names)), names, rotation=25, ha="right")
    axes.set(ylabel="recall (%)", ylim=(0, 100))
    figure.legend(frameon=False, ncols=len(recalls), loc="outside upper center")
    return figure


def draw_maps(arms):
    """The attributions of some arms on the same faces, a row an arm, landmarks in white; last the mean over all test faces.

    :param arms: ``{label: arrays}`` of ``study/records/attribution_maps.py``: ``maps (N, h, w)``, ``landmarks (N, 68, 2)`` and
        ``mean (h, w)``.
    :return: the figure.
    """
    count = len(next(iter(arms.values()))["maps"])
    size = (1.2 * (count + 1) + 1.6, 1.25 * len(arms) + 0.3)
    figure, axes = plt.subplots(len(arms), count + 1, figsize=size, squeeze=False, layout="constrained")
    for row, (label, arrays) in zip(axes, arms.items(), strict=True):
        for axis, values, landmarks in zip(row, arrays["maps"], arrays["landmarks"], strict=False):
            show_map(axis, np.asarray(values, float))
            axis.scatter(*np.asarray(landmarks, float).T, s=2, color="white", linewidth=0)
        show_map(row[-1], np.asarray(arrays["mean"], float))
        row[0].text(-0.08, 0.5, label, ha="right", va="center", transform=row[0].transAxes)
    for column, axis in enumerate(axes[0]):
        axis.set_title(f"face {column + 1}" if column < count else "mean of all")
    return figure
