"""Learning from whatever rewards there are: a ridge regression for each candidate, in which old queries fade.

    w_i = argmin  sum over t of 2^(-(T - t) / h) (r_i(t) - level - x(t) w)^2  +  penalty |w|^2

The sum is over the queries whose reward r_i(t) is known. t numbers the queries, T is the latest one, h the half-life in
queries. Everything follows from sums that fading multiplies by a constant, so a query costs the same however many went
before. x(t) is the query's vector in a few principal directions (`directions`), with a 1 in front.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DIRECTIONS = 128  # 64 to 256 choose about as well as all 768, and a refit takes milliseconds
INTERCEPT = 1.0  # the penalty on the intercept: one query whose reward is the level
FEWEST = 10  # rewards, from which on their mean says something
FALLEN, FAR = 3.0, 0.5  # standard errors, and spreads, by which rewards have fallen
ROUNDS, TOLERANCE = 1000, 1e-9  # of the search for the weights of opinions


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
    """What the regressions of m candidates need to know of the rewards so far, for one half-life.

    Attributes:
        squares: sum of u x x', shape (m, k, k), where u = 2^(-(T - t) / h); x has the constant 1 first.
        products: sum of u r x, shape (m, k).
        weights: sum of u, shape (m,): how many queries each candidate learns from, the faded ones counted less.
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
        """The mean reward over all candidates and queries; what a candidate without rewards is predicted to earn."""
        total = float(self.weights.sum())
        return float(self.products[:, 0].sum() / total) if total > 0 else 0.0

    def fade(self, queries: int) -> None:
        """Let some queries pass: what was learned before them counts less."""
        factor = 0.5 ** (queries / self.half_life)
        self.squares *= factor
        self.products *= factor

    def add(self, vectors: Array, rewards: Array, ages: Array | None = None) -> None:
        """Learn from n queries.

        Args:
            vectors: shape (n, width).
            rewards: shape (n, m), NaN where a candidate has none.
            ages: how many queries ago each of them was, shape (n,); 0 by default.
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
        """Change what n queries have taught of a candidate.

        Args:
            vectors: shape (n, width).
            changes: what each reward is to be raised by, or the reward of a query that had none, shape (n,).
            weights: of the changes, shape (n,).
            alone: which queries had no reward, shape (n,).
        """
        x = np.concatenate([np.ones((len(vectors), 1)), vectors], axis=1)
        scaled = x * weights[:, None]
        self.squares[candidate] += scaled[alone].T @ x[alone]
        self.products[candidate] += scaled.T @ changes

    def take(self, other: Sums) -> None:
        """What another half-life has learned, from queries without an age."""
        self.squares[:], self.products[:] = other.squares, other.products

    def forget(self, candidate: int, most: float) -> None:
        """Let all that was learned of a candidate count as `most` queries at most."""
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
    """What n opinions are multiplied by so that no owner's have more than a share of the total weight, shape (n,).

    The total is the weight of the rest and of what the opinions add to it. Each owner's opinions are multiplied by the
    largest number up to 1 for which this holds, in every row: all begin with 1, and the total falls with what is taken
    off until nothing changes.

    Args:
        weights: of the opinions, shape (h, n); added: what each adds to the total, shape (h, n).
        rest: the weight of everything else, shape (h,), above 0.
        owners: the number of each opinion's owner, shape (n,).
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
    """How far predictions were from rewards that came later, by candidate: the sum of squares and how many it sums.

    A query with a single reward does not count, since its reward was looked at because of the choice.

    Args:
        predicted: shape (n, m). rewards: shape (n, m), NaN where there is none.

    Returns:
        Shape (2, m).
    """
    apart = (predicted - rewards)[(~np.isnan(rewards)).sum(axis=1) > 1]
    return np.stack([np.nansum(apart**2, axis=0), (~np.isnan(apart)).sum(axis=0)])


def shared_shift(predicted: Array, rewards: Array) -> float | None:
    """How far the rewards of all candidates are above or below what was predicted: the least of their mean distances.

    It is 0 where these differ in sign or the least is within the rewards' spread, and None where fewer than two
    candidates or ten queries have rewards, or no query has two. What is left is no candidate that changed, but the
    reward model, or queries that are harder for all: it does not say who is better.

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
    """Whose rewards are lower than was predicted, while those of the others are not, shape (m,).

    A candidate's rewards must be below their predictions by half of the rewards' spread on average, and further below
    than those of all others by three standard errors (Welch), with ten rewards on either side. Learners that restart
    where such a test finds a change keep up with rewards that change at once (Cao et al., "Nearly optimal adaptive
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
    """The query from which on rewards differ from the predictions in another way than before: of all splits in two, the
    one whose halves are closest to their own means."""
    apart = rewards - predicted
    rows = np.flatnonzero(~np.isnan(apart).all(axis=1))
    sums, before = np.nanmean(apart[rows], axis=1).cumsum(), np.arange(1, len(rows))
    explained = sums[:-1] ** 2 / before + (sums[-1] - sums[:-1]) ** 2 / (len(rows) - before)
    return int(rows[explained.argmax() + 1])


def spread(rewards: Array) -> float:
    """The root mean square of what a reward differs from the mean of its query; 0 where no query has two.

    It is the scale on which a difference between candidates is large or small, whatever the reward model.
    """
    rewards = rewards[(~np.isnan(rewards)).sum(axis=1) > 1]
    if not len(rewards):
        return 0.0
    return float(np.sqrt(np.nanmean((rewards - np.nanmean(rewards, axis=1, keepdims=True)) ** 2)))
