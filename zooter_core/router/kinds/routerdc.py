"""Router kind `routerdc`: dual contrastive learning (RouterDC, arXiv 2409.19886), on the frozen encoder.

    logits(q) = cos(P q, k_i) / temperature
    loss = sample-LLM loss + spread * sample-sample loss

Differences from the paper: the encoder stays frozen and a projection P is learned instead; a candidate counts as good
on a query if it is above the query's mean score, not above 0.5, so that any scale of scores works (on 0/1 scores it is
the same); clusters are k-means on the encoder's vectors, without t-SNE first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from zooter_core.router.clusters import clusterings
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.kinds.arrays import Array, unit
from zooter_core.router.kinds.base import EmbeddedHead, Lessons, Rows

if TYPE_CHECKING:
    from torch import Tensor


class ContrastiveHead(EmbeddedHead):
    """The paper has 3 positives, 3 negatives, 3 strangers, 5 clusters, spread 1 and temperature 1."""

    TRAINING: ClassVar[Mapping[str, float]] = {**EmbeddedHead.TRAINING, "batch": 64}
    EXTRA: ClassVar[Mapping[str, float]] = {
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

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        import torch

        settings = {name: self.setting(config, name) for name in self.EXTRA}
        most, rng = min(settings["clusters"], len(lessons.vectors)), np.random.default_rng(config.seed)
        _, (owners,) = clusterings(lessons.vectors, most, rng)
        clusters, scores = torch.from_numpy(owners), torch.from_numpy(lessons.scores)

        def loss_of(head: Self, rows: Rows) -> Tensor:
            query = unit(head.query(torch.from_numpy(lessons.batch(rows))))
            good, bad = settings["positives"], settings["negatives"]
            loss = sample_llm_loss(head.compare(query), scores[rows], good, bad)
            similarities = query @ query.T / self.temperature
            return loss + settings["spread"] * sample_sample_loss(similarities, clusters[rows], settings["strangers"])

        return loss_of

    def compare(self, query: Array) -> Array:
        return query @ unit(self.state["candidates"]).T / self.temperature

    def logits(self, vectors: Array) -> Array:
        return self.compare(unit(self.query(vectors)))


def sample_llm_loss(logits: Tensor, scores: Tensor, positives: int, negatives: int) -> Tensor:
    """Equation 2: pull each of the best candidates to the query, away from the worst ones.

    The cross-entropy of each of the `positives` best candidates above the query's mean score against the `negatives`
    worst below it; summed over the positives, mean over the batch. Shapes (batch, m).
    """
    import torch

    level = scores.nanmean(dim=-1, keepdim=True)  # a missing score is neither good nor bad
    high, best = scores.nan_to_num(-torch.inf).topk(min(positives, scores.shape[1]), dim=-1)
    low, worst = scores.nan_to_num(torch.inf).topk(min(negatives, scores.shape[1]), dim=-1, largest=False)
    against = logits.gather(1, worst).masked_fill(low >= level, -torch.inf)
    loss = logits.new_zeros(len(logits))
    for place in range(best.shape[1]):
        good = logits.gather(1, best[:, place : place + 1])
        losses = torch.logsumexp(torch.cat([good, against], dim=-1), dim=-1) - good.squeeze(-1)
        loss = loss + torch.where(high[:, place] > level.squeeze(-1), losses, 0.0)
    return loss.mean()


def sample_sample_loss(similarities: Tensor, clusters: Tensor, strangers: int) -> Tensor:
    """Equation 4: pull a query to one of its cluster in the batch, away from some of other clusters.

    The mean over the queries with another query of their cluster and one of another cluster in the batch; zero where
    there is none.

    Args:
        similarities: shape (batch, batch).
        clusters: shape (batch,).
        strangers: how many of other clusters are drawn; all, where there are fewer.
    """
    import torch

    same = clusters.unsqueeze(0) == clusters.unsqueeze(1)
    mates = same & ~torch.eye(len(clusters), dtype=torch.bool)
    rows = mates.any(dim=-1) & (~same).any(dim=-1)
    if not rows.any():
        return similarities.sum() * 0
    mate = torch.multinomial(mates[rows].float(), 1)
    drawn, others = (
        torch.rand(similarities.shape).masked_fill(same, -1.0)[rows].topk(min(strangers, len(clusters)), dim=-1)
    )
    together = similarities[rows].gather(1, mate)
    against = similarities[rows].gather(1, others).masked_fill(drawn < 0, -torch.inf)
    return (torch.logsumexp(torch.cat([together, against], dim=-1), dim=-1) - together.squeeze(-1)).mean()
