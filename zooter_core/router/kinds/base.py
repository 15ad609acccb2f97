"""What the router kinds share: the data that a head learns from, its interface, and the loop of gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from zooter_core.router.kinds import DistillConfig, Progress

State = dict[str, torch.Tensor]
HeadChange = tuple[dict[str, Any], State]  # the settings that change, and the state of a head with them


@dataclass(frozen=True)
class Lessons:
    """The data that a head learns from: n queries, m candidates in pool order.

    Attributes:
        vectors: shape (n, width), of the frozen encoder; in half precision, and on the disk, where there are many.
        labels: shape (n, m), rows sum to one; enhanced where there are tags.
        scores: shape (n, m), raw, higher is better; NaN where a candidate has none.
    """

    vectors: torch.Tensor
    labels: torch.Tensor
    scores: torch.Tensor

    def batch(self, rows: torch.Tensor | slice) -> torch.Tensor:
        """The vectors of some queries, in single precision."""
        return self.vectors[rows].float()


class Head(nn.Module):
    """Vectors of shape (batch, width) -> logits of shape (batch, m), whose softmax is the router's distribution.

    A head is built in two ways: for training, and from a router folder, whose config.json has what `plan` returned.
    Both call `__init__(width, candidates, **plan)`. Everything learned is a parameter, so that the folder has it.
    """

    TRAINED: ClassVar[bool] = True  # by gradient descent, in epochs
    TRAINING: ClassVar[Mapping[str, float]] = {}  # where its DistillConfig differs from zooter's
    EXTRA: ClassVar[Mapping[str, float]] = {}  # further settings of this kind, with their defaults
    COLUMNS: ClassVar[Mapping[str, int]] = {}  # parameters with a part for each candidate, and the axis of the parts

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        """The keyword arguments of `__init__` for a head that learns from these lessons."""
        return {"hidden": config.hidden, "dropout": config.dropout} if cls.TRAINED else {}

    @classmethod
    def setting(cls, config: DistillConfig, name: str) -> Any:
        """One of EXTRA: from the config, else its default."""
        return config.extra.get(name, cls.EXTRA[name])

    def members(self, vectors: torch.Tensor) -> torch.Tensor | None:
        """Log-probabilities of each member, shape (members, batch, m); None for kinds without members."""
        return None

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        """Learn, in place, with torch's global random numbers, which the caller seeds."""
        raise NotImplementedError

    def selecting(self, columns: Sequence[int]) -> HeadChange:
        """The change to a head for some of the candidates (their numbers, ascending) with the same logits."""
        numbers = torch.tensor(list(columns))
        axes = self.COLUMNS
        return {}, {n: v.index_select(axes[n], numbers) if n in axes else v for n, v in self.state_dict().items()}

    def adding(self, column: State) -> HeadChange:
        """The change to a head with one more candidate at the end, whose part of each of COLUMNS is in `column`."""
        axes = self.COLUMNS
        return {}, {n: torch.cat([v, column[n]], axes[n]) if n in axes else v for n, v in self.state_dict().items()}

    def column(self, lessons: Lessons) -> State:
        """One more candidate's part of each of COLUMNS, from scores of shape (n, 1); only some kinds can."""
        raise NotImplementedError


class EmbeddedHead(Head):
    """A head with a learned vector for each candidate, which projects the query into their space."""

    TRAINING: ClassVar[Mapping[str, float]] = {"hidden": 128, "dropout": 0.1, "epochs": 30}
    COLUMNS: ClassVar[Mapping[str, int]] = {"candidates": 0}

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.candidates = nn.Parameter(torch.randn(candidates, hidden) * hidden**-0.5)

    def query(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (batch, width) -> (batch, hidden)."""
        return self.dropout(self.project(vectors))


def mean_scores(scores: torch.Tensor) -> torch.Tensor:
    """The mean score of each candidate, shape (m,), over the queries that have one; NaN for none."""
    return scores.nanmean(dim=0) if scores.isnan().any() else scores.mean(dim=0)


def frozen(*shape: int) -> nn.Parameter:
    """A parameter that is learned without gradients. Not a buffer, because transformers needs a model to have one."""
    return nn.Parameter(torch.zeros(*shape), requires_grad=False)


def descend(
    head: Head,
    lessons: Lessons,
    config: DistillConfig,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    progress: Progress,
) -> None:
    """Minimise the mean over batches of `loss_of(rows)`, where rows are numbers of queries, by AdamW."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.rate, weight_decay=config.decay, fused=True)
    head.train()
    for epoch in range(1, config.epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(lessons.vectors)).split(config.batch):
            loss = loss_of(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        progress(epoch, total / len(lessons.vectors))
