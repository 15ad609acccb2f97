"""Router kind `mf`: matrix factorisation on pairwise wins (RouteLLM, arXiv 2406.18665, section 4.2).

    logits(q)_i = v_i . (P q + b),   P(i beats j on q) = sigmoid(logits_i - logits_j)

The Bradley-Terry model of who wins a comparison, as a bilinear form of the query's projection and a learned vector for
each candidate. RouteLLM has two candidates at a time and human preferences; here each pair with different scores is a
win. RouteLLM's weight vector after the product is absorbed into v_i.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import EmbeddedHead, Lessons, descend


class FactorHead(EmbeddedHead):
    """The softmax of its logits is the Bradley-Terry model of the best of all candidates (Luce's choice rule)."""

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            return wins_loss(self(lessons.batch(rows)), lessons.scores[rows])

        descend(self, lessons, config, loss_of, progress)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.query(vectors) @ self.candidates.T


def wins_loss(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(logits_i - logits_j): its mean over the pairs where i scores higher. Shapes (batch, m)."""
    wins = scores.unsqueeze(2) > scores.unsqueeze(1)
    margins = logits.unsqueeze(2) - logits.unsqueeze(1)
    return -functional.logsigmoid(margins)[wins].sum() / wins.sum().clamp(min=1)
