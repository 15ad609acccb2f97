"""Router kind `kmeans`: the mean scores of the query's cluster (Avengers, arXiv 2505.19797).

The training queries are clustered by k-means on their unit vectors; a query gets the candidates' mean scores in the
cluster with the nearest centre. The paper's vote over several responses is left out: here one candidate answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch.nn import functional

from zooter_core.router.clusters import clusterings, nearest
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import Head, Lessons, State, frozen, mean_scores


class ClusterHead(Head):
    """Its only setting is the number of clusters (64 in the paper), at most the number of queries."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"clusters": 32}
    COLUMNS: ClassVar[Mapping[str, int]] = {"scores": 1}

    def __init__(self, width: int, candidates: int, clusters: int) -> None:
        super().__init__()
        self.centres, self.scores = frozen(clusters, width), frozen(clusters, candidates)

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return {"clusters": min(int(cls.setting(config, "clusters")), len(lessons.vectors))}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        (centres,), (owners,) = clusterings(lessons.vectors, len(self.centres))
        self.centres.copy_(centres)
        self.scores.copy_(_means(lessons.scores, owners, len(centres)))

    def column(self, lessons: Lessons) -> State:
        owners = nearest(functional.normalize(lessons.vectors.float(), dim=-1), self.centres)
        return {"scores": _means(lessons.scores, owners, len(self.centres))}

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.scores[nearest(functional.normalize(vectors, dim=-1), self.centres)]


def _means(scores: torch.Tensor, owners: torch.Tensor, clusters: int) -> torch.Tensor:
    """Mean scores of each cluster, shape (clusters, m); a cluster without scores gets the mean over all."""
    overall = mean_scores(scores)
    means = torch.stack([mean_scores(scores[owners == cluster]) for cluster in range(clusters)])
    return torch.where(means.isnan(), overall, means)
