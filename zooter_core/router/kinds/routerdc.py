"""Router kind `routerdc`: dual contrastive learning (RouterDC, arXiv 2409.19886), on the frozen encoder.

    logits(q) = cos(P q, k_i) / temperature
    loss = sample-LLM loss + spread * sample-sample loss

Differences from the paper: the encoder stays frozen and a projection P is learned in its place; a candidate counts as
good or bad on a query by the query's own mean score, not by 0.5, so that any scale of scores will do (on 0/1 scores it
is the same); clusters are k-means on the encoder's vectors, without t-SNE first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch.nn import functional

from zooter_core.router.clusters import k_means
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import EmbeddedHead, Lessons, descend


class ContrastiveHead(EmbeddedHead):
    """The paper has 3 positives, 3 negatives, 3 strangers, 5 clusters, spread 1 and temperature 1."""

    TRAINING: ClassVar[Mapping[str, float]] = {"hidden": 128, "dropout": 0.1, "epochs": 30, "batch": 64}
    OWN: ClassVar[Mapping[str, float]] = {
        "positives": 3,
        "negatives": 3,
        "strangers": 3,
        "clusters": 5,
        "spread": 1.0,
        "temperature": 1.0,
    }

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float, temperature: float = 1.0) -> None:
        super().__init__(width, candidates, hidden, dropout)
        self.temperature = temperature

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, float]:
        return {**super().plan(lessons, config), "temperature": cls.setting(config, "temperature")}

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        own = {name: self.setting(config, name) for name in self.OWN}
        vectors = functional.normalize(lessons.vectors, dim=-1)
        _, clusters = k_means(vectors, min(own["clusters"], len(vectors)))

        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            query = functional.normalize(self.query(lessons.vectors[rows]), dim=-1)
            loss = sample_llm_loss(self.compare(query), lessons.scores[rows], own["positives"], own["negatives"])
            alike = query @ query.T / self.temperature
            return loss + own["spread"] * sample_sample_loss(alike, clusters[rows], own["strangers"])

        descend(self, lessons, config, loss_of, progress)

    def compare(self, query: torch.Tensor) -> torch.Tensor:
        return query @ functional.normalize(self.candidates, dim=-1).T / self.temperature

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.compare(functional.normalize(self.query(vectors), dim=-1))


def sample_llm_loss(logits: torch.Tensor, scores: torch.Tensor, positives: int, negatives: int) -> torch.Tensor:
    """Equation 2: pull each of the best candidates to the query, away from the worst ones.

    For each of the `positives` best candidates above the query's mean score the cross-entropy of that candidate against
    the `negatives` worst below it; summed over the positives, mean over the batch. Shapes (batch, m).
    """
    level = scores.mean(dim=-1, keepdim=True)
    high, best = scores.topk(min(positives, scores.shape[1]), dim=-1)
    low, worst = scores.topk(min(negatives, scores.shape[1]), dim=-1, largest=False)
    against = logits.gather(1, worst).masked_fill(low >= level, -torch.inf)
    loss = logits.new_zeros(len(logits))
    for place in range(best.shape[1]):
        own = logits.gather(1, best[:, place : place + 1])
        each = torch.logsumexp(torch.cat([own, against], dim=-1), dim=-1) - own.squeeze(-1)
        loss = loss + torch.where(high[:, place] > level.squeeze(-1), each, 0.0)
    return loss.mean()


def sample_sample_loss(alike: torch.Tensor, clusters: torch.Tensor, strangers: int) -> torch.Tensor:
    """Equation 4: pull a query to one of its cluster in the batch, away from some of other clusters.

    Args:
        alike: similarities of shape (batch, batch).
        clusters: shape (batch,).
        strangers: how many of other clusters are drawn; all, where there are fewer.

    The mean over the queries that have another of their cluster in the batch, and one of another; zero where none has.
    """
    same = clusters.unsqueeze(0) == clusters.unsqueeze(1)
    mates = same & ~torch.eye(len(clusters), dtype=torch.bool)
    rows = mates.any(dim=-1) & (~same).any(dim=-1)
    if not rows.any():
        return alike.sum() * 0
    mate = torch.multinomial(mates[rows].float(), 1)
    drawn, others = torch.rand(alike.shape).masked_fill(same, -1.0)[rows].topk(min(strangers, len(clusters)), dim=-1)
    own = alike[rows].gather(1, mate)
    against = alike[rows].gather(1, others).masked_fill(drawn < 0, -torch.inf)
    return (torch.logsumexp(torch.cat([own, against], dim=-1), dim=-1) - own.squeeze(-1)).mean()
