"""Router kind `knn`: the candidates' scores on the most similar training queries (arXiv 2505.12601, RouterBench).

    logits(q) = sum over the k nearest queries j of w_j scores_j,   w = softmax(cos(q, j) / temperature)

RouterBench (arXiv 2403.12031) has it as a baseline; arXiv 2505.12601 finds it as good as learned routers. The folder
holds the training queries' vectors (4 * width bytes each).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, softmax, top, unit
from zooter_core.router.kinds.base import Head, Lessons, State, zeros

AT_ONCE = 1024  # queries that are compared with all others at once


class NearestHead(Head):
    """With k = 1 the logits are the nearest query's scores; a high temperature makes the mean unweighted."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"k": 100, "temperature": 0.1}
    COLUMNS: ClassVar[Mapping[str, int]] = {"scores": 1}

    def __init__(self, width: int, candidates: int, k: int, temperature: float, rows: int) -> None:
        self.k, self.temperature = min(int(k), rows), float(temperature)
        self.state = {"vectors": zeros(rows, width), "scores": zeros(rows, candidates)}

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        rows = len(lessons.vectors)
        k = min(int(cls.setting(config, "k")), rows)
        return {"k": k, "temperature": cls.setting(config, "temperature"), "rows": rows}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        vectors, scores = unit(lessons.batch(slice(None))), lessons.scores.copy()
        for column in np.flatnonzero(np.isnan(scores).any(axis=0)):
            gaps = np.isnan(scores[:, column])
            complete = Lessons(
                lessons.vectors[~gaps], lessons.labels[~gaps], lessons.scores[~gaps, column : column + 1]
            )
            scores[gaps, column] = self._predicted(complete, vectors[gaps])
        self.state = {"vectors": vectors, "scores": scores}

    def column(self, lessons: Lessons) -> State:
        """The scores that kNN predicts from these lessons for each of the training queries."""
        return {"scores": self._predicted(lessons, self.state["vectors"])[:, np.newaxis]}

    def _predicted(self, lessons: Lessons, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of one candidate, shape (n,), that kNN predicts for vectors, shape (n, width)."""
        other = NearestHead(lessons.vectors.shape[1], 1, self.k, self.temperature, len(lessons.vectors))
        other.fit(lessons, DistillConfig(), lambda epoch, loss: None)
        parts = [other.logits(vectors[n : n + AT_ONCE]) for n in range(0, len(vectors), AT_ONCE)]
        return np.concatenate(parts)[:, 0]

    def logits(self, vectors: Array) -> Array:
        near, rows = top(unit(vectors) @ self.state["vectors"].T, self.k)
        weights = softmax(near / self.temperature)
        return (weights[:, None] @ self.state["scores"][rows])[:, 0]
