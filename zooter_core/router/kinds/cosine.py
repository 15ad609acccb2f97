"""Router kind `cosine`: a cosine classifier of the best candidate (a baseline of RouterDC, arXiv 2409.19886).

    logits(q) = scale * cos(P q, e_i),   loss = cross-entropy with the best candidates

P, the candidates' vectors e_i and the scale are learned (Gidaris & Komodakis, arXiv 1804.09501). Candidates that share
the highest score share the query; a query on which all score the same is ignored.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from zooter_core.method.metrics import win_shares
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import EmbeddedHead, Lessons, descend

UNSCORED = -1e9  # logit of a candidate without a score on a query: the win is one among the others


class CosineHead(EmbeddedHead):
    """The parameter is the logarithm of the scale, so that the scale stays positive."""

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float) -> None:
        super().__init__(width, candidates, hidden, dropout)
        self.log_scale = nn.Parameter(torch.full((), math.log(5.0)))

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        targets, missing = best_shares(lessons.scores), lessons.scores.isnan()

        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            logits = self(lessons.batch(rows)).masked_fill(missing[rows], UNSCORED)
            return best_loss(logits, targets[rows])

        descend(self, lessons, config, loss_of, progress)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        query, candidates = (functional.normalize(part, dim=-1) for part in (self.query(vectors), self.candidates))
        return self.log_scale.exp() * (query @ candidates.T)


def best_shares(scores: torch.Tensor) -> torch.Tensor:
    """Each query's best candidates with equal shares, shape (n, m); a row of zeros where all score the same."""
    table = scores.numpy()
    decided = np.fmax.reduce(table, axis=1, keepdims=True) > np.fmin.reduce(table, axis=1, keepdims=True)
    return torch.from_numpy(np.nan_to_num(win_shares(table)) * decided).to(scores.dtype)


def best_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in nats, its mean over the queries that have a best candidate; zero where none has."""
    return -(targets * torch.log_softmax(logits, dim=-1)).sum() / targets.sum().clamp(min=1)
