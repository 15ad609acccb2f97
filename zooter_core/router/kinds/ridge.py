"""Router kind `ridge`: each candidate's score as a linear function of the vector, in closed form (arXiv 2505.12601).

    W = (X'X + penalty I)^-1 X'Y,   logits(q) = (q - mean x) W + mean y

X and Y are the training vectors and scores minus their means, so that the intercept is not penalised. It predicts a
candidate's score (its utility), where a classifier predicts who wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array
from zooter_core.router.kinds.base import Head, Lessons, State, zeros

AT_ONCE = 1 << 14  # queries whose vectors are in memory at once, in double precision


class RidgeHead(Head):
    """A large penalty leaves only the mean scores: the best single candidate for every query."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"penalty": 30.0}
    COLUMNS: ClassVar[Mapping[str, int]] = {"weight": 1, "bias": 0}

    def __init__(self, width: int, candidates: int) -> None:
        self.state = {"weight": zeros(width, candidates), "bias": zeros(candidates)}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        if np.isnan(lessons.scores).any():  # each candidate from the queries that have its score
            columns = [self.column(_scored(lessons, column)) for column in range(lessons.scores.shape[1])]
            self.state = {
                name: np.concatenate([one[name] for one in columns], axis) for name, axis in self.COLUMNS.items()
            }
            return
        parts, width = range(0, len(lessons.vectors), AT_ONCE), lessons.vectors.shape[1]
        batches = [slice(first, first + AT_ONCE) for first in parts]
        scores = lessons.scores.astype(np.float64)
        level = scores.mean(axis=0)
        centre = sum(lessons.vectors[rows].sum(axis=0, dtype=np.float64) for rows in batches) / len(scores)
        square = self.setting(config, "penalty") * np.eye(width)
        product = np.zeros((width, scores.shape[1]))
        for rows in batches:
            x = lessons.vectors[rows] - centre
            square += x.T @ x
            product += x.T @ (scores[rows] - level)
        weight = np.linalg.solve(square, product)
        self.state = {"weight": weight.astype(np.float32), "bias": (level - centre @ weight).astype(np.float32)}

    def column(self, lessons: Lessons) -> State:
        other = RidgeHead(lessons.vectors.shape[1], 1)
        other.fit(lessons, DistillConfig(), lambda epoch, loss: None)
        return other.state

    def logits(self, vectors: Array) -> Array:
        return vectors @ self.state["weight"] + self.state["bias"]


def _scored(lessons: Lessons, column: int) -> Lessons:
    """The queries with a score of one candidate, and that score alone."""
    rows = ~np.isnan(lessons.scores[:, column])
    scores = lessons.scores[rows, column : column + 1]
    return Lessons(lessons.vectors[rows], scores, scores)
