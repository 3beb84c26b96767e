import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Ellipse

from palcore import EMOTIONS
from palcore.book.figures import draw_class_shares, draw_landmark_clouds


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("sets", [1, 3])
def test_bars_are_shares_in_per_cent_from_top_to_bottom(sets):
    train, test = dict.fromkeys(EMOTIONS, 10) | {"fear": 40}, dict.fromkeys(EMOTIONS, 5)
    figure = draw_class_shares({f"set {number}": {"train": train, "test": test} for number in range(sets)})
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
    figure = draw_landmark_clouds(np.full((5, 68, 2), 0.5), np.full((68, 2), 0.4), covariance, ("left", "right"))
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("left", "right")
    assert sum(len(points.get_offsets()) for points in left.collections) == 5 * 68
    ellipses = [patch for patch in right.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 68
    assert (ellipses[0].width, ellipses[0].height) == pytest.approx((0.12, 0.04))
    assert ellipses[0].angle % 180 == pytest.approx(30)
