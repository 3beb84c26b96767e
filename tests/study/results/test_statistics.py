import numpy as np
import pytest
from scipy import stats

from study.results.statistics import Spread, contrast, holm, pooled, two_way


def test_the_spread_is_pooled_by_hand():
    # Squared distances 2 of {1, 2, 3} and 0.5 of {4, 5}: 2.5 over 2 + 1 degrees of freedom. The third arm says nothing.
    spread = pooled([[1, 2, 3], [4, 5], [9], []])
    assert spread == pytest.approx((np.sqrt(2.5 / 3), 3))
    assert np.isnan(pooled([[1], [2]]).deviation) and pooled([]).freedom == 0


def test_an_interval_by_hand():
    # Standard error 1 / sqrt(3), t of 2 degrees of freedom 4.303.
    row, half = contrast([[1, 2, 3]], pooled([[1, 2, 3]])), 4.3027 / np.sqrt(3)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((2, 2 - half, 2 + half), rel=1e-4)


def test_a_contrast_of_two_arms_is_student_s_test():
    first, second = np.array([0.60, 0.63, 0.63, 0.61]), np.array([0.50, 0.52, 0.54])
    row = contrast([first, second], pooled([first, second]), margin=0.2)
    expected = stats.ttest_ind(first, second)
    low, high = expected.confidence_interval()
    assert (row["p"], row["low"], row["high"]) == pytest.approx((expected.pvalue, low, high))
    assert row["seeds"] == 3 and row["difference"] == pytest.approx(first.mean() - second.mean())
    # Against the nearer end of the margin, one-sided.
    assert row["p_same"] == pytest.approx(stats.ttest_ind(first - 0.2, second, alternative="less").pvalue)
    # A third arm tells the spread better, and changes no difference.
    wider = contrast([first, second], pooled([first, second, [0.1, 0.3, 0.5]]))
    assert wider["high"] - wider["low"] > high - low and np.isnan(wider["p_same"])
    # By how much more than a third above a fourth: twice the error of either, squared.
    more = contrast([first, second, second, second], Spread(0.01, 10))
    assert more["high"] - more["difference"] == pytest.approx(stats.t.ppf(0.975, 10) * 0.01 * np.sqrt(1 / 4 + 3 / 3))


def test_a_contrast_that_cannot_be_made():
    one = contrast([[0.6], [0.5]], Spread(0.01, 8), margin=0.01)
    assert (one["seeds"], one["difference"]) == (1, pytest.approx(0.1))
    assert all(np.isnan(one[name]) for name in ("low", "high", "p", "p_same", "detectable"))
    equal = contrast([[0.6, 0.6], [0.5, 0.5]], pooled([[0.6, 0.6], [0.5, 0.5]]))
    assert equal["low"] == equal["high"] and np.isnan(equal["p"])


def test_a_detectable_difference_is_found_in_four_cases_of_five(rng):
    size = contrast([np.zeros(5), np.zeros(5)], Spread(0.02, 8))["detectable"]
    arms = rng.normal(0, 0.02, (800, 2, 5)) + np.array([size, 0])[:, None]
    found = [contrast(pair, pooled(pair))["p"] < 0.05 for pair in arms]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


def test_the_interval_over_seeds_and_faces_holds_the_truth_nearly_always(rng):
    """Faces of different difficulty, seeds of different luck: drawn a hundred times, the truth is seldom outside."""
    truth, inside, widths = 0.04, [], []
    for _ in range(100):
        faces, seeds = rng.uniform(0.2, 0.8, 300), rng.normal(0, 0.01, (2, 4, 1))
        first, second = (rng.random((4, 300)) < faces + luck + gain for luck, gain in zip(seeds, (truth, 0), strict=True))
        low, high = two_way([first, second])
        inside.append(low <= truth <= high)
        widths.append(high - low)
    assert np.mean(inside) >= 0.9
    assert two_way([first, second]) == (low, high)
    # What is left out: the same faces for all seeds make an interval that is wider than one over seeds alone.
    alone = contrast([first.mean(axis=1), second.mean(axis=1)], pooled([first.mean(axis=1), second.mean(axis=1)]))
    assert np.mean(widths) > 0.05 and alone["low"] < alone["high"]
    flat = two_way([np.ones((2, 300), bool), np.zeros((3, 300), bool)])
    assert flat == pytest.approx((1.0, 1.0), abs=1e-5)


def test_holm_by_hand():
    """0.01, 0.02, 0.03 and 0.6 of four tests: times 4, 3, 2, 1; the third would be 0.06, as the second."""
    np.testing.assert_allclose(holm([0.6, 0.01, 0.03, 0.02]), [0.6, 0.04, 0.06, 0.06])
    # A test that can't be made yet still counts: the family was named beforehand.
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.03, np.nan, 0.08])
    assert holm([]).tolist() == []
