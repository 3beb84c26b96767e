"""The chapters' figures show what they are given; a slider holds all it needs, and its handler shows the frame of its value."""

import html
import re
from base64 import b64decode

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Ellipse

from palcore import EMOTIONS
from palcore.landmarks import REGIONS
from study.book import figures
from study.book.slider import frame_slider, to_png


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("sets", [1, 3])
def test_bars_are_shares_in_per_cent_from_top_to_bottom(sets):
    train, test = dict.fromkeys(EMOTIONS, 10) | {"fear": 40}, dict.fromkeys(EMOTIONS, 5)
    figure = figures.draw_class_shares({f"set {number}": {"train": train, "test": test} for number in range(sets)})
    assert len(figure.axes) == sets
    for axis in figure.axes:
        assert [bar.get_width() for bar in axis.patches] == pytest.approx([10, 40, 10, 10, 10, 10, 10])
        np.testing.assert_allclose(axis.lines[0].get_xdata(), 100 / 7)
        low, high = axis.get_ylim()
        assert low > high
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(EMOTIONS)


def test_an_ellipse_has_the_landmark_s_standard_deviations():
    angle, deviations = np.radians(30), np.array([0.06, 0.02])
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = axes @ np.diag(deviations**2) @ axes.T
    covariance = np.tile([matrix[0, 0], matrix[0, 1], matrix[1, 1]], (68, 1))
    figure = figures.draw_landmark_clouds(np.full((5, 68, 2), 0.5), np.full((68, 2), 0.4), covariance, ("left", "right"))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("left", "right")
    assert sum(len(points.get_offsets()) for points in left.collections) == 5 * 68
    ellipses = [patch for patch in right.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 68
    assert (ellipses[0].width, ellipses[0].height) == pytest.approx((0.12, 0.04))
    assert ellipses[0].angle % 180 == pytest.approx(30)


def test_a_confusion_is_in_per_cent_of_the_true_class():
    axis = figures.draw_confusion(np.eye(7, dtype=int) * 3 + np.eye(7, k=1, dtype=int)).axes[0]
    assert [text.get_text() for text in axis.texts[:3]] == ["75", "25", "0"]


def test_a_gradient_of_zero_is_drawn_as_such():
    figure = figures.draw_gradient_sizes({"grad": {"conv": 0.0, "dense": 1e-3}, "grad_input": {"conv": 1e-2, "dense": 1e-4}})
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0"]
    assert np.nansum([bar.get_height() for bar in axes.patches]) == pytest.approx(1e-3 + 1e-2 + 1e-4)
    assert axes.get_yscale() == "log" and axes.get_ylim()[0] < 1e-4


def test_a_grid_shows_each_map_on_one_scale_or_its_own(rng):
    rows = {"sum": {"map": rng.random((7, 7)), "face": np.zeros((9, 9, 3), np.uint8)}, "blur": {"a": 9 * np.eye(3), "b": np.eye(2)}}
    axes = figures.draw_grid(rows).axes
    assert [axis.get_title() for axis in axes] == ["map", "face", "", ""]
    assert [text.get_text() for axis in axes for text in axis.texts] == ["sum", "blur"]
    for axis, shown in zip(axes, [*rows["sum"].values(), *rows["blur"].values()], strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), shown)
    assert [axis.images[0].get_clim() for axis in axes[2:]] == [(0, 9), (0, 1)]
    shared = figures.draw_grid({"": rows["blur"]}, limits=(0, 9), unit="heatmap").axes
    assert [axis.images[0].get_clim() for axis in shared[:2]] == [(0, 9), (0, 9)] and shared[2].get_ylabel() == "heatmap"


def test_landmarks_are_drawn_by_region_in_colours_and_shapes_of_their_own(rng):
    assert figures.MARKERS.keys() == REGIONS.keys() and len(set(figures.MARKERS.values())) == len(REGIONS)
    landmarks = rng.random((68, 2))
    _, axes = plt.subplots()
    figures.draw_landmarks(axes, landmarks)
    drawn = {collection.get_label(): np.asarray(collection.get_offsets()) for collection in axes.collections}
    for region, indices in REGIONS.items():
        np.testing.assert_allclose(drawn[region], landmarks[list(indices)])
    assert len({tuple(collection.get_facecolor()[0]) for collection in axes.collections}) == len(REGIONS)


def frame(level):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.imshow([[0, level]])
    return to_png(figure, dpi=50)


def attributes(text, tag):
    """The attributes of each element of a kind, as text."""
    elements = [re.findall(r'([\w-]+)="([^"]*)"', element) for element in re.findall(f"<{tag} [^>]*>", text)]
    return [{name: html.unescape(value) for name, value in element} for element in elements]


def test_html_has_every_frame_shows_the_first_and_loads_nothing():
    frames = {"1/112": frame(1), "<3>": frame(2), "last": frame(3)}
    shown = frame_slider(frames, "sigma & width", 'A "map".', start="<3>").data
    images, [control] = (attributes(shown, tag) for tag in ("img", "input"))
    assert [image["data-value"] for image in images] == ["1/112", "<3>", "last"]
    assert [image["style"].split(";")[0] for image in images] == ["display: none", "display: block", "display: none"]
    assert images[1]["alt"] == 'A "map". sigma & width: <3>.'
    assert (control["min"], control["max"], control["value"]) == ("0", "2", "1")
    assert control["aria-label"] == "sigma & width"
    for image, png in zip(images, frames.values(), strict=True):
        assert b64decode(image["src"].removeprefix("data:image/png;base64,")) == png
    assert not re.search(r"https?:|<script|<link|require\(", shown)
    assert not plt.get_fignums(), "a figure that became a frame is closed"
    assert "<output>a</output>" in frame_slider({"a": b"1", "b": b"2"}, "value", "Alt.").data
