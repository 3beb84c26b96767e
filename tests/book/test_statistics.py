import numpy as np
import pytest

from palcore.book.statistics import detectable, holm, mean_interval, paired


def test_mean_interval_by_hand():
    # Three values 1, 2, 3: standard error 1 / sqrt(3), t of 2 degrees of freedom 4.303.
    mean, low, high = mean_interval([1, 2, 3])
    assert (mean, low, high) == pytest.approx((2, 2 - 4.3027 / np.sqrt(3), 2 + 4.3027 / np.sqrt(3)), rel=1e-4)
    assert mean_interval([5])[0] == 5
    assert np.isnan(mean_interval([5])[1])
    assert mean_interval([4, 4]) == (4, 4, 4)
    with pytest.raises(ValueError, match="no values to average"):
        mean_interval([])


def test_paired_differences_by_hand():
    found = paired([0.1, 0.2], margin=0.5)
    assert (found["seeds"], found["difference"]) == (2, pytest.approx(0.15))
    # Differences 0.1 and 0.2: t = 3 with one degree of freedom, p = 2 atan(1 / 3) / pi.
    assert found["p"] == pytest.approx(2 * np.arctan(1 / 3) / np.pi, rel=1e-6)
    assert found["effect"] == pytest.approx(0.15 / np.std([0.1, 0.2], ddof=1))
    # Against the nearer end of the margin, t = (0.5 - 0.15) / 0.05 = 7, one-sided.
    assert found["p_same"] == pytest.approx(np.arctan(1 / 7) / np.pi, rel=1e-6)
    assert np.isnan(paired([0.1, 0.2])["p_same"])
    one = paired([0.1], margin=0.5)
    assert (one["seeds"], one["difference"]) == (1, 0.1)
    assert all(np.isnan(one[name]) for name in ("low", "high", "spread", "effect", "detectable", "p", "p_same"))
    equal = paired([0.1, 0.1], margin=0.5)
    assert (equal["low"], equal["high"], equal["spread"]) == (0.1, 0.1, 0)
    assert np.isnan(equal["p"]) and np.isnan(equal["p_same"])


def test_a_detectable_difference_is_found_in_four_cases_of_five(rng):
    size = detectable(0.02, 5)
    assert size == pytest.approx(1.682 * 0.02, rel=1e-3)  # tables of the paired t test: d = 1.68 for 5 pairs, 80 %, 5 % two-sided
    found = [paired(rng.normal(size, 0.02, 5))["p"] < 0.05 for _ in range(800)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    assert detectable(0.02, 5, 0.01) > size > detectable(0.02, 6)
    assert np.isnan(detectable(np.nan, 1)) and detectable(0.0, 3) == 0


def test_holm_by_hand():
    """0.01, 0.02, 0.03 and 0.6 of four tests: times 4, 3, 2, 1; the third would be 0.06, as the second."""
    np.testing.assert_allclose(holm([0.6, 0.01, 0.03, 0.02]), [0.6, 0.04, 0.06, 0.06])
    # A test that can't be made yet still counts: the family was named beforehand.
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.03, np.nan, 0.08])
    assert holm([]).tolist() == []
