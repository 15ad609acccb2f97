"""The learner: queries' vectors and their known rewards, in chronological order -> a linear router.

It works on plain arrays, so that `zooter learn` and benchmarks/learn.py run the same code. The champion's training
queries come first and have no age: they start to fade with the traffic. Several half-lives and penalties are fitted
side by side, and each candidate gets the longest half-life that is nearly the best at predicting its later rewards. So
a candidate that has changed is learned again without forgetting the others. People's feedback comes last (`heed`):
nobody outweighs the rest, and feedback is no evidence that a candidate has changed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.partial_rewards import (
    INTERCEPT,
    Array,
    Linear,
    Sums,
    capped,
    directions,
    fallen,
    onset,
    prequential_errors,
    shared_shift,
    spread,
)

HALF_LIVES = (250.0, 500.0, 1000.0, 2000.0, math.inf)  # queries
PENALTIES = (10.0, 30.0)
OPTIONS = [(half_life, penalty) for half_life in HALF_LIVES for penalty in PENALTIES]
MEMORY = 500.0  # queries: the half-life of the errors by which a setting is chosen, and of the usual distances
CLOSE = 0.25  # standard errors of a mean square; within them, the longer half-life is chosen
USUAL = 30.0  # rewards; with fewer, a candidate's usual distance from predictions is unknown
REMEMBERED = 50.0  # the most that queries from before a candidate's fall count as
FIRST = (500.0, 30.0)  # of OPTIONS, until an error is known
LARGEST_SHARE = 0.1  # of one owner's feedback in the weight of what a candidate is learned from
CHUNK = 100  # queries per step; a candidate's setting may change between two steps


class Learner:
    """Learns from one chunk of queries after another, after the champion's training queries: vectors of shape (n,
    width), and rewards of shape (n, m), NaN where there is none."""

    def __init__(self, vectors: NDArray[np.floating], rewards: Array) -> None:
        self.candidates = rewards.shape[1]
        self.axes = directions(vectors)  # the directions that vectors are projected onto, shape (width, k)
        self.sums = [Sums(self.candidates, self.axes.shape[1], half_life) for half_life in HALF_LIVES]
        self.queries = 0  # observed so far
        self.shift = 0.0  # of all candidates' latest rewards, against those before; they are learned without it
        self._errors = {option: np.zeros((2, self.candidates)) for option in OPTIONS}  # sums of squares, and counts
        self._apart = np.zeros((2, self.candidates))  # rewards minus predictions: their number and their sum
        self._fell = np.zeros(self.candidates, dtype=np.intp)  # the query at which each candidate fell last
        self._shifts: list[float] = []  # of each query
        first, *others = self.sums
        first.add(self._reduced(vectors), rewards)
        for sums in others:
            sums.take(first)

    def observe(self, vectors: NDArray[np.floating], rewards: Array) -> None:
        """The next queries, in their order: vectors of shape (n, width), and rewards of shape (n, m), NaN where there
        is none. A query may have none at all."""
        for first in range(0, len(vectors), CHUNK):
            self._chunk(self._reduced(vectors[first : first + CHUNK]), rewards[first : first + CHUNK])

    def _chunk(self, x: Array, rewards: Array, divide: bool = True) -> None:
        oldest = self.sums[-1]
        taught = oldest.weights > 0
        compared = oldest.solve(PENALTIES[-1])(x)[:, taught], rewards[:, taught]
        shift = shared_shift(*compared)
        shift = self.shift if shift is None else shift
        if divide and abs(shift - self.shift) > spread(rewards):  # it began within the chunk
            begin = onset(*compared)
            self._chunk(x[:begin], rewards[:begin], divide=False)
            self._chunk(x[begin:], rewards[begin:], divide=False)
            return
        self.shift, rewards = shift, rewards - shift
        self._forget_fallen(self._linear()(x), np.where(taught, rewards, np.nan))
        ages = np.arange(len(x))[::-1].astype(np.float64)
        compares = bool(((~np.isnan(rewards)).sum(axis=1) > 1).any())
        for sums in self.sums:
            for penalty in PENALTIES if compares else ():
                errors = self._errors[sums.half_life, penalty]
                errors *= 0.5 ** (len(x) / MEMORY)
                errors += prequential_errors(sums.solve(penalty)(x), rewards)
            sums.fade(len(x))
            sums.add(x, rewards, ages)
        self.queries += len(x)
        self._shifts += [shift] * len(x)

    def _forget_fallen(self, predicted: Array, rewards: Array) -> None:
        """Forget most about candidates whose rewards are further below their predictions than before."""
        counts, totals = self._apart
        usual = np.where(counts >= USUAL, totals / np.maximum(counts, 1), np.nan)
        for candidate in np.flatnonzero(fallen(predicted + usual, rewards)):
            for sums in self.sums:
                sums.forget(int(candidate), REMEMBERED)
            self._apart[:, candidate], rewards[:, candidate] = 0.0, np.nan
            self._fell[candidate] = self.queries
        apart = rewards - predicted
        self._apart *= 0.5 ** (len(rewards) / MEMORY)
        self._apart += (~np.isnan(apart)).sum(axis=0), np.nansum(apart, axis=0)

    def catch_up(self, vectors: NDArray[np.floating], rewards: Array) -> None:
        """Rewards that came later, for queries that went by before: those of a newcomer's answers to stored queries."""
        for sums in self.sums:
            sums.add(self._reduced(vectors), rewards - self.shift)

    def heed(self, vectors: NDArray[np.floating], rewards: Array, judged: Array, owners: Sequence[Hashable]) -> None:
        """Learn from people's feedback on the queries that were observed, as the last thing.

        The feedback of one owner has at most LARGEST_SHARE of the weight of all that a candidate is learned from, at
        every half-life: more of it counts for less each. Where there is nothing but feedback, owners count alike. What
        was said of a candidate before it fell is forgotten.

        Args:
            vectors: of all queries that were observed, in their order, shape (n, width).
            rewards: with the feedback in place of what was observed, shape (n, m).
            judged: what was observed, shape (n, m).
            owners: whose feedback it is, n of them; None is an owner too.
        """
        verdicts = ~np.isnan(rewards) & (rewards != judged) & (np.arange(len(rewards))[:, None] >= self._fell)
        changes = rewards - np.where(np.isnan(judged), np.array(self._shifts)[:, None], judged)
        of_rows = np.flatnonzero(verdicts.any(axis=1)).tolist()
        numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners[row] for row in of_rows))}
        weights_before = np.array([sums.weights for sums in self.sums])  # shape (half-lives, candidates)
        share = LARGEST_SHARE if weights_before.any() else max(LARGEST_SHARE, 1 / max(1, len(numbers)))
        for candidate in np.flatnonzero(verdicts.any(axis=0)).tolist():
            rows = np.flatnonzero(verdicts[:, candidate])
            x, alone = self._reduced(vectors[rows]), np.isnan(judged[rows, candidate])
            faded = np.stack([0.5 ** ((len(rewards) - 1 - rows) / sums.half_life) for sums in self.sums])
            codes = np.array([numbers[owners[row]] for row in rows.tolist()])
            weights = faded * capped(faded, faded * alone, weights_before[:, candidate] + INTERCEPT, codes, share)
            for sums, of_rewards in zip(self.sums, weights, strict=True):
                sums.amend(candidate, x, changes[rows, candidate], of_rewards, alone)

    @property
    def chosen(self) -> list[tuple[float, float]]:
        """Each candidate's half-life and penalty: the longest half-life that is nearly the best at predicting it."""
        return [self._chosen(candidate) for candidate in range(self.candidates)]

    def _chosen(self, candidate: int) -> tuple[float, float]:
        counted = {option: errors[:, candidate] for option, errors in self._errors.items() if errors[1, candidate]}
        if not counted:
            return FIRST
        means = {option: squares / count for option, (squares, count) in counted.items()}
        best = min(means, key=lambda option: means[option])
        limit = means[best] * (1 + CLOSE * math.sqrt(2 / counted[best][1]))
        return min((o for o in means if means[o] <= limit), key=lambda option: (-option[0], means[option]))

    def router(self) -> Linear:
        """Predicted rewards for vectors of full width."""
        linear = self._linear()
        return Linear(self.axes @ linear.weight, linear.bias)

    def _linear(self) -> Linear:
        """Predicted rewards for reduced vectors."""
        sums = {one.half_life: one for one in self.sums}
        options = self.chosen
        solved = {(half, penalty): sums[half].solve(penalty) for half, penalty in set(options)}
        columns = [(solved[option], column) for column, option in enumerate(options)]
        weight = np.stack([linear.weight[:, column] for linear, column in columns], axis=1)
        return Linear(weight, np.array([linear.bias[column] for linear, column in columns]))

    def _reduced(self, vectors: NDArray[np.floating]) -> Array:
        return np.asarray(vectors, dtype=np.float64) @ self.axes


def choose(
    router: Linear, vectors: NDArray[np.floating], available: Sequence[bool] | NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """The candidate that a router chooses for each query among those that are `available` (all by default), shape (n,);
    the first of those that are equally good."""
    predicted = router(np.asarray(vectors, dtype=np.float64))
    if available is not None:
        predicted[:, ~np.asarray(available)] = -np.inf
    return predicted.argmax(axis=1)
