"""Simple ways to choose a candidate, which a router has to beat."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.data.scores import Scores
from zooter_core.method import metrics
from zooter_core.router.distill import fit_head
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import settings_of

Array = NDArray[np.float64]


def simple(scores: Scores, learned: Scores) -> dict[str, Array]:
    """What simple rules earn a query of `scores`, shape (n,), when they are made from `learned`.

    `best single` is the candidate with the highest mean over data sets, `majority` the one that wins most queries, and
    `best a data set` the one with the highest mean in the query's own (best single where that was not learned from).
    """
    table = learned.scores
    means = metrics.group_means(table, learned.datasets)
    single = int(np.mean(list(means.values()), axis=0).argmax())
    majority = int(metrics.win_shares(table).mean(axis=0).argmax())
    places = [int(means[name].argmax()) if name in means else single for name in scores.datasets]
    return {
        "random": scores.scores.mean(axis=1),
        "best single": scores.scores[:, single],
        "majority": scores.scores[:, majority],
        "best a data set": scores.scores[np.arange(len(places)), places],
    }


def nearest(scores: Scores, learned: Scores, encoder: Encoder) -> Array:
    """What kNN earns a query, at its default settings and on the router's own vectors; one order of candidates."""
    vectors = encoder.embed_all([query.text for query in learned.queries])
    head = fit_head(vectors, learned.scores, learned.candidates, encoder.reference, settings_of("knn"))
    asked = torch.from_numpy(encoder.embed([query.text for query in scores.queries]))  # remembered
    with torch.inference_mode():
        chosen = head(asked).argmax(dim=-1).numpy()
    return scores.scores[np.arange(len(chosen)), chosen]
