"""Figures of a choice of candidates: wins, MTR, %Uplift, means by group, and intervals, in numpy.

A missing score is NaN and is left out. Without gaps, means equal numpy's own, to the bit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL, DRAWS = 0.95, 2000  # the level of intervals, and the number of bootstrap samples
FEW = 30  # numbers; with fewer, the percentile bootstrap is over 6% too narrow, and Student's t is used
BLOCKS = 20_000  # most queries, or blocks of queries, that are resampled
AT_ONCE = 1 << 21  # numbers drawn at once: 16 MiB
Z95 = 1.96  # standard deviations on each side that contain 95% of a normal distribution


def mean(values: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """The mean of the numbers that are not NaN; NaN if there are none."""
    if values.size and not np.isnan(values).any():
        return values.mean(axis=axis, keepdims=keepdims)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows with only NaN
        return np.nanmean(values, axis=axis, keepdims=keepdims)


def std(values: Array) -> float:
    """The standard deviation of the numbers that are not NaN."""
    return float(np.nanstd(values) if np.isnan(values).any() else values.std())


def without_gaps(*columns: Array) -> list[Array]:
    """The rows of columns, shape (n,) each, in which no column is NaN."""
    rows = np.logical_and.reduce([np.isfinite(column) for column in columns])
    return [column[rows] for column in columns]


def ranks(scores: Array) -> Array:
    """Ranks along the last axis, 1 for the highest; ties share the mean of the ranks they span."""
    scores = np.asarray(scores, dtype=np.float64)
    higher = (scores[..., None, :] > scores[..., :, None]).sum(axis=-1)
    equal = (scores[..., None, :] == scores[..., :, None]).sum(axis=-1)
    return higher + (equal + 1) / 2


def win_shares(scores: Array) -> Array:
    """Each candidate's share of the win (the highest score) on each query, shape (..., N); rows sum to one.

    Ties share the win. A missing score is NaN, and so is its share.
    """
    best = scores == np.fmax.reduce(scores, axis=-1, keepdims=True)
    shares = best / np.maximum(best.sum(axis=-1, keepdims=True), 1)
    return np.where(np.isnan(scores), np.nan, shares)


def group_means(values: Array, groups: Sequence[str]) -> dict[str, Array]:
    """The mean of `values` over the rows of each group, in the order of the groups' first rows; NaN is left out.

    Args:
        values: shape (n, ...).
        groups: the group of each of the n rows, such as its data set.
    """
    names = np.asarray(groups)
    return {name: mean(values[names == name], axis=0) for name in dict.fromkeys(groups)}


def mean_task_rank(means: Mapping[str, Array]) -> dict[str, float]:
    """MTR of each method (the paper's Table 1): its rank in each task subset, averaged; lower is better.

    Subsets where a method has no score (NaN) are left out; NaN if no subset is left.

    Args:
        means: method -> its mean score in each subset, shape (subsets,).
    """
    return dict(zip(means, mean(ranks(_complete(means)), axis=0).tolist(), strict=True))


def uplift(means: Mapping[str, Array]) -> dict[str, float]:
    """%Uplift of each method (the paper's Table 1): the share of subsets where it ranks first, in [0, 1].

    A tie for the first place counts for every method in it.

    Args:
        means: as for `mean_task_rank`.
    """
    table = _complete(means)
    first = (table == table.max(axis=-1, keepdims=True)).astype(np.float64)
    return dict(zip(means, mean(first, axis=0).tolist(), strict=True))


def _complete(means: Mapping[str, Array]) -> Array:
    """The subsets where every method has a score, shape (subsets, methods)."""
    table = np.stack([np.asarray(row, dtype=np.float64) for row in means.values()], axis=-1)
    return table[~np.isnan(table).any(axis=-1)]


def interval(values: Array) -> tuple[float, float]:
    """The 95% interval of the mean of `values`, shape (n,), one for each query; NaN is left out.

    With at least FEW numbers, it is the percentile bootstrap; with fewer, Student's t (Hesterberg, 2015, The American
    Statistician 69, compares both). Repeats of the most common number count as one: if two choices mostly earn the
    same, the spread comes from the few differences, and the bootstrap would be as narrow as for few numbers. Without
    spread (a single number, or equal numbers) there is no interval, and both ends are NaN. More than BLOCKS queries are
    first joined at random into at most BLOCKS blocks, which are resampled: this keeps the spread of the mean, and
    limits the work.
    """
    (values,) = without_gaps(values)
    if not has_spread(values):
        return math.nan, math.nan
    if len(values) - np.unique(values, return_counts=True)[1].max() + 1 >= FEW:
        return quantile_interval(*_resampled([values]))
    half = t_quantile((1 + LEVEL) / 2, len(values) - 1) * standard_error(values)
    return float(values.mean()) - half, float(values.mean()) + half


def has_spread(values: Array) -> bool:
    """Whether there are two different numbers or more, beyond rounding."""
    return len(values) > 1 and bool(np.ptp(values) > 1e-9 * np.abs(values).max())


def standard_error(values: Array) -> float:
    """The standard error of the mean of `values`, shape (n,), n > 1: standard deviation (over n - 1) / sqrt(n)."""
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def t_quantile(share: float, freedom: int) -> float:
    """The quantile of Student's t distribution for a share above 1/2.

    Exact for one and two degrees of freedom; for more, the expansion 26.7.5 of Abramowitz and Stegun (1964), whose
    error is 0.1% for three degrees of freedom and decreases from there.
    """
    if freedom == 1:
        return math.tan(math.pi * (share - 0.5))
    if freedom == 2:
        middle = 2 * share - 1
        return middle * math.sqrt(2 / (1 - middle**2))
    from statistics import NormalDist

    z = NormalDist().inv_cdf(share)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _resampled(columns: Sequence[Array]) -> Array:
    """Means of each column, shape (n,), over the same resampled queries; shape (columns, DRAWS)."""
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    numbers, means = np.random.default_rng(0), np.full((len(table), DRAWS), np.nan)
    if not table.size:
        return means
    if table.shape[1] > BLOCKS:
        table = _blocks(table, numbers)
    count = table.shape[1]
    at_once = max(1, AT_ONCE // max(1, count))  # does not change the draws
    for first in range(0, DRAWS, at_once):
        picks = numbers.integers(0, count, size=(min(at_once, DRAWS - first), count))
        for row, column in zip(means, table, strict=True):
            row[first : first + at_once] = column[picks].mean(axis=1)
    return means


def _blocks(table: Array, numbers: np.random.Generator) -> Array:
    """Means of at most BLOCKS blocks of equal size, of the columns' values in random order, without a remainder."""
    size = -(-table.shape[1] // BLOCKS)
    blocks = table.shape[1] // size
    order = numbers.permutation(table.shape[1])[: size * blocks]
    return table[:, order].reshape(len(table), blocks, size).mean(axis=2)


def quantile_interval(samples: Array) -> tuple[float, float]:
    """The middle 95% of samples, shape (draws,)."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def ratio_interval(above: Array, below: Array) -> tuple[float, float] | None:
    """The 95% percentile bootstrap interval of mean(above) / mean(below), both of shape (n,), resampling pairs.

    None if there are fewer than FEW pairs, or if 5% or more of the draws have no finite ratio because `below` is close
    to 0.
    """
    columns = without_gaps(above, below)
    if len(columns[0]) < FEW:
        return None
    ratios = ratio(*_resampled(columns))
    finite = np.isfinite(ratios)
    return quantile_interval(ratios[finite]) if finite.mean() > LEVEL else None


def ratio(above: Array, below: Array) -> Array:
    """above / below; NaN or infinite if that is undefined or too large for a float."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.divide(above, below)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share in [0, 1] observed in `count` >= 1 cases (E. B. Wilson, 1927).

    It stays within [0, 1] and is valid for small counts too.
    """
    spread = Z95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * (share * (1 - share) / count + spread / (4 * count)) ** 0.5
    return max(centre - half, 0.0), min(centre + half, 1.0)
