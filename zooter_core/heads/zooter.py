"""Router kind `zooter`: a small MLP that imitates the enhanced labels (arXiv 2311.08692, equation 3)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from zooter_core.heads import DistillConfig, Progress
from zooter_core.heads.base import Head, Lessons, descend


class ZooterHead(Head, nn.Sequential):
    """Minimises the mean KL(label || softmax(logits)); the labels carry the tag priors."""

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float) -> None:
        nn.Sequential.__init__(  # a Sequential itself, so that its weights have the names they always had
            self, nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, candidates)
        )

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            logits = torch.log_softmax(self(lessons.vectors[rows]), dim=-1)
            return functional.kl_div(logits, lessons.labels[rows], reduction="batchmean")

        descend(self, lessons, config, loss_of, progress)
