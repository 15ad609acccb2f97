"""Whether one way of choosing earns more than another on the same queries, and how many queries would show it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zooter_core.method.metrics import LEVEL, Array, has_spread, interval, standard_error, t_quantile, without_gaps

POWER = 7.85  # (1.960 + 0.842)^2: the normal distribution's quantiles at 97.5% (a 95% interval) and at 80% (the power)


@dataclass(frozen=True)
class Difference:
    """The mean of paired differences of scores.

    Attributes:
        difference: the mean; NaN if no query has both scores.
        interval: the 95% interval; None if all differences are equal, or there is at most one.
        n: the number of queries with both scores.
        differing: the number of queries with two different scores.
        significant: whether 0 is outside the interval, and enough queries differ (`fewest`).
        queries_needed: the number of queries for a significant difference; None if it is significant already, or if
            the number cannot be estimated.
    """

    difference: float
    interval: tuple[float, float] | None
    n: int
    differing: int
    significant: bool
    queries_needed: int | None


def difference(one: Array, other: Array, folds: Array | None = None, corrected: bool = False) -> Difference:
    """The mean difference of two choices' scores on the same queries; a query without both scores is left out.

    Args:
        one, other: the scores, shape (n,) each.
        folds: in cross-validation, the number of each query's fold, shape (n,). The choices in a fold follow from the
            scores of the other folds, so the differences depend on each other, and an interval for independent ones
            would be too narrow. Student's t interval of the folds' means is used instead, which assumes nothing about
            the queries in a fold (Ibragimov and Müller, 2010, Journal of Business & Economic Statistics 28).
        corrected: whether the variance of the mean of k folds is 1 / k + 1 / (k - 1) times that of a fold, instead of
            1 / k (Nadeau and Bengio, 2003, Machine Learning 52). The means of folds are correlated: if a model happens
            to have high scores in two folds, each sends more queries of the other one to it.
    """
    values, of = without_gaps(_beyond_rounding(one, other), np.zeros(len(one)) if folds is None else folds)
    means = np.array([values[of == fold].mean() for fold in np.unique(of)])
    units = means if has_spread(means) else values
    low, high = interval(units)
    error = standard_error(units) if has_spread(units) else 0.0
    if corrected and units is means:
        factor, centre = math.sqrt(1 + len(means) / (len(means) - 1)), float(means.mean())
        low, high, error = centre + factor * (low - centre), centre + factor * (high - centre), factor * error
    differing, spread = int(np.count_nonzero(values)), has_spread(values)
    significant = differing >= fewest() and (not spread or low > 0 or high < 0)
    return Difference(
        difference=float(values.mean()) if len(values) else math.nan,
        interval=(low, high) if spread else None,
        n=len(values),
        differing=differing,
        significant=significant,
        queries_needed=None if significant else queries_needed(values, error),
    )


def _beyond_rounding(one: Array, other: Array) -> Array:
    """The differences; 0 for a difference due to rounding, as between means of the same numbers in another order."""
    apart = one - other
    return np.where(np.abs(apart) <= 1e-9 * np.maximum(np.abs(one), np.abs(other)), 0.0, apart)


def fewest(tests: int = 1) -> int:
    """The least number of queries that must differ: with fewer, a sign test cannot reach 5% if all favour one side.

    All of m queries favour one side by chance with the probability 2 / 2^m: 6% for five, 3% for six.

    Args:
        tests: the number of differences that are tested; the 5% are divided among them (Bonferroni).
    """
    return math.ceil(math.log2(2 * tests / (1 - LEVEL)))


def queries_needed(values: Array, error: float) -> int | None:
    """The number of queries that would make a mean difference like that of `values`, shape (n,), significant.

    It is n POWER (error / mean)^2, the sample size of a paired test at 5% with a power of 80% (Cohen, 1988, Statistical
    Power Analysis for the Behavioral Sciences, chapter 2), but more than n, and enough for `fewest` to differ. None if
    the mean is 0, the values have no spread, or there are too few queries.

    Args:
        error: the standard error of the mean.
    """
    if len(values) < fewest() or not has_spread(values) or values.mean() == 0:
        return None
    needed = len(values) * POWER * (error / float(values.mean())) ** 2
    needed = max(needed, len(values) + 1, fewest() * len(values) / np.count_nonzero(values))
    return math.ceil(needed) if needed < 1e12 else None


def stands_out(values: Array, tests: int) -> bool:
    """Whether the mean of paired differences, shape (n,), differs significantly from 0, as one of several tests.

    By Student's t at a level of 5% / tests (Bonferroni), if at least `fewest` queries differ.
    """
    if np.count_nonzero(values) < fewest(tests):
        return False
    if not has_spread(values):
        return True
    bound = t_quantile(1 - (1 - LEVEL) / 2 / tests, len(values) - 1)
    return abs(float(values.mean())) > bound * standard_error(values)
