"""Router kind `ridge`: each candidate's score as a linear function of the vector, in closed form (arXiv 2505.12601).

    W = (X'X + penalty I)^-1 X'Y,   logits(q) = (q - mean x) W + mean y

X and Y are the training vectors and scores minus their means: the intercept is a weight without a penalty. It predicts
a candidate's score (its utility), where a classifier predicts who wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from zooter_core.method.evidence import scored_alike
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array
from zooter_core.router.kinds.base import Head, Lessons, State, sums, zeros


class RidgeHead(Head):
    """A large penalty leaves only the mean scores: the best single candidate for every query."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"penalty": 30.0}
    COLUMNS: ClassVar[Mapping[str, int]] = {"weight": 1, "bias": 0}

    def __init__(self, width: int, candidates: int) -> None:
        self.state = {"weight": zeros(width, candidates), "bias": zeros(candidates)}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        width, scores = lessons.vectors.shape[1], lessons.scores.astype(np.float64)
        penalties = np.diag([0.0, *[self.setting(config, "penalty")] * width])
        weights = np.zeros((1 + width, scores.shape[1]))
        for scored, columns in scored_alike(scores):  # each candidate from the queries that have its score
            gram, product = sums(lessons, np.flatnonzero(scored), scores[:, columns], with_one)
            weights[:, columns] = np.linalg.solve(gram + penalties, product)
        self.state = {"weight": weights[1:].astype(np.float32), "bias": weights[0].astype(np.float32)}

    def column(self, lessons: Lessons) -> State:
        other = RidgeHead(lessons.vectors.shape[1], 1)
        other.fit(lessons, DistillConfig(), lambda epoch, loss: None)
        return other.state

    def logits(self, vectors: Array) -> Array:
        return vectors @ self.state["weight"] + self.state["bias"]


def with_one(vectors: Array) -> Array:
    """Vectors with a 1 in front."""
    return np.insert(vectors, 0, 1.0, axis=1)
