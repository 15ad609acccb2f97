"""Router kind `zooter`: a few small MLPs that imitate the enhanced labels (arXiv 2311.08692, equation 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.base import Head, HeadChange, Lessons, State, descend, frozen


class ZooterHead(Head):
    """Minimises the mean KL(label || softmax(logits)) of each member; the labels carry the tag priors.

    The members differ in their first weights and their dropout. Their mean distribution is the router's: a deep
    ensemble (Lakshminarayanan et al., 2017, arXiv 1612.01474), whose disagreement measures uncertainty.

    `pool` records later changes of the pool: how many candidates were `added`, and which of the first ones are `out`.
    Neither changes the logits of the others. A column inside each member's softmax would: it would take more of one
    member's probability than of another's, and so change their weights in the mean. Therefore an added candidate's
    logit is a sum over the members, appended to the log of their mean distribution, and a removed candidate still
    counts in that mean and is only left out of the result.
    """

    EXTRA: ClassVar[Mapping[str, float]] = {"members": 4}
    COLUMNS: ClassVar[Mapping[str, int]] = {"added": 2, "added_bias": 0}

    def __init__(
        self,
        width: int,
        candidates: int,
        hidden: int,
        dropout: float,
        members: int = 1,
        pool: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        added: int = pool["added"] if pool else 0
        self.out: tuple[int, ...] = tuple(pool["out"]) if pool else ()
        self.first = candidates + len(self.out) - added
        self.columns = [column for column in range(self.first + added) if column not in self.out]
        self.dropout = nn.Dropout(dropout)
        self.inner, self.inner_bias = _linear(members, width, hidden)
        self.outer, self.outer_bias = _linear(members, hidden, self.first)
        self.added = frozen(members, hidden, added) if added else None
        self.added_bias = frozen(added) if added else None

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return super().plan(lessons, config) | {"members": int(cls.setting(config, "members"))}

    def members(self, vectors: torch.Tensor) -> torch.Tensor:
        """Each member's log-probabilities, shape (members, batch, candidates)."""
        states = self.states(vectors)
        logits = self._first(states)
        changed = self.added is not None or self.out
        return torch.log_softmax(self._wide(logits, states), dim=-1) if changed else logits

    def states(self, vectors: torch.Tensor) -> torch.Tensor:
        """Each member's hidden layer, shape (members, batch, hidden)."""
        inputs = vectors.expand(len(self.inner), -1, -1)
        return self.dropout(functional.gelu(torch.baddbmm(self.inner_bias, inputs, self.inner)))

    def _first(self, states: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(torch.baddbmm(self.outer_bias, states, self.outer), dim=-1)

    def _wide(self, logits: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """The first candidates' logits, shape (..., first), plus the added ones' and minus those that are out."""
        if self.added is not None and self.added_bias is not None:
            more = torch.einsum("mbh,mha->ba", states, self.added) + self.added_bias
            logits = torch.cat([logits, more.expand(*logits.shape[:-1], -1)], dim=-1)
        return logits[..., self.columns] if self.out else logits

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        states = self.states(vectors)
        mean = torch.logsumexp(self._first(states), dim=0) - math.log(len(self.inner))
        return self._wide(mean, states)

    def selecting(self, columns: Sequence[int]) -> HeadChange:
        numbers = [self.columns[column] for column in columns]
        out = [number for number in range(self.first) if number not in numbers]
        later = torch.tensor([number - self.first for number in numbers if number >= self.first], dtype=torch.long)
        state = self.state_dict()
        for name in self.COLUMNS if self.added is not None else ():
            state[name] = state[name].index_select(self.COLUMNS[name], later)
            if not len(later):
                del state[name]
        return {"pool": {"added": len(later), "out": out} if len(later) or out else None}, state

    def adding(self, column: State) -> HeadChange:
        state = self.state_dict() | column
        if self.added is not None:
            state = super().adding(column)[1]
        return {"pool": {"added": len(state["added_bias"]), "out": list(self.out)}}, state

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        def loss_of(rows: torch.Tensor) -> torch.Tensor:
            predicted = self.members(lessons.batch(rows))
            targets = lessons.labels[rows].expand_as(predicted)
            return functional.kl_div(predicted, targets, reduction="sum") / (len(predicted) * len(rows))

        descend(self, lessons, config, loss_of, progress)


def _linear(members: int, wide: int, out: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights (members, wide, out) and biases (members, 1, out), initialised as nn.Linear does."""
    most = wide**-0.5
    return (
        nn.Parameter(torch.empty(members, wide, out).uniform_(-most, most)),
        nn.Parameter(torch.empty(members, 1, out).uniform_(-most, most)),
    )
