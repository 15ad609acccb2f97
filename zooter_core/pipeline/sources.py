"""Scores to learn from that a router keeps of its own training."""

from __future__ import annotations

import numpy as np

from zooter_core.data.scores import Scores
from zooter_core.errors import ZooterError
from zooter_core.records import Query
from zooter_core.router.neighbours import Neighbours

LEAST = 2.0**-24  # the smallest share that a router's folder keeps (half precision); its logarithm is finite


def scores_of_neighbours(neighbours: Neighbours, tau: float = 1.0) -> Scores:
    """The training queries that a router keeps with their texts, and what the candidates earned there.

    A folder of an older version keeps no rewards. Relative ones stand in: tau log s, where s is a share of the label. A
    softmax at the same tau gives the shares back, so they are the rewards up to a number of each query's own: which
    candidate earned more and by how much is right, the level is not known.

    Raises:
        ZooterError: none of them has its text.
    """
    rows = [row for row, record in enumerate(neighbours.records) if record.get("text")]
    if not rows:
        raise ZooterError(
            "training queries with their texts in the router's folder",
            "none" if not neighbours.records else "queries without texts",
            "Make the router with `zooter distill --keep-texts`.",
        )
    kept = [neighbours.records[row] for row in rows]
    # Other ids than in the run: whether a query is held back goes by its id, and by their own none of these would be.
    queries = [Query(f"kept-{r['id']}", r["text"], r["dataset"], tuple(r["tags"])) for r in kept]
    if neighbours.outcomes is not None:
        return Scores(tuple(queries), neighbours.candidates, neighbours.outcomes.rewards[rows].astype(np.float64))
    shares = np.maximum(neighbours.labels[rows].astype(np.float64), LEAST)
    return Scores(tuple(queries), neighbours.candidates, tau * np.log(shares))
