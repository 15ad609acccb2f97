"""The learner: queries' vectors and whatever rewards they have, in the order in which they came -> a linear router.

It knows arrays alone, so that `zooter learn` and benchmarks/learn.py run the same code. The queries that the champion
was trained on come first and without an age: they begin to fade with the traffic. How fast is a setting; by default
several half-lives and penalties learn side by side, and the pair that predicted later rewards best gives the router.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.partial_rewards import Array, Linear, Sums, directions, prequential_error

HALF_LIVES = (250.0, 500.0, 1000.0, 2000.0, math.inf)  # queries
PENALTIES = (10.0, 30.0)
MEMORY = 500.0  # queries: the half-life of the errors by which a setting is chosen
FIRST = (500.0, 30.0)  # until an error is known
CHUNK = 100  # queries that are learned together, and the least between two choices of a setting


@dataclass(frozen=True)
class Learning:
    """The settings of a learner.

    Attributes:
        half_lives: in queries; one alone is used as it is.
        penalties: of the regressions.
    """

    half_lives: tuple[float, ...] = HALF_LIVES
    penalties: tuple[float, ...] = PENALTIES


DEFAULTS = Learning()


@dataclass
class _Errors:
    squares: float = 0.0
    count: float = 0.0

    @property
    def mean(self) -> float:
        return self.squares / self.count if self.count > 0 else math.inf


@dataclass
class Learner:
    """Learns from one chunk of queries after another.

    Attributes:
        candidates: how many there are.
        axes: the directions that vectors are reduced to, shape (width, k).
        settings: half-lives and penalties that learn side by side.
        queries: how many queries went by.
    """

    candidates: int
    axes: Array
    settings: Learning = DEFAULTS
    queries: int = 0
    _sums: list[Sums] = field(default_factory=list)
    _errors: dict[tuple[float, float], _Errors] = field(default_factory=dict)

    @classmethod
    def starting(cls, vectors: NDArray[np.floating], rewards: Array, settings: Learning = DEFAULTS) -> Learner:
        """A learner that knows the champion's training queries.

        Args:
            vectors: shape (n, width). rewards: shape (n, m), NaN where there is none.
        """
        learner = cls(rewards.shape[1], directions(vectors), settings)
        for sums in learner._every():
            sums.add(learner._reduced(vectors), rewards)
        return learner

    def observe(self, vectors: NDArray[np.floating], rewards: Array, weights: Array | None = None) -> None:
        """The next queries, in their order, with the rewards that are known of them.

        Args:
            vectors: shape (n, width). rewards: shape (n, m), NaN where there is none; a query may have none at all.
            weights: shape (n, m), how much each reward counts; 1 by default.
        """
        for first in range(0, len(vectors), CHUNK):
            rows = slice(first, first + CHUNK)
            self._chunk(self._reduced(vectors[rows]), rewards[rows], None if weights is None else weights[rows])

    def _chunk(self, x: Array, rewards: Array, weights: Array | None) -> None:
        ages = np.arange(len(x))[::-1].astype(np.float64)
        judged = bool(((~np.isnan(rewards)).sum(axis=1) > 1).any()) and len(self._options()) > 1
        for sums in self._every():
            if judged:
                for penalty in self.settings.penalties:
                    self._judge((sums.half_life, penalty), sums.solve(penalty)(x), rewards)
            sums.fade(len(x))
            sums.add(x, rewards, ages, weights)
        self.queries += len(x)

    def _judge(self, option: tuple[float, float], predicted: Array, rewards: Array) -> None:
        errors, (squares, count) = self._errors.setdefault(option, _Errors()), prequential_error(predicted, rewards)
        faded = 0.5 ** (len(rewards) / MEMORY)
        errors.squares, errors.count = errors.squares * faded + squares, errors.count * faded + count

    def catch_up(self, vectors: NDArray[np.floating], rewards: Array) -> None:
        """Rewards that were looked at later for queries that went by before: a newcomer's answers to stored ones."""
        for sums in self._every():
            sums.add(self._reduced(vectors), rewards)

    @property
    def chosen(self) -> tuple[float, float]:
        """The half-life and the penalty that predicted best, the longer half-life where two did alike."""
        options = self._options()
        if not self._errors:
            return min(options, key=lambda option: (abs(math.log(min(option[0], 1e9) / FIRST[0])), -option[1]))
        return min(options, key=lambda option: (self._errors[option].mean, -option[0]))

    def sums(self, half_life: float | None = None) -> Sums:
        """The sums of a half-life, of the chosen one by default."""
        half_life = self.chosen[0] if half_life is None else half_life
        return self._every()[self.settings.half_lives.index(half_life)]

    def router(self) -> Linear:
        """Predicted rewards for vectors of full width."""
        half_life, penalty = self.chosen
        reduced = self.sums(half_life).solve(penalty)
        return Linear(self.axes @ reduced.weight, reduced.bias)

    def weights(self) -> Array:
        """How many queries each candidate was learned from, the faded ones counted less, shape (m,)."""
        return self.sums().weights.copy()

    def _options(self) -> list[tuple[float, float]]:
        return [(half, penalty) for half in self.settings.half_lives for penalty in self.settings.penalties]

    def _every(self) -> list[Sums]:
        if not self._sums:
            width = self.axes.shape[1]
            self._sums = [Sums(self.candidates, width, half) for half in self.settings.half_lives]
        return self._sums

    def _reduced(self, vectors: NDArray[np.floating]) -> Array:
        return np.asarray(vectors, dtype=np.float64) @ self.axes


def choices(
    router: Linear, vectors: NDArray[np.floating], available: Sequence[bool] | NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """The candidate that a router chooses for each query, shape (n,); the first of those that are equally good.

    Args:
        available: which candidates may be chosen; all by default.
    """
    predicted = router(np.asarray(vectors, dtype=np.float64))
    if available is not None:
        predicted[:, ~np.asarray(available)] = -np.inf
    return predicted.argmax(axis=1)
