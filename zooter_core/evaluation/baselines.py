"""Baselines with which a router is compared: simple rules and kNN.

kNN predicts a candidate's score from the most similar training queries (RouterBench, arXiv 2403.12031):

score(q) = sum over the k nearest queries j of w_j score_j,   w = softmax(cos(q, j) / temperature)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.scores import Scores
from zooter_core.method import metrics
from zooter_core.method.labels import normalise
from zooter_core.method.metrics import Array, mean
from zooter_core.method.mixture import chosen
from zooter_core.router.clusters import Vectors
from zooter_core.router.encoder import TextEncoder
from zooter_core.router.kinds.arrays import softmax, unit

Floats = NDArray[np.float32]
NEIGHBOURS, TEMPERATURE = 100, 0.1
AT_ONCE = 1024  # queries whose similarities to all training queries are in memory at once


def simple(scores: Scores, learned: Scores) -> dict[str, Array]:
    """The score of each simple rule's choice on each query of `scores`, shape (n,); NaN where the choice has no score.

    The rules are derived from `learned`. `best single` always chooses the candidate with the highest mean over data
    sets, `majority` the candidate that wins most queries, and `best per data set` the candidate with the highest mean
    in the query's data set (best single if the data set is new). Candidates with hardly any scores
    (`Scores.barely_scored`) are left out.
    """
    learned = learned.without_barely_scored()
    table = learned.scores
    means = metrics.group_means(table, learned.datasets)
    single = best_single(learned)
    majority = int(np.nanargmax(mean(metrics.win_shares(table), axis=0)))
    best = {name: int(np.nanargmax(row)) for name, row in means.items() if not np.isnan(row).all()}
    places = [best.get(name, single) for name in scores.datasets]
    return {
        "random": mean(scores.scores, axis=1),
        "best single": scores.scores[:, single],
        "majority": scores.scores[:, majority],
        "best per data set": scores.scores[np.arange(len(places)), places],
    }


def best_single(scores: Scores) -> int:
    """The index of the candidate with the highest mean over data sets, among those with enough scores."""
    means = metrics.group_means(scores.without_barely_scored().scores, scores.datasets)
    return int(np.nanargmax(mean(np.array(list(means.values())), axis=0)))


def nearest(scores: Scores, learned: Scores, encoder: TextEncoder) -> Array:
    """The score of kNN's choice on each query of `scores`, shape (n,).

    Args:
        scores, learned: scores to evaluate on and to learn from, with the candidates in the same order.
        encoder: the router's encoder.
    """
    vectors, learned_from = (encoder.embed_all([query.text for query in one.queries]) for one in (scores, learned))
    references = unit(learned_from.astype(np.float32))
    table = completed(references, normalise(learned.scores, "spread", ()).astype(np.float32))
    return chosen(predicted(vectors, references, table).astype(np.float64), scores.scores)


def predicted(
    queries: Vectors, vectors: Floats, scores: Floats, k: int = NEIGHBOURS, temperature: float = TEMPERATURE
) -> Floats:
    """The scores that kNN predicts from the k nearest training queries, shape (n, m).

    Args:
        queries: the queries' vectors, shape (n, width), of any norm and precision.
        vectors: the training queries' vectors, of unit norm, shape (t, width).
        scores: the training queries' scores, shape (t, m), without missing scores.
        k: the number of nearest queries; all queries are used if there are fewer.
    """
    parts = []
    for first in range(0, max(1, len(queries)), AT_ONCE):
        part = unit(np.asarray(queries[first : first + AT_ONCE], dtype=np.float32))
        near, rows = _largest(part @ vectors.T, min(k, len(vectors)))
        weights = softmax(near / temperature)
        parts.append((weights[:, None] @ scores[rows])[:, 0])
    return np.concatenate(parts)


def completed(vectors: Floats, scores: Floats, k: int = NEIGHBOURS, temperature: float = TEMPERATURE) -> Floats:
    """The training queries' scores without gaps: kNN predicts a candidate's missing scores from its other scores."""
    full = scores.copy()
    for column in np.flatnonzero(np.isnan(scores).any(axis=0)):
        gaps = np.isnan(scores[:, column])
        scored = scores[~gaps, column : column + 1]
        full[gaps, column] = predicted(vectors[gaps], vectors[~gaps], scored, k, temperature)[:, 0]
    return full


def _largest(values: Floats, count: int) -> tuple[Floats, NDArray[np.intp]]:
    """The largest values of each row and their indices, in any order. In a tie, the first values."""
    least = -np.partition(-values, count - 1, axis=-1)[:, count - 1 : count]
    above, equal = values > least, values == least
    room = count - above.sum(axis=-1, keepdims=True)
    places = np.nonzero(above | (equal & (equal.cumsum(axis=-1) <= room)))[1].reshape(-1, count)
    return np.take_along_axis(values, places, axis=-1), places
