"""Means with intervals, and paired differences with their test, their power and their equivalence: SciPy and statsmodels.

Arranged for a handful of seeds: a single one has no interval, and equal ones no test. Differences over seeds decide, since they say
what another training would give; how sure an answer is of these faces, with these very networks, is another question.
"""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

LEVEL = 0.05
"""Below this a corrected p value counts."""

POWER = 0.8
"""How often a difference of the size that is called detectable would be found."""


def mean_interval(values):
    """Mean over seeds and its Student's t interval of 95 %.

    :param values: one number per seed.
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
    low, high = DescrStatsW(values).tconfint_mean(0.05)
    return mean, float(low), float(high)


def detectable(spread, seeds, level=LEVEL):
    """The smallest true difference that a paired t test over so many seeds finds in four cases of five.

    :param spread: standard deviation of the differences between seeds; ``level`` is that of a two-sided test.
    :return: in the unit of ``spread``; NaN for fewer than two seeds.
    """
    if seeds < 2 or not np.isfinite(spread):
        return float("nan")
    return float(spread * np.squeeze(TTestPower().solve_power(nobs=seeds, alpha=level, power=POWER))) if spread > 0 else 0.0


def paired(differences, margin=None, level=LEVEL):
    """What the differences of two arms, one a seed, say.

    :param differences: ``(seeds,)``.
    :param margin: half the width of what counts as no difference, in the unit of the differences; None for no such test.
    :param level: at which a difference has to be detectable, see ``detectable``.
    :return: dictionary of ``seeds``, ``difference``, ``low``, ``high`` (95 %), ``spread`` (standard deviation between seeds),
        ``effect`` (difference over spread, Cohen's d of paired values), ``detectable``, ``p`` (paired t test) and ``p_same`` (the
        larger p of the two one-sided tests against the margin; Schuirmann, 1987). NaN where there are fewer than two seeds; ``p``,
        ``p_same`` and ``effect`` also where all differences are equal.
    :raises ValueError: where there is no difference.
    """
    differences = np.asarray(differences, float)
    mean, low, high = mean_interval(differences)
    several = differences.size > 1
    spread = float(differences.std(ddof=1)) if several else float("nan")
    found = {"seeds": differences.size, "difference": mean, "low": low, "high": high, "spread": spread}
    found |= {"effect": np.nan, "detectable": detectable(spread, differences.size, level), "p": np.nan, "p_same": np.nan}
    if several and np.ptp(differences) > 0:
        found |= {"effect": mean / spread, "p": float(stats.ttest_1samp(differences, 0).pvalue)}
        if margin is not None:
            found["p_same"] = float(DescrStatsW(differences).ttost_mean(-margin, margin)[0])
    return found


def holm(p_values):
    """Holm's correction over a family that was named beforehand.

    :param p_values: numbers in [0, 1], or NaN for a test that can't be made yet: it counts as one that finds nothing.
    :return: ``(n,)`` array; NaN stays NaN.
    """
    p_values = np.asarray(p_values, float)
    if not p_values.size:
        return p_values
    corrected = multipletests(np.where(np.isnan(p_values), 1.0, p_values), method="holm")[1]
    return np.where(np.isnan(p_values), np.nan, corrected)
