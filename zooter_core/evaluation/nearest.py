"""The baseline kNN: a candidate's score on the most similar training queries (RouterBench, arXiv 2403.12031).

score(q) = sum over the k nearest queries j of w_j score_j,   w = softmax(cos(q, j) / temperature)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zooter_core.router.clusters import Vectors
from zooter_core.router.kinds.arrays import softmax, unit

Array = NDArray[np.float32]
NEIGHBOURS, TEMPERATURE = 100, 0.1
AT_ONCE = 1024  # queries that are compared with all others at once


def predicted(
    queries: Vectors, vectors: Array, scores: Array, k: int = NEIGHBOURS, temperature: float = TEMPERATURE
) -> Array:
    """The scores that kNN predicts, shape (n, m), by the k nearest training queries, or all where there are fewer.

    Args:
        queries: their vectors, shape (n, width), of any length and precision.
        vectors: of the training queries, of unit length, shape (t, width).
        scores: of the training queries, shape (t, m), none missing.
    """
    parts = []
    for first in range(0, max(1, len(queries)), AT_ONCE):
        part = unit(np.asarray(queries[first : first + AT_ONCE], dtype=np.float32))
        near, rows = _largest(part @ vectors.T, min(k, len(vectors)))
        weights = softmax(near / temperature)
        parts.append((weights[:, None] @ scores[rows])[:, 0])
    return np.concatenate(parts)


def completed(vectors: Array, scores: Array, k: int = NEIGHBOURS, temperature: float = TEMPERATURE) -> Array:
    """Scores of the training queries in which kNN has filled each gap, from the queries with that candidate's score."""
    full = scores.copy()
    for column in np.flatnonzero(np.isnan(scores).any(axis=0)):
        gaps = np.isnan(scores[:, column])
        scored = scores[~gaps, column : column + 1]
        full[gaps, column] = predicted(vectors[gaps], vectors[~gaps], scored, k, temperature)[:, 0]
    return full


def _largest(values: Array, count: int) -> tuple[Array, NDArray[np.intp]]:
    """The largest values of each row and their places, in any order. Of equal values the first ones count."""
    least = -np.partition(-values, count - 1, axis=-1)[:, count - 1 : count]
    above, equal = values > least, values == least
    room = count - above.sum(axis=-1, keepdims=True)
    places = np.nonzero(above | (equal & (equal.cumsum(axis=-1) <= room)))[1].reshape(-1, count)
    return np.take_along_axis(values, places, axis=-1), places
