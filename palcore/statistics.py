"""Means with intervals, paired differences, and tests over test faces: SciPy, arranged for run records."""

import numpy as np
import pandas as pd
from scipy import stats


def mean_interval(values, confidence=0.95):
    """Mean over seeds and its Student's t interval.

    :param values: one number per seed.
    :param confidence: of the interval.
    :return: ``(mean, low, high)``; the bounds are NaN for a single seed.
    :raises ValueError: where there is no value.
    """
    values = np.asarray(values, float)
    if values.size == 0:
        raise ValueError("no values to average: there must be at least one seed")
    mean = float(values.mean())
    if values.size == 1:
        return mean, float("nan"), float("nan")
    if np.ptp(values) == 0:
        return mean, mean, mean
    low, high = stats.t.interval(confidence, values.size - 1, loc=mean, scale=stats.sem(values))
    return mean, float(low), float(high)


def paired_by_seed(table, score, arm="mean", baseline="none", by="strategy"):
    """Difference of two arms, paired by seed, with its interval and the paired t test.

    :param table: from ``palcore.records.read_results``.
    :param score: a column of it, such as ``test_accuracy``.
    :param arm: value of the column ``by``.
    :param baseline: the other value.
    :param by: the column that tells the arms apart.
    :return: dictionary with ``seeds``, ``difference``, ``low``, ``high`` (95 %), ``p`` and ``cohens_d`` (of the differences); the
        last four are NaN for fewer than two seeds.
    :raises ValueError: where an arm is missing, or has a seed twice, or the arms share no seed.
    """
    columns = {}
    for value in (arm, baseline):
        rows = table[table[by] == value]
        if rows.empty:
            raise ValueError(f"no runs with {by} {value!r} among {len(table)}: there are {', '.join(map(str, table[by].unique()))}")
        if rows["seed"].duplicated().any():
            raise ValueError(f"runs with {by} {value!r} repeat a seed: compare one setting at a time")
        columns[value] = rows.set_index("seed")[score]
    pairs = pd.concat(columns, axis=1, join="inner")
    if pairs.empty:
        raise ValueError(f"the runs with {by} {arm!r} and {baseline!r} have no seed in common: run both on the same seeds")
    differences = (pairs[arm] - pairs[baseline]).to_numpy()
    mean, low, high = mean_interval(differences)
    several = len(differences) > 1 and np.ptp(differences) > 0
    return {
        "seeds": len(differences),
        "difference": mean,
        "low": low,
        "high": high,
        "p": float(stats.ttest_rel(pairs[arm], pairs[baseline]).pvalue) if several else float("nan"),
        "cohens_d": float(mean / differences.std(ddof=1)) if several else float("nan"),
    }


def mcnemar(labels, first, second):
    """Exact McNemar test of two classifiers on the same faces.

    :param labels: ``(N,)``.
    :param first: ``(N, 7)`` probabilities of one classifier.
    :param second: those of the other.
    :return: dictionary with ``only_first`` and ``only_second``, the faces that only one names rightly, and ``p``, two-sided.
    """
    right = [np.argmax(probabilities, axis=-1) == labels for probabilities in (first, second)]
    only_first = int(np.sum(right[0] & ~right[1]))
    only_second = int(np.sum(right[1] & ~right[0]))
    discordant = only_first + only_second
    p = float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": p}


def bootstrap_difference(labels, first, second, seed=0, resamples=2000):
    """Accuracy of ``second`` minus that of ``first`` on the same faces, with its 95 % bootstrap interval over faces.

    :param labels: ``(N,)``.
    :param first: ``(N, 7)`` probabilities.
    :param second: ``(N, 7)`` probabilities.
    :param seed: of the resampling.
    :param resamples: how many.
    :return: ``(difference, low, high)``.
    """
    right = [(np.argmax(probabilities, axis=-1) == labels).astype(float) for probabilities in (first, second)]
    difference = right[1] - right[0]
    if np.ptp(difference) == 0:
        return float(difference.mean()), float(difference.mean()), float(difference.mean())
    found = stats.bootstrap(
        (difference,), np.mean, n_resamples=resamples, rng=np.random.default_rng(seed), method="percentile", vectorized=True
    )
    return float(difference.mean()), float(found.confidence_interval.low), float(found.confidence_interval.high)
