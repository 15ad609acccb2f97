"""Router kind `ridge`: each candidate's score as a linear function of the vector, in closed form (arXiv 2505.12601).

    W = (X'X + penalty I)^-1 X'Y,   logits(q) = (q - mean x) W + mean y

X and Y are the training vectors and scores minus their means, so that the intercept is not penalised. It predicts a
candidate's score (its utility), where a classifier predicts who wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import Head, Lessons, State, frozen

AT_ONCE = 1 << 14  # queries whose vectors are in memory at once, in double precision


class RidgeHead(Head):
    """A large penalty leaves only the mean scores: the best single candidate for every query."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"penalty": 30.0}
    COLUMNS: ClassVar[Mapping[str, int]] = {"weight": 1, "bias": 0}

    def __init__(self, width: int, candidates: int) -> None:
        super().__init__()
        self.weight, self.bias = frozen(width, candidates), frozen(candidates)

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        if lessons.scores.isnan().any():  # each candidate from the queries that have its score
            for column in range(lessons.scores.shape[1]):
                state = self.column(_scored(lessons, column))
                self.weight[:, column], self.bias[column] = state["weight"][:, 0], state["bias"][0]
            return
        parts, width = range(0, len(lessons.vectors), AT_ONCE), lessons.vectors.shape[1]
        batches = [slice(first, first + AT_ONCE) for first in parts]
        level, scores = lessons.scores.double().mean(dim=0), lessons.scores
        centre = sum(lessons.vectors[rows].double().sum(dim=0) for rows in batches) / len(scores)
        square = self.setting(config, "penalty") * torch.eye(width, dtype=torch.float64)
        product = torch.zeros(width, scores.shape[1], dtype=torch.float64)
        for rows in batches:
            x = lessons.vectors[rows].double() - centre
            square += x.T @ x
            product += x.T @ (scores[rows].double() - level)
        weight = torch.linalg.solve(square, product)
        self.weight.copy_(weight)
        self.bias.copy_(level - centre @ weight)

    def column(self, lessons: Lessons) -> State:
        other = RidgeHead(lessons.vectors.shape[1], 1)
        other.fit(lessons, DistillConfig(), lambda epoch, loss: None)
        return other.state_dict()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors @ self.weight + self.bias


def _scored(lessons: Lessons, column: int) -> Lessons:
    """The queries with a score of one candidate, and that score alone."""
    rows = ~lessons.scores[:, column].isnan()
    scores = lessons.scores[rows, column : column + 1]
    return Lessons(lessons.vectors[rows], scores, scores)
