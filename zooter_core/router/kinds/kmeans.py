"""Router kind `kmeans`: the mean scores of the query's cluster (Avengers, arXiv 2505.19797).

The training queries are clustered by k-means on their unit vectors. A query's logits are the candidates' mean scores in
the cluster with the nearest centre. The paper's vote over several responses is left out, since only one candidate
answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from zooter_core.router.clusters import clusterings, nearest
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, unit
from zooter_core.router.kinds.base import Head, Lessons, mean_scores, zeros


class ClusterHead(Head):
    """A head whose only setting is the number of clusters (64 in the paper), which is at most the number of queries."""

    TRAINED = False
    EXTRA: ClassVar[Mapping[str, float]] = {"clusters": 32}

    def __init__(self, width: int, candidates: int, clusters: int) -> None:
        self.state = {"centres": zeros(clusters, width), "scores": zeros(clusters, candidates)}

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return {"clusters": min(int(cls.setting(config, "clusters")), len(lessons.vectors))}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        clusters = len(self.state["centres"])
        (centres,), (owners,) = clusterings(lessons.vectors, clusters, np.random.default_rng(config.seed))
        means = np.stack([mean_scores(lessons.scores[owners == cluster]) for cluster in range(clusters)])
        overall = mean_scores(lessons.scores)  # for clusters without scores
        self.state = {"centres": centres, "scores": np.where(np.isnan(means), overall, means)}

    def logits(self, vectors: Array) -> Array:
        return self.state["scores"][nearest(unit(vectors), self.state["centres"])]
