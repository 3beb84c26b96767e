import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from palcore.heatmaps import REGIONS, gaussian_heatmap, region_weights
from tests.conftest import refusals


def draw(landmarks, *arguments, **options):
    return keras.ops.convert_to_numpy(gaussian_heatmap(landmarks, *arguments, **options))


def brute_force(landmarks, height, width, sigma, fine=64):
    """Each Gaussian sampled on a grid ``fine`` times finer, then averaged over each cell."""
    x = (np.arange(width * fine) + 0.5) / (width * fine)
    y = (np.arange(height * fine) + 0.5) / (height * fine)
    picture = np.zeros((height * fine, width * fine))
    for a, b in landmarks:
        picture += np.exp(-((x[None, :] - a) ** 2 + (y[:, None] - b) ** 2) / (2 * sigma**2))
    return picture.reshape(height, fine, width, fine).mean(axis=(1, 3))


def test_one_landmark_in_one_cell_by_hand():
    # The integral over the unit square of a Gaussian at its centre: (sigma sqrt(2 pi) (2 Phi(1 / (2 sigma)) - 1))^2.
    sigma = 0.3
    expected = (sigma * math.sqrt(2 * math.pi) * (2 * norm.cdf(0.5 / sigma) - 1)) ** 2
    assert draw(np.full((1, 1, 2), 0.5), 1, sigma)[0, 0, 0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [(7, 7), (14, 14), (5, 9)])
@pytest.mark.parametrize("sigma", [3 / 112, 0.1])
def test_equals_brute_force_fine_rendering(rng, size, sigma):
    landmarks = rng.uniform(-0.1, 1.1, (2, 68, 2))
    expected = np.stack([brute_force(points, *size, sigma) for points in landmarks])
    np.testing.assert_allclose(draw(landmarks, size, sigma), expected, rtol=2e-3, atol=2e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20), st.floats(0.01, 0.3))
def test_drawing_twice_as_fine_and_averaging_changes_nothing(seed, size, sigma):
    landmarks = np.random.default_rng(seed).uniform(-0.2, 1.2, (1, 68, 2))
    fine = draw(landmarks, 2 * size, sigma).reshape(1, size, 2, size, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(draw(landmarks, size, sigma), fine, rtol=1e-3, atol=1e-4)


def test_mass_outside_the_image_drops_out_and_coincident_landmarks_add_up():
    inside, outside, edge = np.full((1, 1, 2), 0.5), np.full((1, 1, 2), -2.0), np.array([[[0.0, 0.5]]])
    assert draw(outside, 8).max() == 0
    assert draw(edge, 8, 0.03).sum() == pytest.approx(draw(inside, 8, 0.03).sum() / 2, rel=1e-4)
    np.testing.assert_allclose(draw(np.repeat(inside, 68, axis=1), 8), 68 * draw(inside, 8), rtol=1e-5)


def test_landmarks_that_are_not_finite_are_left_out(rng):
    landmarks = rng.uniform(0, 1, (2, 68, 2))
    broken = landmarks.copy()
    broken[0, 3], broken[1] = np.nan, np.inf
    maps = draw(broken, 9)
    np.testing.assert_allclose(maps[0], draw(np.delete(landmarks[:1], 3, axis=1), 9)[0], rtol=1e-5, atol=1e-6)
    assert np.all(maps[1] == 0)


def test_regions_cover_each_landmark_once_and_weights_follow_them(rng):
    assert sorted(index for region in REGIONS.values() for index in region) == list(range(68))
    landmarks = rng.uniform(0, 1, (1, 68, 2))
    without_jaw = draw(landmarks, 9, weights=region_weights(jaw=0))
    np.testing.assert_allclose(without_jaw, draw(landmarks[:, 17:], 9), rtol=1e-5, atol=1e-6)


test_nonsense_is_refused_with_a_sentence = refusals(
    (lambda: gaussian_heatmap(np.zeros((1, 68, 2)), 7, 0), "sigma 0 of a heatmap"),
    (lambda: gaussian_heatmap(np.zeros((1, 68, 2)), 7, float("nan")), "sigma nan of a heatmap"),
    (lambda: gaussian_heatmap(np.zeros((1, 68, 2)), 7, 3), "sigma 3 of a heatmap: it must be a fraction"),
    (lambda: gaussian_heatmap(np.zeros((1, 68, 2)), 7, weights=np.ones(17)), "17 weights for 68 landmarks"),
    (lambda: gaussian_heatmap(np.zeros((1, 68, 2)), 0), "size 0 of a heatmap"),
    (lambda: gaussian_heatmap(np.zeros((1, 68, 2)), (7, 0)), r"size \(7, 0\) of a heatmap"),
    (lambda: gaussian_heatmap(np.zeros((68, 2)), 7), r"landmarks of shape \(68, 2\)"),
    (lambda: gaussian_heatmap(np.zeros((1, 1, 68, 2)), 7), r"landmarks of shape \(1, 1, 68, 2\)"),
    (lambda: region_weights(ears=1), "unknown region 'ears'"),
    (lambda: region_weights(jaw=-1), "weight -1 of region 'jaw'"),
)
