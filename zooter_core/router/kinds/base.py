"""The training data and the interface of heads of all router kinds."""

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
    """A head's training data: n queries, m candidates in pool order.

    Attributes:
        vectors: the vectors of the frozen encoder, shape (n, width); if there are many, in half precision and on disk.
        labels: the labels, shape (n, m), whose rows sum to one; enhanced if there are tags.
        scores: the scores, shape (n, m), relative to the query's mean and in units of their spread
            (`labels.normalise`); NaN where a candidate has no score.
    """

    vectors: NDArray[Any]
    labels: NDArray[np.float32]
    scores: NDArray[np.float32]

    def batch(self, rows: Rows | slice) -> NDArray[np.float32]:
        """The vectors of some queries, in single precision."""
        return np.asarray(self.vectors[rows], dtype=np.float32)


class Head:
    """Vectors of shape (batch, width) -> logits of shape (batch, m), whose softmax is the router's distribution.

    A head is created for training or from a router's folder, whose config.json holds the result of `plan`. In both
    cases, `__init__(width, candidates, **plan)` sets a state of the right shapes.

    Attributes:
        state: all weights by name, in single precision; stored in the router's folder.
    """

    TRAINED: ClassVar[bool] = True  # whether it is trained by gradient descent, in epochs
    EXTRA: ClassVar[Mapping[str, float]] = {}  # the kind's further settings, with their defaults

    state: State

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        """The keyword arguments of `__init__` for a head that is trained on this data."""
        return {"hidden": config.hidden, "dropout": config.dropout} if cls.TRAINED else {}

    @classmethod
    def setting(cls, config: DistillConfig, name: str) -> Any:
        """The value of a setting in EXTRA, from the config or by default."""
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
        """Train in place. All random numbers come from the config's seed."""
        raise NotImplementedError


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


def uniform(rng: np.random.Generator, most: float, shape: Sequence[int]) -> NDArray[np.float32]:
    """Random numbers between -most and most."""
    return (2 * rng.random(tuple(shape), dtype=np.float32) - 1) * np.float32(most)


def sums(
    lessons: Lessons, rows: Rows, scores: NDArray[np.float64], features: Callable[[Array], Array]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X'X, shape (d, d), and X'Y, shape (d, m), over some queries, in batches of AT_ONCE.

    Args:
        rows: the row numbers of the queries.
        scores: Y, shape (n, m), without missing scores in these rows.
        features: computes X, shape (batch, d), from vectors, shape (batch, width).
    """
    gram: NDArray[np.float64] | float = 0.0
    product: NDArray[np.float64] | float = 0.0
    for first in range(0, len(rows), AT_ONCE):
        part = rows[first : first + AT_ONCE]
        x = features(lessons.batch(part)).astype(np.float64)
        gram, product = gram + x.T @ x, product + x.T @ scores[part]
    return np.asarray(gram), np.asarray(product)


def mean_scores(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each candidate's mean score over the queries where it has a score, shape (m,); NaN if it has no scores."""
    counts = (~np.isnan(scores)).sum(axis=0)
    sums = np.nansum(scores, axis=0, dtype=np.float64)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0).astype(np.float32)
