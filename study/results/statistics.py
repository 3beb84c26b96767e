"""What differences between arms are worth: one spread for all arms of a question, intervals, equivalence, Holm's correction.

The spread between seeds is pooled over the arms of a question that were trained for as long: with three to five seeds an arm has
too few to know its own, and in no primary question do the arms' spreads differ beyond chance (Bartlett, p 0.19 or more). A seed
has no effect of its own here, as it would in a mixed model: networks of one seed agree no more than those of two, and with so few
seeds a mixed model often puts the variance of such an effect at zero.
"""

import functools
from typing import NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05
"""Below this a corrected p value counts."""

POWER = 0.8
"""How often a difference of the size that is called detectable would be found."""

SIGNS = (1, -1, -1, 1)
"""Of the arms of a contrast: arm, baseline, and those whose difference is taken off."""

DRAWS = 8000
"""How often ``two_way`` draws seeds and faces."""


class Spread(NamedTuple):
    """The standard deviation between the seeds of an arm, and its degrees of freedom; NaN and 0 where no arm has two seeds."""

    deviation: float
    freedom: int


def pooled(arms):
    """One spread for several arms: squared distances from each arm's own mean, added up over all.

    :param arms: one array of values, a seed each, per arm; those of one seed say nothing.
    :return: ``Spread``.
    """
    arms = [np.asarray(values, float) for values in arms]
    freedom = sum(len(values) - 1 for values in arms if len(values))
    if not freedom:
        return Spread(float("nan"), 0)
    return Spread(float(np.sqrt(sum(np.sum((values - values.mean()) ** 2) for values in arms if len(values)) / freedom)), freedom)


def contrast(arms, spread, margin=None, level=LEVEL):
    """How far one arm lies above another, or by how much more than a third above a fourth; or, of one arm alone, above zero.

    :param arms: one, two or four arrays of values, one per seed: arm, baseline, and those whose difference is taken off.
    :param spread: from ``pooled``, of all arms of the question.
    :param margin: half the width of what counts as no difference, in the unit of the values; None for no such test.
    :param level: two-sided, at which a difference has to be detectable.
    :return: dictionary of ``seeds`` (of the arm with the fewest), ``difference``, ``low``, ``high`` (95 %), ``p`` (no
        difference), ``p_same`` (the larger p of the two one-sided tests against the margin; Schuirmann, 1987) and ``detectable``,
        the true difference that is found in four cases of five, nearly. NaN where an arm has a single seed.
    """
    seeds = min(map(len, arms))
    difference = sum(sign * float(np.mean(values)) for sign, values in zip(SIGNS, arms, strict=False))
    names = ("low", "high", "p", "p_same", "detectable")
    result = {"seeds": seeds, "difference": difference, **dict.fromkeys(names, float("nan"))}
    if seeds < 2:
        return result
    width = np.sqrt(sum(1 / len(values) for values in arms))
    error, freedom = spread.deviation * width, spread.freedom
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom) * error)
    result |= {"low": difference - half, "high": difference + half}
    result["detectable"] = float(error * (stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(POWER, freedom)))
    if error > 0:
        result["p"] = float(2 * stats.t.sf(abs(difference) / error, freedom))
        if margin is not None:
            result["p_same"] = float(stats.t.sf((margin - abs(difference)) / error, freedom))
    return result


@functools.lru_cache(maxsize=2)
def _weights(faces):
    """How often each face is drawn, as a share, ``(DRAWS, faces)``: the same for all arms that were tested on them."""
    draws = np.random.default_rng(0).multinomial(faces, np.full(faces, 1 / faces), size=DRAWS)
    return draws.astype(np.float32) / np.float32(faces)


def two_way(arms):
    """The 95 % interval of a difference with seeds *and* test faces at random: both are drawn again, with replacement.

    What a face does to one network alone is counted more than once that way, which makes the interval too wide (Owen, The
    pigeonhole bootstrap, Annals of Applied Statistics, 2007); five seeds that are drawn again have four fifths of their variance,
    two a half, which makes it too narrow. So it decides only beside the interval over seeds.

    :param arms: two or four arrays ``(seeds, faces)``, true where the network was right; see ``contrast``. All have the same faces.
    :return: ``(low, high)``; the same for the same arms.
    """
    rng, total = np.random.default_rng(1), 0.0
    for sign, right in zip(SIGNS, arms, strict=False):
        seeds = len(right)
        chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS) / seeds
        total = total + sign * np.sum((_weights(right.shape[1]) @ right.T.astype(np.float32)) * chosen, axis=1)
    low, high = np.quantile(total, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


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
