"""How good a choice of candidates is: MTR, %Uplift, regret and bootstrap intervals, in numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
    values = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, len(values), size=(draws, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
