"""Selection: where the router is unsure, run the k most probable candidates and keep the best response. In numpy.

A trigger gives each query an unsureness; the queries above a threshold get k candidates, the others one. Each threshold
is a point of cost and quality, and all of them make the trigger's curve. A trigger that knows nothing would choose the
queries at random: the straight line between the ends of the curve.

Shapes: n queries, N candidates in one order, M members of the router.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.errors import ZooterError, did_you_mean

Array = NDArray[np.float64]
MOST = 4  # candidates for one query that a report looks at
SHARES = (0.0, 0.05, *(tenth / 10 for tenth in range(1, 11)))  # of the queries: where a report shows a curve
DRAWS = 1000


@dataclass(frozen=True)
class Outputs:
    """What a router says of n queries.

    Attributes:
        probabilities: shape (n, N), calibrated, rows sum to one.
        members: shape (M, n, N), the distribution of each member before calibration; None without two of them.
    """

    probabilities: Array
    members: Array | None = None

    def in_order(self, columns: Sequence[int]) -> Outputs:
        """The same with the candidates in another order."""
        members = None if self.members is None else self.members[..., list(columns)]
        return Outputs(self.probabilities[:, list(columns)], members)


def margin(outputs: Outputs) -> Array:
    """1 - (p1 - p2), of the two most probable candidates."""
    ordered = _descending(outputs.probabilities)
    return 1 - (ordered[:, 0] - ordered[:, 1:2].sum(axis=1))


def entropy(outputs: Outputs) -> Array:
    """-sum_i p_i log p_i, divided by log N."""
    return _entropy(outputs.probabilities) / np.log(max(outputs.probabilities.shape[1], 2))


def utility(outputs: Outputs) -> Array:
    """1 - p1: how often, by its calibrated probability, the chosen candidate will not be the best."""
    return 1 - outputs.probabilities.max(axis=1)


def disagreement(outputs: Outputs) -> Array:
    """How far members are apart: their Jensen-Shannon divergence, the entropy of their mean less their mean entropy.

    It is what a query leaves open about the members, and not about the candidates (Lin, 1991; arXiv 1112.5745, equation
    2). Divided by its most, log min(M, N). The share of members that vote with the choice would have M values only, so
    that most queries would be tied.
    """
    members = _members(outputs)
    apart = _entropy(members.mean(axis=0)) - _entropy(members).mean(axis=0)
    return np.maximum(apart, 0) / np.log(max(min(members.shape[0], members.shape[2]), 2))


TRIGGERS: dict[str, Callable[[Outputs], Array]] = {
    "margin": margin,
    "entropy": entropy,
    "utility": utility,
    "disagreement": disagreement,
}
DEFAULT = "margin"


def check_trigger(name: str) -> None:
    """Refuse a trigger that there is not."""
    if name not in TRIGGERS:
        raise ZooterError("a known trigger", f'"{name}"', did_you_mean(name, TRIGGERS))


def unsureness(outputs: Outputs, trigger: str = DEFAULT) -> Array:
    """A trigger's value of each query, shape (n,), in [0, 1]; higher is less sure. The order of the pool is no matter.

    Raises:
        ZooterError: there is no such trigger, or the router has no members to disagree.
    """
    check_trigger(trigger)
    return TRIGGERS[trigger](outputs)


def ranking(probabilities: Array) -> NDArray[np.intp]:
    """Candidate numbers, the most probable first, shape (n, N); a tie goes to the earlier candidate in the pool."""
    return np.argsort(-probabilities, axis=1, kind="stable")


@dataclass(frozen=True)
class Kept:
    """What one candidate and what the k most probable would earn and cost each query, each of shape (n,)."""

    k: int
    one: Array
    several: Array
    cost_of_one: Array
    cost_of_several: Array


def best_of(
    probabilities: Array, table: Array, k: int, rewards: Array | None = None, costs: Array | None = None
) -> Kept:
    """The most probable candidate's score, and that of the best of the k most probable.

    Args:
        table: scores, shape (n, N).
        rewards: what a judge gives each response, shape (n, N): its favourite is kept, at its true score. With several
            responses each, shape (n, N, s), it judges s times, and what it keeps is averaged. Where it has none the
            scores are the judge: no judge can do better. Equals go to the more probable candidate.
        costs: of each response, shape (n, N); 1, a call, where not given.
    """
    taken = ranking(probabilities)[:, :k]
    scores = np.take_along_axis(table, taken, axis=1)
    judged = np.atleast_3d(scores if rewards is None else rewards[np.arange(len(taken))[:, None], taken])
    paid = np.ones_like(scores) if costs is None else np.take_along_axis(costs, taken, axis=1)
    several = np.take_along_axis(scores, judged.argmax(axis=1), axis=1).mean(axis=1)
    return Kept(k, scores[:, 0], several, paid[:, 0], paid.sum(axis=1))


@dataclass(frozen=True)
class Curve:
    """Cost and quality at every threshold that tells queries apart, from no query with k candidates to all.

    Attributes:
        share: of the queries that are above the threshold.
        cost, score: means over all queries.
        threshold: a query above it gets k candidates.
    """

    share: Array
    cost: Array
    score: Array
    threshold: Array


def curve(values: Array, kept: Kept) -> Curve:
    """The curve of a trigger's values, shape (n,). Queries of one value are on the same side of every threshold."""
    order, starts = _groups(values)
    ordered, many = values[order], len(values)
    ends = np.append(starts, many)

    def running(first: Array, then: Array) -> Array:
        return first.mean() + np.append(0, np.cumsum((then - first)[order]))[ends] / many

    below = np.append(ordered[starts], np.nextafter(ordered[-1], -np.inf))
    return Curve(ends / many, running(kept.cost_of_one, kept.cost_of_several), running(kept.one, kept.several), below)


def lift(values: Array, kept: Kept, counts: Array | None = None) -> float:
    """The area under a trigger's curve less that of a random one, both divided by the range of cost.

    Queries of one value count as in every order, which is a straight line. In the same way the area that random orders
    have on average is exactly (start + end) / 2, whatever each query costs.

    Args:
        counts: how often each query counts, shape (n,); once where not given.
    """
    return float(_lift(_groups(values), kept, np.ones(len(values)) if counts is None else counts))


def lifts(values: Array, kept: Kept, seed: int = 0, draws: int = DRAWS) -> Array:
    """Bootstrap samples of `lift`, shape (draws,), resampling queries; the same queries for every trigger and k."""
    groups, random, many = _groups(values), np.random.default_rng(seed), len(values)
    return np.array(
        [
            _lift(groups, kept, np.bincount(random.integers(0, many, size=many), minlength=many).astype(np.float64))
            for _ in range(draws)
        ]
    )


def between(samples: Array, level: float = 0.95) -> tuple[float, float]:
    """The middle of bootstrap samples."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def report(
    outputs: Outputs, table: Array, rewards: Array | None = None, costs: Array | None = None, seed: int = 0
) -> dict[str, Any]:
    """Each trigger and k from 2 to MOST against random; the arguments are those of `best_of`.

    Returns `curves`, each with `trigger`, `k`, `area` (mean score over the range of cost), `area_random`, `gain` (their
    difference) with its 95% bootstrap `interval`, `beats_random` (the interval is above 0) and `points` (`calls` a
    query, `score`, `threshold`, and the mean of `costs` as `dollars` where they are given); and `best`, the trigger
    with the largest area for k = 2.

    Raises:
        ZooterError: the pool has a single candidate.
    """
    if table.shape[1] < 2:
        raise ZooterError("a pool of two candidates or more", "one", "There is nothing to select from.")
    known = [name for name in TRIGGERS if name != "disagreement" or outputs.members is not None]
    values = {name: unsureness(outputs, name) for name in known}
    rows: list[dict[str, Any]] = []
    for k in range(2, min(table.shape[1], MOST) + 1):
        kept = best_of(outputs.probabilities, table, k, rewards, costs)
        random = float((kept.one.mean() + kept.several.mean()) / 2)
        for name in known:
            gain, spread = lift(values[name], kept), between(lifts(values[name], kept, seed))
            rows.append(
                {
                    "trigger": name,
                    "k": k,
                    "area": random + gain,
                    "area_random": random,
                    "gain": gain,
                    "interval": spread,
                    "beats_random": spread[0] > 0,
                    "points": _points(curve(values[name], kept), k, costs is not None),
                }
            )
    best = max((row for row in rows if row["k"] == 2), key=lambda row: row["gain"])
    return {"curves": rows, "best": {key: best[key] for key in ("trigger", "k", "gain", "interval", "beats_random")}}


def _points(found: Curve, k: int, priced: bool) -> list[dict[str, float]]:
    """A curve at SHARES, or at the next threshold that is one."""
    rows = np.unique(np.searchsorted(found.share, np.array(SHARES) - 1e-9))
    return [
        {
            "calls": float(1 + found.share[row] * (k - 1)),
            **({"dollars": float(found.cost[row])} if priced else {}),
            "score": float(found.score[row]),
            "threshold": float(found.threshold[row]),
        }
        for row in rows
    ]


def _lift(groups: tuple[NDArray[np.intp], NDArray[np.intp]], kept: Kept, counts: Array) -> float:
    order, starts = groups
    gains = np.add.reduceat((counts * (kept.several - kept.one))[order], starts)
    extra = np.add.reduceat((counts * (kept.cost_of_several - kept.cost_of_one))[order], starts)
    if not extra.sum():
        return 0.0  # free: no range of cost to look over
    halfway = np.cumsum(gains) - gains / 2
    return float(((extra * halfway).sum() / extra.sum() - gains.sum() / 2) / counts.sum())


def _groups(values: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Queries from the least sure on, and where in that order each new value begins."""
    order = np.argsort(-values, kind="stable")
    return order, np.flatnonzero(np.diff(values[order], prepend=np.inf))


def _members(outputs: Outputs) -> Array:
    if outputs.members is None:
        raise ZooterError(
            "a router with members that may disagree",
            "none",
            "Use another trigger, or distill a router of kind zooter.",
        )
    return outputs.members


def _descending(rows: Array) -> Array:
    """Sorted along the last axis, so that no order of the pool changes a sum by its rounding."""
    return -np.sort(-rows, axis=-1)


def _entropy(rows: Array) -> Array:
    ordered = _descending(rows)
    return -(ordered * np.log(np.where(ordered > 0, ordered, 1))).sum(axis=-1)
