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

    :param table: from ``palcore.runs.records.read_results``.
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


def holm(p_values):
    """Holm's correction: p values such that calling those below 0.05 significant errs with 5 % over the whole table.

    The smallest of n is multiplied by n, the next by n - 1, and so on; none gets smaller than the one before, or exceeds 1.
    (Holm, Scandinavian Journal of Statistics 1979.)

    :param p_values: sequence of numbers in [0, 1]; a NaN is no test, stays NaN and does not count.
    :return: ``(n,)`` array in the order given.
    :raises ValueError: for a value outside [0, 1].
    """
    p_values = np.asarray(p_values, float)
    corrected = np.full(p_values.shape, np.nan)
    tests = np.flatnonzero(~np.isnan(p_values))
    if np.any((p_values[tests] < 0) | (p_values[tests] > 1)):
        raise ValueError(f"p values {p_values.tolist()} for Holm's correction: each must be in [0, 1]")
    order = tests[np.argsort(p_values[tests], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return corrected


def _right(labels, answers):
    """Which answers are right: ``(N,)`` bool. ``answers`` are probabilities ``(N, 7)`` or the expressions called ``(N,)``."""
    answers = np.asarray(answers)
    return (np.argmax(answers, axis=-1) if answers.ndim == 2 else answers) == np.asarray(labels)


def mcnemar(labels, first, second):
    """Exact McNemar test of two classifiers on the same faces.

    :param labels: ``(N,)``.
    :param first: ``(N, 7)`` probabilities of one classifier, or ``(N,)`` the expressions that it called.
    :param second: those of the other.
    :return: dictionary with ``only_first`` and ``only_second``, the faces that only one names rightly, and ``p``, two-sided.
    """
    right = [_right(labels, answers) for answers in (first, second)]
    only_first = int(np.sum(right[0] & ~right[1]))
    only_second = int(np.sum(right[1] & ~right[0]))
    discordant = only_first + only_second
    p = float(stats.binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return {"only_first": only_first, "only_second": only_second, "p": p}


def _bootstrap_mean(values, seed, resamples):
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return mean, mean, mean
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, rng=np.random.default_rng(seed), method="percentile", vectorized=True
    )
    return mean, float(found.confidence_interval.low), float(found.confidence_interval.high)


def bootstrap_difference(labels, first, second, seed=0, resamples=2000):
    """Accuracy of ``second`` minus that of ``first`` on the same faces, with its 95 % bootstrap interval over faces.

    :param labels: ``(N,)``.
    :param first: ``(N, 7)`` probabilities, or ``(N,)`` expressions called.
    :param second: likewise.
    :param seed: of the resampling.
    :param resamples: how many.
    :return: ``(difference, low, high)``.
    """
    difference = _right(labels, second).astype(float) - _right(labels, first)
    return _bootstrap_mean(difference, seed, resamples)


def bootstrap_within_seeds(pairs, seed=0, resamples=2000):
    """Mean over seeds of the difference in accuracy, with its 95 % bootstrap interval over test faces within the seeds.

    The seeds are held fixed: the interval says how much the faces matter, not how much another seed would. Where all seeds were
    tested on the same faces, a face is drawn with all its answers; where each seed has faces of its own, all are drawn alike.

    :param pairs: one ``(labels, first, second)`` a seed, see ``bootstrap_difference``; all of the same number of faces.
    :return: ``(difference, low, high)``.
    :raises ValueError: where there is no pair, or the numbers of faces differ.
    """
    if not pairs or len({len(labels) for labels, _, _ in pairs}) > 1:
        raise ValueError(
            f"{len(pairs)} seeds with {[len(labels) for labels, _, _ in pairs]} faces: give one pair a seed, equally many"
        )
    differences = np.stack([_right(labels, second).astype(float) - _right(labels, first) for labels, first, second in pairs])
    same = all(np.array_equal(pairs[0][0], labels) for labels, _, _ in pairs)
    return _bootstrap_mean(differences.mean(axis=0) if same else differences.ravel(), seed, resamples)
