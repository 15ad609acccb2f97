"""What routing is worth: the reward, dollars and seconds of other ways to choose, estimated from a random sample.

All candidates answer a random sample of the queries, each of which is drawn with a known probability. The reward of any
rule on a sampled query is therefore known, and inverse probability weighting gives its mean over all queries (Horvitz
and Thompson, 1952; in the self-normalised form of Hájek, 1971). No model of the rewards is needed. Intervals are for
traffic of this kind, not only for the observed queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.metrics import LEVEL, Array, t_quantile
from zooter_core.method.verdict import POWER

FEWEST = 30  # sampled queries for an interval
FEWEST_VOTES = 10  # thumbs of each kind for the agreement with thumbs
ROUTING, RANDOM, RMR = "routing", "random", "rmr"
BEST, SUM, SLOWEST = "best", "sum", "slowest"  # how RMR combines the rewards, dollars and seconds of all candidates


@dataclass(frozen=True)
class Estimate:
    """A mean over all queries, with its 95% confidence interval.

    Attributes:
        low, high: the ends of the interval; NaN with fewer than two queries.
        error: the standard error.
        n: the number of sampled queries with a value.
    """

    mean: float
    low: float
    high: float
    error: float
    n: int

    @property
    def significant(self) -> bool:
        """Whether 0 is outside the interval, and enough queries were sampled."""
        return self.n >= FEWEST and (self.low > 0 or self.high < 0)

    def needed(self, difference: float) -> int | None:
        """The number of sampled queries that would make a mean of `difference` significant, with the spread of these.

        It is POWER (s / difference)^2, as in `verdict.queries_needed`, where s is the standard error times sqrt(n), but
        more than n. None if it cannot be estimated.
        """
        if self.n < 2 or not self.error > 0 or not difference:
            return None
        needed = POWER * self.n * (self.error / difference) ** 2
        return math.ceil(max(needed, self.n + 1)) if needed < 1e12 else None


UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.nan, 0)


def weighted_mean(values: Array, inclusion: Array) -> Estimate:
    """The self-normalised mean of sampled values (Hájek), sum(y/p) / sum(1/p).

    Its variance by linearisation is sum((y - mean)^2 / p^2) / sum(1/p)^2, times n / (n - 1). With one probability for
    all this is the mean of the sample and its usual t interval.

    Args:
        values: shape (n,); queries with NaN are left out.
        inclusion: the probability with which each query was drawn, shape (n,).
    """
    present = ~np.isnan(values)
    return _estimate(values[present], 1 / inclusion[present])


def regression_mean(values: Array, inclusion: Array, covariates: Array, means: Array) -> Estimate:
    """The mean, adjusted by covariates that are known for every query, such as the reward of the served answer.

    The generalised regression estimator (Cassel, Särndal and Wretman, 1976): values are regressed on the covariates in
    the sample, and the mean moves by slope * (mean of all queries - mean of the sample). The variance is that of the
    residuals, with one degree of freedom less per slope.

    Args:
        covariates: the covariates of the sampled queries, shape (n, k).
        means: the covariates' means over all queries, shape (k,).
    """
    present = ~np.isnan(values) & ~np.isnan(covariates).any(axis=1)
    y, weights, x = values[present], 1 / inclusion[present], covariates[present]
    if len(y) < FEWEST + x.shape[1]:
        return weighted_mean(values, inclusion)
    share = weights / weights.sum()
    centred, away = x - share @ x, y - share @ y
    root = np.sqrt(share)[:, None]
    slope = np.linalg.lstsq(root * centred, root[:, 0] * away, rcond=None)[0]
    rough = _estimate(y - centred @ slope, weights, slopes=x.shape[1])
    return _around(rough.mean + float((means - share @ x) @ slope), rough.error, len(y), x.shape[1])


def _estimate(y: Array, weights: Array, slopes: int = 0) -> Estimate:
    n = len(y)
    if not n:
        return UNKNOWN
    share = weights / weights.sum()
    average = float(share @ y)
    if n <= slopes + 1:
        return Estimate(average, math.nan, math.nan, math.nan, n)
    error = math.sqrt(float(np.sum((share * (y - average)) ** 2)) * n / (n - 1 - slopes))
    return _around(average, error, n, slopes)


def _around(average: float, error: float, n: int, slopes: int = 0) -> Estimate:
    if n - slopes < 2:
        return Estimate(average, math.nan, math.nan, error, n)
    half = t_quantile((1 + LEVEL) / 2, n - 1 - slopes) * error
    return Estimate(average, average - half, average + half, error, n)


def ratio_of_means(above: Array, below: Array, inclusion: Array) -> Estimate:
    """The ratio of two means over the same queries, such as the cost of routing to the cost of another rule.

    It is sum(a/p) / sum(b/p); the variance is that of (a - ratio * b) / mean(b), by linearisation. The interval is
    computed for the logarithm, as ratios are skewed. NaN if one of the means is not above 0.

    Args:
        above, below: a and b, shape (n,); a query without both is left out.
    """
    present = ~np.isnan(above) & ~np.isnan(below)
    a, b, weights = above[present], below[present], 1 / inclusion[present]
    top, bottom = float(weights @ a), float(weights @ b)
    if top <= 0 or bottom <= 0:
        return Estimate(math.nan, math.nan, math.nan, math.nan, len(a))
    away = a / top - b / bottom  # linearised logarithm of the ratio; its mean is 0
    rough = _estimate(away * float(weights.sum()), weights)
    quotient = top / bottom
    return Estimate(
        quotient, quotient * math.exp(rough.low), quotient * math.exp(rough.high), quotient * rough.error, len(a)
    )


def rules(
    values: Array, chosen: NDArray[np.intp], ranked: str = BEST, members: NDArray[np.bool_] | None = None
) -> dict[str, Array]:
    """The value of each rule on each sampled query: routing, random, RMR, and every candidate by its place.

    Args:
        values: the candidates' rewards, dollars or seconds, shape (n, N); NaN where there is none.
        chosen: the candidate that answered, shape (n,).
        ranked: how RMR combines the values: the best of the rewards, the sum of the dollars, or the slowest of the
            seconds. Sum and slowest are NaN if a member has no value.
        members: the pool at the time of each query, from which random and RMR choose, shape (n, N); None for all.

    Returns:
        Values of shape (n,) each, by the keys `routing`, `random`, `rmr` and the places "0" to "N-1".
    """
    pool = np.ones(values.shape, dtype=bool) if members is None else members
    total = np.where(pool, values, 0.0).sum(axis=1)
    if ranked == BEST:
        ranking = np.where(np.isnan(values), -np.inf, values).max(axis=1, initial=-np.inf)
        ranking = np.where(np.isfinite(ranking), ranking, np.nan)
    else:
        ranking = total if ranked == SUM else np.where(pool, values, -np.inf).max(axis=1)
    singles = {str(place): values[:, place] for place in range(values.shape[1])}
    chance = total / np.maximum(pool.sum(axis=1), 1)
    return {ROUTING: values[np.arange(len(values)), chosen], RANDOM: chance, RMR: ranking, **singles}


def agreement(good: Array, bad: Array) -> Estimate:
    """The agreement of rewards with thumbs: the probability that a liked answer has more reward than a disliked one.

    It is the area under the ROC curve with the standard error of DeLong (1988); ties count half. 0.5 is no agreement.

    Args:
        good, bad: rewards of answers with a thumb up and down, shapes (a,) and (b,).
    """
    a, b = len(good), len(bad)
    if not a or not b:
        return Estimate(math.nan, math.nan, math.nan, math.nan, a + b)
    ordered_bad, ordered_good = np.sort(bad), np.sort(good)
    below, until = np.searchsorted(ordered_bad, good, "left"), np.searchsorted(ordered_bad, good, "right")
    of_good = (below + until) / (2 * b)  # for each liked answer, the share of disliked ones below it
    above, since = np.searchsorted(ordered_good, bad, "right"), np.searchsorted(ordered_good, bad, "left")
    of_bad = 1 - (above + since) / (2 * a)
    area = float(of_good.mean())
    if min(a, b) < 2:
        return Estimate(area, math.nan, math.nan, math.nan, a + b)
    error = math.sqrt(float(of_good.var(ddof=1)) / a + float(of_bad.var(ddof=1)) / b)
    half = t_quantile((1 + LEVEL) / 2, min(a, b) - 1) * error
    return Estimate(area, max(area - half, 0.0), min(area + half, 1.0), error, a + b)
