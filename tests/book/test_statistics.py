import numpy as np
import pandas as pd
import pytest

from palcore.book.statistics import bootstrap_difference, bootstrap_within_seeds, holm, mcnemar, mean_interval, paired_by_seed


def test_mean_interval_by_hand():
    # Three values 1, 2, 3: standard error 1 / sqrt(3), t of 2 degrees of freedom 4.303.
    mean, low, high = mean_interval([1, 2, 3])
    assert (mean, low, high) == pytest.approx((2, 2 - 4.3027 / np.sqrt(3), 2 + 4.3027 / np.sqrt(3)), rel=1e-4)
    assert mean_interval([5])[0] == 5
    assert np.isnan(mean_interval([5])[1])
    assert mean_interval([4, 4]) == (4, 4, 4)
    with pytest.raises(ValueError, match="no values to average"):
        mean_interval([])


def table(**changes):
    rows = [("none", 0, 0.5), ("none", 1, 0.6), ("mean", 1, 0.8), ("mean", 0, 0.6), ("mean", 2, 0.9)]
    return pd.DataFrame(rows, columns=["strategy", "seed", "test_accuracy"]).assign(**changes)


def test_arms_are_paired_by_seed_and_a_lone_seed_is_left_out():
    found = paired_by_seed(table(), "test_accuracy")
    assert found["seeds"] == 2
    assert found["difference"] == pytest.approx(0.15)
    # Differences 0.1 and 0.2: t = 3 with one degree of freedom, p = 2 atan(1 / 3) / pi.
    assert found["p"] == pytest.approx(2 * np.arctan(1 / 3) / np.pi, rel=1e-6)
    assert found["cohens_d"] == pytest.approx(0.15 / np.std([0.1, 0.2], ddof=1))


@pytest.mark.parametrize(
    ("rows", "arm", "sentence"),
    [
        (table(), "half", "no runs with strategy 'half' among 5: there are none, mean"),
        (table(seed=[0, 0, 1, 0, 2]), "mean", "runs with strategy 'none' repeat a seed"),
        (table(seed=[0, 1, 5, 6, 7]), "mean", "have no seed in common"),
    ],
)
def test_arms_that_cannot_be_compared_are_refused(rows, arm, sentence):
    with pytest.raises(ValueError, match=sentence):
        paired_by_seed(rows, "test_accuracy", arm)


def test_mcnemar_by_hand():
    labels = np.zeros(10, int)
    first, second = np.eye(7)[[1] * 6 + [0] * 4], np.eye(7)[[0] * 6 + [0] * 3 + [1]]
    found = mcnemar(labels, first, second)
    assert (found["only_first"], found["only_second"]) == (1, 6)
    assert found["p"] == pytest.approx(2 * (1 + 7) / 2**7)
    assert mcnemar(labels, first, first)["p"] == 1


def test_bootstrap_interval_covers_the_difference():
    rng = np.random.default_rng(0)
    labels = np.zeros(500, int)
    first, second = (np.eye(7)[(rng.random(500) < rate).astype(int)] for rate in (0.5, 0.3))
    difference, low, high = bootstrap_difference(labels, first, second)
    assert low < difference < high
    assert low > 0.05
    assert bootstrap_difference(labels, first, first) == (0, 0, 0)


def test_holm_by_hand():
    """0.01, 0.02, 0.03 and 0.6 of four tests: times 4, 3, 2, 1; the third would be 0.06, as the second."""
    np.testing.assert_allclose(holm([0.6, 0.01, 0.03, 0.02]), [0.6, 0.04, 0.06, 0.06])
    # A later value never falls below an earlier one: 0.02 * 3 = 0.06, 0.021 * 2 = 0.042.
    np.testing.assert_allclose(holm([0.02, 0.021, 0.5]), [0.06, 0.06, 0.5])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1, 1])
    # A NaN is no test: the others are two.
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match="each must be in"):
        holm([1.2])


def test_expressions_called_count_as_probabilities_do():
    labels, first, second = np.array([0, 1, 2, 0]), np.array([0, 1, 0, 1]), np.array([0, 0, 2, 0])
    assert mcnemar(labels, first, second) == mcnemar(labels, np.eye(7)[first], np.eye(7)[second])
    assert bootstrap_difference(labels, first, second) == bootstrap_difference(labels, np.eye(7)[first], np.eye(7)[second])
    assert bootstrap_difference(labels, first, second)[0] == 0.25


def test_bootstrap_within_seeds_keeps_the_answers_of_a_face_together():
    """Two seeds with the same answers say no more about the faces than one: the interval stays; other faces narrow it."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 7, 400)
    first = np.where(rng.random(400) < 0.5, labels, (labels + 1) % 7)
    second = np.where(rng.random(400) < 0.6, labels, (labels + 1) % 7)
    one = bootstrap_within_seeds([(labels, first, second)])
    assert one == bootstrap_difference(labels, first, second)
    assert bootstrap_within_seeds([(labels, first, second)] * 2) == one
    turned = (np.roll(labels, 1), np.roll(first, 1), np.roll(second, 1))
    others = bootstrap_within_seeds([(labels, first, second), turned])
    assert others[0] == pytest.approx(one[0])
    assert others[2] - others[1] == pytest.approx((one[2] - one[1]) / np.sqrt(2), rel=0.15)
    with pytest.raises(ValueError, match="give one pair a seed, equally many"):
        bootstrap_within_seeds([(labels, first, second), (labels[1:], first[1:], second[1:])])
    with pytest.raises(ValueError, match="0 seeds"):
        bootstrap_within_seeds([])
