import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import Ellipse

from palcore import EMOTIONS
from study.book.figures import (
    draw_attributions,
    draw_class_shares,
    draw_confusion,
    draw_faces,
    draw_history,
    draw_landmark_clouds,
    draw_predictions,
)


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


def test_faces_stand_above_their_maps(rng):
    images, maps = rng.integers(0, 255, (2, 8, 8, 3), np.uint8), rng.uniform(0, 1, (2, 4, 4))
    figure = draw_faces(images, rng.uniform(0, 1, (2, 68, 2)), maps, [0, 3])
    assert [axis.get_title() for axis in figure.axes] == [EMOTIONS[0], EMOTIONS[3], "", ""]
    np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), maps[1])
    figure = draw_attributions(images, {"one": maps, "other": -maps})
    np.testing.assert_array_equal(figure.axes[4].images[-1].get_array(), -maps[0])
    assert [axis.texts[0].get_text() for axis in figure.axes[::2]] == ["face", "one", "other"]


def test_a_history_has_the_panels_that_the_run_has():
    history = {f"{part}{name}": [2.0, 1.0] for part in ("", "val_") for name in ("expression_loss", "expression_accuracy")}
    figure = draw_history(history)
    assert [axis.get_ylabel() for axis in figure.axes] == ["cross-entropy (nats)", "accuracy"]
    assert figure.axes[1].lines[1].get_xydata().tolist() == [[1, 2], [2, 1]]


def test_a_confusion_is_in_per_cent_of_the_true_class():
    axis = draw_confusion(np.eye(7, dtype=int) * 3 + np.eye(7, k=1, dtype=int)).axes[0]
    assert [text.get_text() for text in axis.texts[:3]] == ["75", "25", "0"]


def test_predictions_have_a_bar_for_each_network_and_expression(rng):
    face = rng.integers(0, 255, (8, 8, 3), np.uint8)
    said = {emotion: float(emotion == "fear") for emotion in EMOTIONS}
    figure = draw_predictions([face, face], [{"plain": (said, face), "PAL": (said, face)}] * 2)
    assert [axis.get_title() for axis in figure.axes[:4]] == ["face", "plain", "PAL", ""]
    assert [bar.get_width() for bar in figure.axes[7].patches] == [100 * said[emotion] for emotion in EMOTIONS] * 2
