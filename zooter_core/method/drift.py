"""Detects changes in numpy: a mean that fell at some moment, and queries unlike the training queries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.metrics import Array, t_quantile
from zooter_core.method.worth import FEWEST

ALPHA = 0.05  # the share of unchanged candidates that are reported by mistake
FAR = 0.05  # the share of the training queries that count as far from the others
MOST_COMPARED = 300  # training queries that are compared with all others


@dataclass(frozen=True)
class Fall:
    """A mean that is lower from some step on.

    Attributes:
        step: the first step after the fall.
        before, after: the means.
        low, high: the 95% confidence interval of before - after.
    """

    step: int
    before: float
    after: float
    low: float
    high: float


def clearest_fall(counts: Array, totals: Array, squares: Array, candidates: int) -> Fall | None:
    """The moment at which the means before and after differ most clearly, if they fell; by Welch's t test.

    All moments with FEWEST rewards before and after are tested, for several candidates, so each test is held to a
    stricter level (Bonferroni). Tests at neighbouring moments mostly agree, so n of them count as 3 + n / 4; then at
    most ALPHA of the unchanged candidates are reported.

    Args:
        counts, totals, squares: the number of rewards in each of k steps, their sum, and the sum of their squares,
            shape (k,).
        candidates: the number of candidates that are tested.
    """
    table = np.stack([counts, totals, squares]).astype(np.float64)
    early, late = table.cumsum(axis=1)[:, :-1], table[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    steps = np.flatnonzero(np.minimum(early[0], late[0]) >= FEWEST)
    if not len(steps):
        return None
    early, late = early[:, steps], late[:, steps]
    before, after = early[1] / early[0], late[1] / late[0]
    errors = np.sqrt(_variance(*early) / early[0] + _variance(*late) / late[0])
    t = np.divide(before - after, errors, out=np.zeros(len(steps)), where=errors > 0)
    best = int(t.argmax())
    tests = candidates * min(len(steps), 3 + len(steps) / 4)
    if t[best] < t_quantile(1 - ALPHA / tests, FEWEST - 1):
        return None
    fall, half = before[best] - after[best], t_quantile(1 - ALPHA / 2, 2 * FEWEST) * errors[best]
    return Fall(int(steps[best]) + 1, *map(float, (before[best], after[best], fall - half, fall + half)))


def _variance(counts: Array, totals: Array, squares: Array) -> Array:
    return np.maximum((squares - totals**2 / counts) / (counts - 1), 0.0)


def far_queries(vectors: NDArray[np.floating], learned: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of n queries are far from the training queries, shape (n,).

    These are less similar to their nearest training query than all but FAR of the training queries are to theirs.

    Args:
        vectors: the queries' unit vectors, shape (n, width).
        learned: the unit vectors of at least two training queries, shape (m, width).
    """
    rows = np.arange(0, len(learned), math.ceil(len(learned) / MOST_COMPARED))
    among = learned[rows] @ learned.T
    among[np.arange(len(rows)), rows] = -1.0  # a query's similarity to itself
    border = np.quantile(among.max(axis=1), FAR)
    return np.asarray((vectors @ learned.T).max(axis=1) < border)
