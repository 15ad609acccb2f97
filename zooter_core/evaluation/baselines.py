"""Simple ways to choose a candidate that a router has to beat."""

from __future__ import annotations

import numpy as np

from zooter_core.data.scores import Scores
from zooter_core.method import metrics
from zooter_core.method.metrics import Array, mean
from zooter_core.router.distill import fit_head
from zooter_core.router.kinds import settings_of
from zooter_core.router.text_encoder import TextEncoder


def simple(scores: Scores, learned: Scores) -> dict[str, Array]:
    """The score that simple rules learned from `learned` get on each query of `scores`, shape (n,); NaN for no score.

    `best single` is the candidate with the highest mean over data sets, `majority` the one that wins most queries, and
    `best a data set` the one with the highest mean in the query's data set (best single where that is a new one).
    """
    table = learned.scores
    means = metrics.group_means(table, learned.datasets)
    single = int(np.nanargmax(mean(np.array(list(means.values())), axis=0)))
    majority = int(np.nanargmax(mean(metrics.win_shares(table), axis=0)))
    best = {name: int(np.nanargmax(row)) for name, row in means.items()}
    places = [best.get(name, single) for name in scores.datasets]
    return {
        "random": mean(scores.scores, axis=1),
        "best single": scores.scores[:, single],
        "majority": scores.scores[:, majority],
        "best a data set": scores.scores[np.arange(len(places)), places],
    }


def nearest(scores: Scores, learned: Scores, encoder: TextEncoder) -> Array:
    """The score that kNN gets on each query, shape (n,), with its default settings and the router's encoder.

    Args:
        scores, learned: with the candidates in the same order.
    """
    references = encoder.embed_all([query.text for query in learned.queries])
    head = fit_head(references, learned.scores, learned.candidates, encoder.reference, settings_of("knn"))
    chosen = head.logits(encoder.embed_all([query.text for query in scores.queries])).argmax(axis=1)
    return scores.scores[np.arange(len(chosen)), chosen]
