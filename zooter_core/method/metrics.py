"""How good a choice of candidates is: MTR, %Uplift, regret and bootstrap intervals, in numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AT_ONCE = 1 << 21  # numbers drawn in one go: 16 MiB
Z95 = 1.96


def ranks(scores: Array) -> Array:
    """Ranks along the last axis, 1 for the highest; ties share the mean of the ranks they span."""
    scores = np.asarray(scores, dtype=np.float64)
    higher = (scores[..., None, :] > scores[..., :, None]).sum(axis=-1)
    equal = (scores[..., None, :] == scores[..., :, None]).sum(axis=-1)
    return higher + (equal + 1) / 2


def mean_task_rank(means: Mapping[str, Array]) -> dict[str, float]:
    """MTR of each method: its rank inside each task subset, averaged over the subsets; lower is better.

    Args:
        means: method -> its mean score in each subset, shape (subsets,).
    """
    table = np.stack([np.asarray(row, dtype=np.float64) for row in means.values()], axis=-1)
    return dict(zip(means, ranks(table).mean(axis=0).tolist(), strict=True))


def uplift(means: Mapping[str, Array]) -> dict[str, float]:
    """%Uplift of each method: the share of subsets, in [0, 1], where no method has a higher mean score."""
    table = np.stack([np.asarray(row, dtype=np.float64) for row in means.values()], axis=-1)
    first = table == table.max(axis=-1, keepdims=True)
    return dict(zip(means, first.mean(axis=0).tolist(), strict=True))


def interval(values: Array, seed: int = 0, draws: int = 2000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` (shape (n,)); resampling queries."""
    (means,) = _resampled([values], seed, draws)
    return _middle(means, level)


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """95% interval of a share seen in n cases (E. B. Wilson, 1927): inside [0, 1], and wide where n is small.

    Args:
        n: at least 1.
    """
    spread = Z95**2 / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * (share * (1 - share) / n + spread / (4 * n)) ** 0.5
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _resampled(columns: Sequence[Array], seed: int, draws: int) -> Array:
    """Means of each column of shape (n,) over the same queries drawn again and again, shape (columns, draws)."""
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    count = table.shape[1]
    numbers, means = np.random.default_rng(seed), np.empty((len(table), draws))
    at_once = max(1, AT_ONCE // max(1, count))  # the draws are the same however many are made at once
    for first in range(0, draws, at_once):
        picks = numbers.integers(0, count, size=(min(at_once, draws - first), count))
        for row, column in zip(means, table, strict=True):
            row[first : first + at_once] = column[picks].mean(axis=1)
    return means


def _middle(samples: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(
    above: Array, below: Array, seed: int = 0, draws: int = 2000, level: float = 0.95
) -> tuple[float, float] | None:
    """The same of mean(above) / mean(below), both of shape (n,).

    None where a draw in twenty or more has no finite ratio, as `below` is 0 or next to it.

    The queries are drawn in pairs, so that what moves both moves the ratio as it does in truth.
    """
    over, under = _resampled([above, below], seed, draws)
    ratios = ratio(over, under)
    finite = np.isfinite(ratios)
    return _middle(ratios[finite], level) if finite.mean() > level else None


def ratio(above: Array, below: Array) -> Array:
    """above / below; NaN or infinite where that is undefined or larger than any number."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.divide(above, below)
