"""What the router kinds share: the data that a head learns from, and its interface."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array

AT_ONCE = 1 << 14  # queries whose features are in memory at once, in double precision
State = dict[str, Array]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Lessons:
    """The data that a head learns from: n queries, m candidates in pool order.

    Attributes:
        vectors: shape (n, width), of the frozen encoder; in half precision, and on the disk, where there are many.
        labels: shape (n, m), rows sum to one; enhanced where there are tags.
        scores: shape (n, m), relative to the query's mean and in units of their spread (`labels.normalise`); NaN where
            a candidate has none.
    """

    vectors: NDArray[Any]
    labels: NDArray[np.float32]
    scores: NDArray[np.float32]

    def batch(self, rows: Rows | slice) -> NDArray[np.float32]:
        """The vectors of some queries, in single precision."""
        return np.asarray(self.vectors[rows], dtype=np.float32)


class Head:
    """Vectors of shape (batch, width) -> logits of shape (batch, m), whose softmax is the router's distribution.

    A head is built in two ways: for training, and from a router folder, whose config.json has what `plan` returned.
    Both call `__init__(width, candidates, **plan)`, which sets a state of the right shapes.

    Attributes:
        state: everything learned, by name, in single precision; the router's folder has it.
    """

    TRAINED: ClassVar[bool] = True  # by gradient descent, in epochs
    EXTRA: ClassVar[Mapping[str, float]] = {}  # further settings of this kind, with their defaults

    state: State

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        """The keyword arguments of `__init__` for a head that learns from these lessons."""
        return {"hidden": config.hidden, "dropout": config.dropout} if cls.TRAINED else {}

    @classmethod
    def setting(cls, config: DistillConfig, name: str) -> Any:
        """One of EXTRA: from the config, else its default."""
        return config.extra.get(name, cls.EXTRA[name])

    def on(self, state: State) -> Self:
        """The same head with another state."""
        other = copy.copy(self)
        other.state = state
        return other

    def logits(self, vectors: Array) -> Array:
        """Shape (batch, m)."""
        raise NotImplementedError

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        """Learn, in place, with random numbers from the config's seed alone."""
        raise NotImplementedError


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def uniform(rng: np.random.Generator, most: float, shape: Sequence[int]) -> NDArray[np.float32]:
    """Numbers between -most and most."""
    return (2 * rng.random(tuple(shape), dtype=np.float32) - 1) * np.float32(most)


def sums(
    lessons: Lessons, rows: Rows, scores: NDArray[np.float64], features: Callable[[Array], Array]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X'X, shape (d, d), and X'Y, shape (d, m), over some queries, of which AT_ONCE are in memory at once.

    Args:
        scores: Y, shape (n, m), none missing on these queries.
        features: vectors, shape (batch, width) -> X, shape (batch, d).
    """
    gram: NDArray[np.float64] | float = 0.0
    product: NDArray[np.float64] | float = 0.0
    for first in range(0, len(rows), AT_ONCE):
        part = rows[first : first + AT_ONCE]
        x = features(lessons.batch(part)).astype(np.float64)
        gram, product = gram + x.T @ x, product + x.T @ scores[part]
    return np.asarray(gram), np.asarray(product)


def mean_scores(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean score of each candidate, shape (m,), over the queries that have one; NaN for none."""
    counts = (~np.isnan(scores)).sum(axis=0)
    sums = np.nansum(scores, axis=0, dtype=np.float64)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0).astype(np.float32)
