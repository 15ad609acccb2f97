"""Router kind `knn`: the candidates' scores on the most similar training queries (arXiv 2505.12601, RouterBench).

    logits(q) = sum over the k nearest queries j of w_j scores_j,   w = softmax(cos(q, j) / temperature)

RouterBench (arXiv 2403.12031) has it as a baseline; arXiv 2505.12601 finds it as good as learned routers. The folder
holds the training queries' vectors (4 * width bytes each).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch.nn import functional

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import Head, Lessons, State, frozen

AT_ONCE = 1024  # queries that are compared with all others at once


class NearestHead(Head):
    """With k = 1 the logits are the nearest query's scores; a high temperature makes the mean unweighted."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"k": 100, "temperature": 0.1}
    COLUMNS: ClassVar[Mapping[str, int]] = {"scores": 1}

    def __init__(self, width: int, candidates: int, k: int, temperature: float, rows: int) -> None:
        super().__init__()
        self.k, self.temperature = min(int(k), rows), float(temperature)
        self.vectors = frozen(rows, width)
        self.scores = frozen(rows, candidates)

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        rows = len(lessons.vectors)
        k = min(int(cls.setting(config, "k")), rows)
        return {"k": k, "temperature": cls.setting(config, "temperature"), "rows": rows}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        self.vectors.copy_(functional.normalize(lessons.vectors.float(), dim=-1))
        self.scores.copy_(lessons.scores)
        for column in lessons.scores.isnan().any(dim=0).nonzero().flatten().tolist():
            gaps = lessons.scores[:, column].isnan()
            complete = Lessons(
                lessons.vectors[~gaps], lessons.labels[~gaps], lessons.scores[~gaps, column : column + 1]
            )
            self.scores[gaps, column] = self._predicted(complete, self.vectors[gaps])

    @torch.no_grad()
    def column(self, lessons: Lessons) -> State:
        """The scores that kNN predicts from these lessons for each of the training queries."""
        return {"scores": self._predicted(lessons, self.vectors).unsqueeze(-1)}

    def _predicted(self, lessons: Lessons, vectors: torch.Tensor) -> torch.Tensor:
        """The scores of one candidate, shape (n,), that kNN predicts for vectors, shape (n, width)."""
        other = NearestHead(lessons.vectors.shape[1], 1, self.k, self.temperature, len(lessons.vectors))
        other.fit(lessons, DistillConfig(), lambda epoch, loss: None)
        return torch.cat([other(part) for part in vectors.split(AT_ONCE)]).squeeze(-1)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        near, rows = (functional.normalize(vectors, dim=-1) @ self.vectors.T).topk(self.k, dim=-1)
        weights = torch.softmax(near / self.temperature, dim=-1)
        return torch.einsum("bk,bkm->bm", weights, self.scores[rows])
