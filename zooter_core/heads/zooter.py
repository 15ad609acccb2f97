"""Router kind `zooter`: a few small MLPs that imitate the enhanced labels (arXiv 2311.08692, equation 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from zooter_core.heads import DistillConfig, Progress
from zooter_core.heads.base import Head, Lessons, descend


class ZooterHead(Head):
    """Minimises the mean KL(label || softmax(logits)) of each member; the labels carry the tag priors.

    The members differ in their first weights and their dropout. Their mean distribution is the router's: a deep
    ensemble (Lakshminarayanan et al., 2017, arXiv 1612.01474), whose disagreement says how little is known of a query.
    """

    OWN: ClassVar[Mapping[str, float]] = {"members": 4}

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float, members: int = 1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.inner, self.inner_bias = _linear(members, width, hidden)
        self.outer, self.outer_bias = _linear(members, hidden, candidates)

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return super().plan(lessons, config) | {"members": int(cls.setting(config, "members"))}

    def each(self, vectors: torch.Tensor) -> torch.Tensor:
        """Each member's log-probabilities, shape (members, batch, candidates)."""
        inputs = vectors.expand(len(self.inner), -1, -1)
        states = self.dropout(functional.gelu(torch.baddbmm(self.inner_bias, inputs, self.inner)))
        return torch.log_softmax(torch.baddbmm(self.outer_bias, states, self.outer), dim=-1)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(self.each(vectors), dim=0) - torch.log(torch.tensor(float(len(self.inner))))

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            predicted = self.each(lessons.vectors[rows])
            wanted = lessons.labels[rows].expand_as(predicted)
            return functional.kl_div(predicted, wanted, reduction="sum") / (len(predicted) * len(rows))

        descend(self, lessons, config, loss_of, progress)


def _linear(members: int, wide: int, out: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights (members, wide, out) and biases (members, 1, out), drawn as nn.Linear draws its own."""
    most = wide**-0.5
    return (
        nn.Parameter(torch.empty(members, wide, out).uniform_(-most, most)),
        nn.Parameter(torch.empty(members, 1, out).uniform_(-most, most)),
    )
