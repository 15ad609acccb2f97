"""Router kind `cosine`: a cosine classifier of the best candidate (a baseline of RouterDC, arXiv 2409.19886).

    logits(q) = scale * cos(P q, e_i),   loss = cross-entropy with the best candidates

P, the candidates' vectors e_i and the scale are learned (Gidaris & Komodakis, arXiv 1804.09501). Candidates that share
the highest score share the query; a query on which all score the same is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.metrics import win_shares
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.kinds.arrays import Array, exp, log_softmax, unit
from zooter_core.router.kinds.base import EmbeddedHead, Lessons, Rows

if TYPE_CHECKING:
    from torch import Tensor

UNSCORED = -1e9  # logit of a candidate without a score on a query: the win is one among the others


class CosineHead(EmbeddedHead):
    """What is learned is the logarithm of the scale, so that the scale stays positive."""

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float) -> None:
        super().__init__(width, candidates, hidden, dropout)
        self.state["log_scale"] = np.full((), math.log(5.0), dtype=np.float32)

    def objective(self, lessons: Lessons, config: DistillConfig) -> Callable[[Self, Rows], Tensor]:
        import torch

        targets, missing = torch.from_numpy(best_shares(lessons.scores)), torch.from_numpy(np.isnan(lessons.scores))

        def loss_of(head: Self, rows: Rows) -> Tensor:
            logits = head.logits(torch.from_numpy(lessons.batch(rows))).masked_fill(missing[rows], UNSCORED)
            return best_loss(logits, targets[rows])

        return loss_of

    def logits(self, vectors: Array) -> Array:
        query, candidates = unit(self.query(vectors)), unit(self.state["candidates"])
        return exp(self.state["log_scale"]) * (query @ candidates.T)


def best_shares(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each query's best candidates with equal shares, shape (n, m); a row of zeros where all score the same."""
    decided = np.fmax.reduce(scores, axis=1, keepdims=True) > np.fmin.reduce(scores, axis=1, keepdims=True)
    return (np.nan_to_num(win_shares(scores.astype(np.float64))) * decided).astype(np.float32)


def best_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy in nats, its mean over the queries that have a best candidate; zero where none has."""
    loss: Tensor = -(targets * log_softmax(logits)).sum() / targets.sum().clamp(min=1)
    return loss
