"""Selection: if the router is unsure, run the k most probable candidates and keep the best response. In numpy.

Each query has an unsureness: the rank of the expected gain of more responses, or the margin if that gain is unknown.
Queries above a threshold get k candidates, the others one. Each threshold gives a point of cost and quality, and all
thresholds a curve. Choosing the queries at random instead gives the straight line between the ends of the curve.

Shapes: n queries, N candidates in one order, L queries that the router learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.method.metrics import FEW, Array, mean, quantile_interval

MOST = 4  # the largest k in a report
# The similar queries that `expected_gains` averages: a tenth of those learned from, within these bounds.
FEWEST_SIMILAR, MOST_SIMILAR = 20, 100
SHARES = (0.0, 0.05, *(tenth / 10 for tenth in range(1, 11)))  # of the queries: the points of a curve in a report
DRAWS = 1000


@dataclass(frozen=True)
class Outputs:
    """A router's outputs for n queries.

    Attributes:
        probabilities: shape (n, N), calibrated, rows sum to one.
        gain: shape (n,), in [0, 1]: the rank of the expected gain of more responses (`expected_gains`) among those of
            the queries learned from; None if it is unknown.
    """

    probabilities: Array
    gain: Array | None = None

    def in_order(self, columns: Sequence[int]) -> Outputs:
        """A copy with the candidates in another order."""
        return replace(self, probabilities=self.probabilities[:, list(columns)])

    def of_queries(self, rows: NDArray[np.bool_]) -> Outputs:
        """A copy with some of the queries; `rows` has shape (n,)."""
        return Outputs(self.probabilities[rows], None if self.gain is None else self.gain[rows])


def margin(probabilities: Array) -> Array:
    """1 - (p1 - p2) for the two most probable candidates, shape (n,). Independent of the pool's order."""
    ordered = -np.sort(-probabilities, axis=1)
    return 1 - (ordered[:, 0] - ordered[:, 1:2].sum(axis=1))


def expected_gains(similarities: Array, rewards: Array, columns: NDArray[np.intp]) -> Array:
    """The expected gain of the best of several responses over the first one, shape (n,).

    It is the mean of max_j r_j - r_first over the most similar queries that the router learned from, whose rewards r
    are known; 0 if none of them has a reward of the first candidate.

    Args:
        similarities: similarities to the queries learned from, shape (n, L).
        rewards: rewards of the queries learned from, shape (L, N); NaN where one is missing.
        columns: the candidates that would answer, the router's choice first, shape (n, k).
    """
    count = min(max(similarities.shape[1] // 10, FEWEST_SIMILAR), MOST_SIMILAR, similarities.shape[1])
    rows = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
    earned = rewards[rows[:, :, None], columns[:, None, :]]  # (n, count, k)
    gains = np.fmax.reduce(earned, axis=2) - earned[:, :, 0]
    return np.nan_to_num(mean(gains, axis=1))


def ranking(probabilities: Array) -> NDArray[np.intp]:
    """Candidate numbers, the most probable first, shape (n, N); a tie goes to the earlier candidate in the pool."""
    return np.argsort(-probabilities, axis=1, kind="stable")


@dataclass(frozen=True)
class TopK:
    """Score and cost of each query with one candidate and with the k most probable; arrays of shape (n,)."""

    one: Array
    several: Array
    cost_of_one: Array
    cost_of_several: Array


def best_of(
    probabilities: Array, table: Array, k: int, rewards: Array | None = None, costs: Array | None = None
) -> TopK:
    """Score and cost of the most probable candidate, and of the best of the k most probable.

    Args:
        table: scores, shape (n, N).
        rewards: a judge's rewards, shape (n, N): the response with the highest one is kept, at its true score. With s
            responses per candidate, shape (n, N, s), the kept scores are averaged over s. By default the scores are the
            rewards, which no judge can beat. A tie goes to the more probable candidate.
        costs: the cost of each response, shape (n, N); 1 (a call) by default.
    """
    top = ranking(probabilities)[:, :k]
    scores = np.take_along_axis(table, top, axis=1)
    judged = np.atleast_3d(scores if rewards is None else rewards[np.arange(len(top))[:, None], top])
    paid = np.ones_like(scores) if costs is None else np.take_along_axis(costs, top, axis=1)
    several = np.take_along_axis(scores, judged.argmax(axis=1), axis=1).mean(axis=1)
    return TopK(scores[:, 0], several, paid[:, 0], paid.sum(axis=1))


@dataclass(frozen=True)
class Curve:
    """Cost and quality at every threshold that separates queries, from no query with k candidates to all.

    Attributes:
        share: the share of queries above the threshold.
        cost, score: means over all queries.
        threshold: queries above it get k candidates.
    """

    share: Array
    cost: Array
    score: Array
    threshold: Array


def curve(values: Array, top: TopK) -> Curve:
    """The curve of values of unsureness, shape (n,). Queries with equal values are on the same side of a threshold."""
    order, starts = _groups(values)
    ordered, many = values[order], len(values)
    ends = np.append(starts, many)

    def running(first: Array, then: Array) -> Array:
        return first.mean() + np.append(0, np.cumsum((then - first)[order]))[ends] / many

    below = np.append(ordered[starts], np.nextafter(ordered[-1], -np.inf))
    return Curve(ends / many, running(top.cost_of_one, top.cost_of_several), running(top.one, top.several), below)


def lift(values: Array, top: TopK, counts: Array | None = None) -> float:
    """The area under the curve of such values minus that of a random one, both divided by the range of cost.

    Queries with equal values contribute a straight line, the mean of all their orders. For the same reason random
    orders have the mean area (start + end) / 2, whatever the queries cost.

    Args:
        counts: the weight of each query, shape (n,); 1 by default.
    """
    return float(_lift(_groups(values), top, np.ones(len(values)) if counts is None else counts))


def lifts(values: Array, top: TopK, seed: int = 0, draws: int = DRAWS) -> Array:
    """Bootstrap samples of `lift`, shape (draws,), from the same resampled queries for all values and every k."""
    groups, random, many = _groups(values), np.random.default_rng(seed), len(values)
    return np.array(
        [
            _lift(groups, top, np.bincount(random.integers(0, many, size=many), minlength=many).astype(np.float64))
            for _ in range(draws)
        ]
    )


@dataclass(frozen=True)
class CurvePoint:
    """A point of a curve: mean calls, score and, with costs, dollars per query for a threshold and k candidates."""

    calls: float
    score: float
    threshold: float
    dollars: float | None = None


@dataclass(frozen=True)
class SelectionCurve:
    """Cost and quality with k candidates if the router is unsure. An area is a mean score over the range of cost.

    Attributes:
        trigger: the kind of unsureness: `gain` or `margin`.
        gain: the gain over the same number of queries with k candidates, chosen at random, as a difference of areas.
        interval: the 95% bootstrap interval of `gain`.
        beats_random: whether the interval is above 0, with at least FEW queries.
    """

    trigger: str
    k: int
    gain: float
    interval: tuple[float, float]
    beats_random: bool
    area: float
    area_random: float
    points: list[CurvePoint]


@dataclass(frozen=True)
class SelectionReport:
    """What selection costs and gains, keeping the best by score, and in `judge` by a judge's reward.

    Attributes:
        curves: of each k from 2 to MOST. Reports of earlier versions have curves of more than one trigger.
        n: queries whose MOST most probable candidates all have a score; None in reports of earlier versions.
    """

    curves: list[SelectionCurve]
    n: int | None = None
    judge: SelectionReport | None = None

    def __post_init__(self) -> None:
        if not self.curves:
            raise ValueError("curves is empty")

    @property
    def used(self) -> list[SelectionCurve]:
        """The curves of the first trigger, which routing uses."""
        return [curve for curve in self.curves if curve.trigger == self.curves[0].trigger]


def report(
    outputs: Outputs, table: Array, rewards: Array | None = None, costs: Array | None = None, seed: int = 0
) -> SelectionReport:
    """The report on each k from 2 to MOST, compared with random queries; the arguments are those of `best_of`.

    Only the queries count whose MOST most probable candidates all have a score.

    Raises:
        ZooterError: the pool has a single candidate.
    """
    if not (able := scored(outputs, table)).all():
        rewards, costs = (None if values is None else values[able] for values in (rewards, costs))
        table, outputs = table[able], outputs.of_queries(able)
    if not len(table):
        facts = ("a query whose most probable candidates have scores", "none", "Score more of the candidates.")
        raise ZooterError(*facts)
    if table.shape[1] < 2:
        raise ZooterError("a pool of two candidates or more", "one", "Selection needs candidates to choose from.")
    trigger, values = ("margin", margin(outputs.probabilities)) if outputs.gain is None else ("gain", outputs.gain)
    rows: list[SelectionCurve] = []
    for k in range(2, min(table.shape[1], MOST) + 1):
        top = best_of(outputs.probabilities, table, k, rewards, costs)
        random = float((top.one.mean() + top.several.mean()) / 2)
        gain, spread = lift(values, top), quantile_interval(lifts(values, top, seed))
        beats_random = len(table) >= FEW and spread[0] > 0
        points = _points(curve(values, top), k, costs is not None)
        rows.append(SelectionCurve(trigger, k, gain, spread, beats_random, random + gain, random, points))
    return SelectionReport(rows, len(table))


def scored(outputs: Outputs, table: Array) -> NDArray[np.bool_]:
    """The queries whose MOST most probable candidates all have a score, shape (n,)."""
    top = ranking(outputs.probabilities)[:, :MOST]
    return np.logical_and.reduce(np.isfinite(np.take_along_axis(table, top, axis=1)), axis=1)


def _points(curve: Curve, k: int, priced: bool) -> list[CurvePoint]:
    """A curve at SHARES, or at the next threshold above each."""
    rows = np.unique(np.searchsorted(curve.share, np.array(SHARES) - 1e-9))
    return [
        CurvePoint(
            calls=float(1 + curve.share[row] * (k - 1)),
            score=float(curve.score[row]),
            threshold=float(curve.threshold[row]),
            dollars=float(curve.cost[row]) if priced else None,
        )
        for row in rows
    ]


def _lift(groups: tuple[NDArray[np.intp], NDArray[np.intp]], top: TopK, counts: Array) -> float:
    order, starts = groups
    gains = np.add.reduceat((counts * (top.several - top.one))[order], starts)
    extra = np.add.reduceat((counts * (top.cost_of_several - top.cost_of_one))[order], starts)
    if not extra.sum():
        return 0.0  # every response is free: there is no range of cost
    halfway = np.cumsum(gains) - gains / 2
    return float(((extra * halfway).sum() / extra.sum() - gains.sum() / 2) / counts.sum())


def _groups(values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Query numbers, the least sure first, and the places in that order where a new value begins."""
    order = np.argsort(-values, kind="stable")
    return order, np.flatnonzero(np.diff(values[order], prepend=np.inf))
