"""Learning from partial rewards: a ridge regression per candidate, in which the weights of old queries decay.

    w_i = argmin  sum over t of 2^(-(T - t) / h) (r_i(t) - level - x(t) w)^2  +  penalty |w|^2

The sum is over the queries whose reward r_i(t) is known. t numbers the queries, T is the latest one, h the half-life in
queries. The weights follow from sums, which are multiplied by a constant as they decay, so the cost of a query does not
grow with the number of queries. x(t) is the query's vector in a few principal directions (`directions`), after a 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DIRECTIONS = 128  # 64 to 256 choose about as well as all 768, and a refit takes milliseconds
INTERCEPT = 1.0  # the penalty on the intercept; equivalent to one query whose reward is the level
FEWEST = 10  # rewards for a mean that can be relied on
FALLEN, FAR = 3.0, 0.5  # the least fall of rewards, in standard errors and in spreads
ROUNDS, TOLERANCE = 1000, 1e-9  # of the iteration in `capped`


@dataclass(frozen=True)
class Linear:
    """Predicted rewards x @ weight + bias: weight of shape (width, m), bias (m,)."""

    weight: Array
    bias: Array

    def __call__(self, vectors: Array) -> Array:
        return np.asarray(vectors, dtype=np.float64) @ self.weight + self.bias


def directions(vectors: NDArray[np.floating], most: int = DIRECTIONS) -> Array:
    """The principal directions of some queries' vectors (not centred), shape (width, at most `most`), orthonormal."""
    rows = np.asarray(vectors, dtype=np.float64)
    values, axes = _eigen((rows.T @ rows).tobytes())
    used = int(min(most, (values > 1e-9 * max(values[-1], 1e-300)).sum()))
    return np.ascontiguousarray(axes[:, ::-1][:, :used])


@lru_cache(maxsize=1)  # each refit of a learner starts with the same queries
def _eigen(matrix: bytes) -> tuple[Array, Array]:
    """The eigenvalues and eigenvectors of a symmetric matrix."""
    numbers = np.frombuffer(matrix)
    values, axes = np.linalg.eigh(numbers.reshape(math.isqrt(len(numbers)), -1))
    return values, axes


class Sums:
    """The sufficient statistics of the regressions of m candidates, for one half-life.

    Attributes:
        squares: sum of u x x', shape (m, k, k), where u = 2^(-(T - t) / h); x has the constant 1 first.
        products: sum of u r x, shape (m, k).
        weights: sum of u, shape (m,): the effective number of queries that each candidate has learned from.
    """

    def __init__(self, candidates: int, width: int, half_life: float) -> None:
        self.half_life = half_life
        self.squares = np.zeros((candidates, width + 1, width + 1))
        self.products = np.zeros((candidates, width + 1))

    @property
    def weights(self) -> Array:
        return self.squares[:, 0, 0]

    @property
    def level(self) -> float:
        """The mean reward over all candidates and queries, which is the prediction for a candidate without rewards."""
        total = float(self.weights.sum())
        return float(self.products[:, 0].sum() / total) if total > 0 else 0.0

    def fade(self, queries: int) -> None:
        """Decay the sums by a number of queries."""
        factor = 0.5 ** (queries / self.half_life)
        self.squares *= factor
        self.products *= factor

    def add(self, vectors: Array, rewards: Array, ages: Array | None = None) -> None:
        """Add n queries to the sums.

        Args:
            vectors: shape (n, width).
            rewards: shape (n, m), NaN where a candidate has none.
            ages: the number of queries since each of them, shape (n,); 0 by default.
        """
        x = np.concatenate([np.ones((len(vectors), 1)), vectors], axis=1)
        faded = np.ones(len(x)) if ages is None else 0.5 ** (ages / self.half_life)
        for column in range(rewards.shape[1]):
            rows = np.flatnonzero(~np.isnan(rewards[:, column]))
            if not len(rows):
                continue
            scaled = x[rows] * faded[rows, None]
            self.squares[column] += scaled.T @ x[rows]
            self.products[column] += scaled.T @ rewards[rows, column]

    def amend(self, candidate: int, vectors: Array, changes: Array, weights: Array, alone: NDArray[np.bool_]) -> None:
        """Change a candidate's rewards on n queries that are in the sums.

        Args:
            vectors: shape (n, width).
            changes: the amount to add to each reward, or the reward itself for a query without one, shape (n,).
            weights: the weights of the changes, shape (n,).
            alone: which queries had no reward, shape (n,).
        """
        x = np.concatenate([np.ones((len(vectors), 1)), vectors], axis=1)
        scaled = x * weights[:, None]
        self.squares[candidate] += scaled[alone].T @ x[alone]
        self.products[candidate] += scaled.T @ changes

    def take(self, other: Sums) -> None:
        """Copy the sums of another half-life, all of whose queries have age 0."""
        self.squares[:], self.products[:] = other.squares, other.products

    def forget(self, candidate: int, most: float) -> None:
        """Scale a candidate's sums down, so that they count as at most `most` queries."""
        factor = min(1.0, most / max(float(self.weights[candidate]), 1e-300))
        self.squares[candidate] *= factor
        self.products[candidate] *= factor

    def solve(self, penalty: float) -> Linear:
        """The regressions' weights in the space of the sums."""
        level = self.level
        right = self.products - level * self.squares[:, 0]
        answer = np.linalg.solve(self.penalised(penalty), right[..., None])[..., 0]
        return Linear(
            np.ascontiguousarray(answer[:, 1:].T, dtype=np.float64), np.asarray(answer[:, 0] + level, dtype=np.float64)
        )

    def penalised(self, penalty: float) -> Array:
        """The squares with the penalty on the diagonal, shape (m, k, k)."""
        ridge = np.full(self.squares.shape[1], penalty)
        ridge[0] = INTERCEPT
        return self.squares + np.diag(ridge)


def capped(weights: Array, added: Array, rest: Array, owners: NDArray[np.intp], share: float) -> Array:
    """Factors for n opinions that limit each owner's opinions to a share of the total weight, shape (n,).

    The total is the weight of the rest plus the weight that the opinions add. An owner's factor is the largest number
    up to 1 for which the limit holds in every row. Since smaller factors reduce the total, the factors are found by
    iteration, starting from 1.

    Args:
        weights: the weights of the opinions, shape (h, n).
        added: the weight that each opinion adds to the total, shape (h, n).
        rest: the weight of everything else, shape (h,), above 0.
        owners: the number of each opinion's owner, shape (n,).
        share: the largest share of an owner.
    """
    _, codes = np.unique(owners, return_inverse=True)
    sizes, adds = (np.stack([np.bincount(codes, row) for row in table]) for table in (weights, added))
    factors = np.ones(sizes.shape[1])
    for _ in range(ROUNDS):
        before = factors
        factors = np.minimum(before, (share * (rest + adds @ before)[:, None] / sizes).min(axis=0))
        if np.abs(factors - before).max() < TOLERANCE:
            break
    return np.asarray(factors[codes])


def prequential_errors(predicted: Array, rewards: Array) -> Array:
    """The errors of predictions of later rewards, by candidate: the sum of their squares, and their number.

    Queries with a single reward are left out, since the router's choice decided which candidate has it.

    Args:
        predicted: shape (n, m). rewards: shape (n, m), NaN where there is none.

    Returns:
        Shape (2, m).
    """
    apart = (predicted - rewards)[(~np.isnan(rewards)).sum(axis=1) > 1]
    return np.stack([np.nansum(apart**2, axis=0), (~np.isnan(apart)).sum(axis=0)])


def shared_shift(predicted: Array, rewards: Array) -> float | None:
    """The shift of all candidates' rewards against the predictions: the smallest of the candidates' mean differences.

    It is 0 if the differences have different signs or the smallest is within the rewards' spread, and None if fewer
    than two candidates or ten queries have rewards, or no query has two. A shared shift does not come from a candidate
    but from the reward model, or from queries that are harder for all, so it says nothing about which one is better.

    Args:
        predicted: shape (n, m). rewards: shape (n, m), NaN where there is none.
    """
    apart = rewards - predicted
    if (~np.isnan(apart)).any(axis=1).sum() < FEWEST:
        return None
    means = np.nanmean(apart[:, ~np.isnan(apart).all(axis=0)], axis=0)
    size = spread(rewards)
    if len(means) < 2 or not size:
        return None
    least = float(means[np.abs(means).argmin()])
    alike = np.sign(means).min() == np.sign(means).max()
    return least if alike and abs(least) > size else 0.0


def fallen(predicted: Array, rewards: Array) -> NDArray[np.bool_]:
    """Which candidates' rewards are lower than predicted, while those of the others are not, shape (m,).

    On average, a candidate's rewards must be below their predictions by half of the rewards' spread, and further below
    than those of all others by three standard errors (Welch), with at least ten rewards on each side. Learners that
    restart when such a test detects a change adapt to abrupt changes of rewards (Cao et al., "Nearly optimal adaptive
    procedure with change detection for piecewise-stationary bandit", AISTATS 2019).

    Args:
        predicted: shape (n, m). rewards: shape (n, m), NaN where there is none.
    """
    apart, size = rewards - predicted, spread(rewards)
    result = np.zeros(apart.shape[1], dtype=bool)
    for candidate in range(len(result) if size else 0):
        its, others = apart[:, candidate], np.delete(apart, candidate, axis=1)
        its, others = its[~np.isnan(its)], others[~np.isnan(others)]
        if min(len(its), len(others)) >= FEWEST:
            error = np.sqrt(its.var(ddof=1) / len(its) + others.var(ddof=1) / len(others))
            result[candidate] = its.mean() < -FAR * size and others.mean() - its.mean() > FALLEN * error
    return result


def onset(predicted: Array, rewards: Array) -> int:
    """The first query after a change in the differences between rewards and predictions: of all splits in two parts,
    the one with the smallest variance within the parts."""
    apart = rewards - predicted
    rows = np.flatnonzero(~np.isnan(apart).all(axis=1))
    sums, before = np.nanmean(apart[rows], axis=1).cumsum(), np.arange(1, len(rows))
    explained = sums[:-1] ** 2 / before + (sums[-1] - sums[:-1]) ** 2 / (len(rows) - before)
    return int(rows[explained.argmax() + 1])


def spread(rewards: Array) -> float:
    """The root mean square of the differences between rewards and their query's mean; 0 if no query has two rewards.

    It is the unit in which differences between candidates can be compared across reward models.
    """
    rewards = rewards[(~np.isnan(rewards)).sum(axis=1) > 1]
    if not len(rewards):
        return 0.0
    return float(np.sqrt(np.nanmean((rewards - np.nanmean(rewards, axis=1, keepdims=True)) ** 2)))
