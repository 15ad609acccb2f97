"""Router kind `mf`: matrix factorisation on pairwise wins (RouteLLM, arXiv 2406.18665, section 4.2).

    logits(q)_i = v_i . (P q + b),   P(i beats j on q) = sigmoid(logits_i - logits_j)

The Bradley-Terry model of who wins a comparison, as a bilinear form of the query's projection and a learned vector for
each candidate. RouteLLM has two candidates at a time and human preferences; here each pair with different scores is a
win. RouteLLM's weight vector after the product is absorbed into v_i.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from zooter_core.router.kinds import DistillConfig
from zooter_core.router.kinds.arrays import Array
from zooter_core.router.kinds.base import EmbeddedHead, Lessons, Rows

if TYPE_CHECKING:
    from torch import Tensor


class FactorHead(EmbeddedHead):
    """The softmax of its logits is the Bradley-Terry model of the best of all candidates (Luce's choice rule)."""

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        import torch

        scores = torch.from_numpy(lessons.scores)

        def loss_of(head: Self, rows: Rows) -> Tensor:
            return wins_loss(head.logits(torch.from_numpy(lessons.batch(rows))), scores[rows])

        return loss_of

    def logits(self, vectors: Array) -> Array:
        return self.query(vectors) @ self.state["candidates"].T


def wins_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """-log sigmoid(logits_i - logits_j): its mean over the pairs where i scores higher. Shapes (batch, m)."""
    from torch.nn.functional import logsigmoid

    wins = scores.unsqueeze(2) > scores.unsqueeze(1)
    margins = logits.unsqueeze(2) - logits.unsqueeze(1)
    return -logsigmoid(margins)[wins].sum() / wins.sum().clamp(min=1)
