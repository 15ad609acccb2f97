"""The learner, which fits a linear router to the vectors of queries and their known rewards, in chronological order.

It works on plain arrays, so that `zooter learn` and benchmarks/learn.py run the same code. The champion's training
queries come first; their weights start to decay with the first traffic. Several half-lives and penalties are fitted in
parallel. Each candidate gets the longest half-life that is nearly the best at predicting its later rewards, so that a
candidate that has changed is learned again without forgetting the others. Feedback from people comes last (`heed`). The
weight of each person is limited, and feedback is not used to detect that a candidate has changed.
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
MEMORY = 500.0  # queries: the half-life of the errors by which settings are chosen, and of the usual residuals
CLOSE = 0.25  # standard errors of the best mean square error; within them, the longer half-life is chosen
USUAL = 30.0  # rewards; with fewer, a candidate's usual residual is unknown
REMEMBERED = 50.0  # the largest weight, in queries, of the data from before a candidate's rewards fell
FIRST = (500.0, 30.0)  # the setting while no errors are known
LARGEST_SHARE = 0.1  # of one owner's feedback in the total weight of a candidate's data
CHUNK = 100  # queries per step; a candidate's setting may change between two steps


class Learner:
    """Learns from the champion's training queries, and then from one chunk of queries after another.

    Args:
        vectors: the vectors of the training queries, shape (n, width).
        rewards: their rewards, shape (n, m), NaN where a reward is missing.
    """

    def __init__(self, vectors: NDArray[np.floating], rewards: Array) -> None:
        self.candidates = rewards.shape[1]
        self.axes = directions(vectors)  # the directions that vectors are projected onto, shape (width, k)
        self.sums = [Sums(self.candidates, self.axes.shape[1], half_life) for half_life in HALF_LIVES]
        self.queries = 0  # the number of observed queries
        self.shift = 0.0  # of all candidates' latest rewards against earlier ones; subtracted before learning
        self._errors = {option: np.zeros((2, self.candidates)) for option in OPTIONS}  # sums of squares, and counts
        self._apart = np.zeros((2, self.candidates))  # rewards minus predictions: their number and their sum
        self._fell = np.zeros(self.candidates, dtype=np.intp)  # the query at which each candidate's rewards last fell
        self._shifts: list[float] = []  # `shift` at each query
        first, *others = self.sums
        first.add(self._reduced(vectors), rewards)
        for sums in others:
            sums.take(first)

    def observe(self, vectors: NDArray[np.floating], rewards: Array) -> None:
        """Learn from the next queries, in order.

        Args:
            vectors: the vectors of the queries, shape (n, width).
            rewards: their rewards, shape (n, m), NaN where a reward is missing. A query may have no rewards.
        """
        for first in range(0, len(vectors), CHUNK):
            self._chunk(self._reduced(vectors[first : first + CHUNK]), rewards[first : first + CHUNK])

    def _chunk(self, x: Array, rewards: Array, divide: bool = True) -> None:
        oldest = self.sums[-1]
        taught = oldest.weights > 0
        compared = oldest.solve(PENALTIES[-1])(x)[:, taught], rewards[:, taught]
        shift = shared_shift(*compared)
        shift = self.shift if shift is None else shift
        if divide and abs(shift - self.shift) > spread(rewards):  # the shift began within the chunk
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
        """Forget most data of candidates whose rewards have fallen further below their predictions than usual."""
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
        """Learn from late rewards for earlier queries: those of a newcomer's answers to stored queries."""
        for sums in self.sums:
            sums.add(self._reduced(vectors), rewards - self.shift)

    def heed(self, vectors: NDArray[np.floating], rewards: Array, judged: Array, owners: Sequence[Hashable]) -> None:
        """Learn from people's feedback on the observed queries. Call this last.

        At every half-life, the feedback of one owner has at most LARGEST_SHARE of the total weight of a candidate's
        data; the weights of its single votes are reduced accordingly. If there is only feedback, all owners count
        equally. Feedback on a candidate from before its rewards fell is ignored.

        Args:
            vectors: the vectors of all observed queries, in order, shape (n, width).
            rewards: the observed rewards, replaced by feedback where there is any, shape (n, m).
            judged: the observed rewards, shape (n, m).
            owners: the owner of each query's feedback, n in all. None counts as an owner.
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
        """Each candidate's half-life and penalty: the longest half-life whose error is close to the smallest one."""
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
        """The linear router, which predicts rewards from vectors of full width."""
        linear = self._linear()
        return Linear(self.axes @ linear.weight, linear.bias)

    def _linear(self) -> Linear:
        """The linear router for projected vectors."""
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
    """The index of the candidate that a router chooses for each query, shape (n,). In a tie, the first one.

    Args:
        vectors: the vectors of the queries, shape (n, width).
        available: a mask of the candidates to choose from. By default, all of them.
    """
    predicted = router(np.asarray(vectors, dtype=np.float64))
    if available is not None:
        predicted[:, ~np.asarray(available)] = -np.inf
    return predicted.argmax(axis=1)
