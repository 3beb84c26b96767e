"""The blur that the exact heatmap is compared with."""

import numpy as np
import pytest

from palcore.heatmaps import gaussian_heatmap
from study.book.blurred import blurred_heatmap


@pytest.mark.parametrize("size", [(100, 100), (60, 120)])
def test_blurred_heatmap_equals_the_exact_one_for_landmarks_at_pixel_centres(rng, size):
    height, width = size
    pixels = rng.choice(height * width, 68, replace=False)
    landmarks = (np.stack([pixels % width, pixels // width], axis=-1)[None] + 0.5) / (width, height)
    np.testing.assert_allclose(blurred_heatmap(landmarks, size, 0.03), gaussian_heatmap(landmarks, size, 0.03), atol=0.06)


def test_blurred_heatmap_merges_landmarks_and_wraps_on_request():
    twice = np.full((1, 2, 2), 0.505)
    np.testing.assert_array_equal(blurred_heatmap(twice, 100), blurred_heatmap(twice[:, :1], 100))
    left = np.array([[[-0.095, 0.505]]])
    assert blurred_heatmap(left, 100).max() == 0
    assert blurred_heatmap(np.array([[[-0.005, 0.505]]]), 100).max() == 0
    wrapped = blurred_heatmap(left, 100, outside="wrap")[0]
    assert np.unravel_index(wrapped.argmax(), wrapped.shape) == (50, 90)
    assert blurred_heatmap(np.array([[[1.5, 0.5]]]), 100, outside="wrap").max() == 0
