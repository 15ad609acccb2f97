"""Router kind `zooter`: a few small MLPs that imitate the enhanced labels (arXiv 2311.08692, equation 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from zooter_core.base.cores import one_thread
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, broadcast, concatenate, gelu, log_softmax, logsumexp
from zooter_core.router.kinds.base import Head, HeadChange, Lessons, State, uniform, zeros
from zooter_core.router.kinds.perceptrons import Perceptrons


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
        added: int = pool["added"] if pool else 0
        self.out: tuple[int, ...] = tuple(pool["out"]) if pool else ()
        self.first = candidates + len(self.out) - added
        self.columns = [column for column in range(self.first + added) if column not in self.out]
        self.dropout = dropout
        self.state = {"inner": zeros(members, width, hidden), "inner_bias": zeros(members, 1, hidden)}
        self.state |= {"outer": zeros(members, hidden, self.first), "outer_bias": zeros(members, 1, self.first)}
        if added:
            self.state |= {"added": zeros(members, hidden, added), "added_bias": zeros(added)}

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return super().plan(lessons, config) | {"members": int(cls.setting(config, "members"))}

    def members(self, vectors: Array) -> Array:
        """Each member's log-probabilities, shape (members, batch, candidates)."""
        states = self.states(vectors)
        logits = self._first(states)
        changed = "added" in self.state or self.out
        return log_softmax(self._wide(logits, states)) if changed else logits

    def states(self, vectors: Array) -> Array:
        """Each member's hidden layer, shape (members, batch, hidden)."""
        return self._dropped(gelu(vectors @ self.state["inner"] + self.state["inner_bias"]))

    def _first(self, states: Array) -> Array:
        return log_softmax(states @ self.state["outer"] + self.state["outer_bias"])

    def _wide(self, logits: Array, states: Array) -> Array:
        """The first candidates' logits, shape (..., first), plus the added ones' and minus those that are out."""
        if "added" in self.state:
            more = (states @ self.state["added"]).sum(0) + self.state["added_bias"]
            logits = concatenate([logits, broadcast(more, (*logits.shape[:-1], more.shape[-1]))], -1)
        return logits[..., self.columns] if self.out else logits

    def logits(self, vectors: Array) -> Array:
        states = self.states(vectors)
        mean = logsumexp(self._first(states), 0) - math.log(len(states))
        return self._wide(mean, states)

    def selecting(self, columns: Sequence[int]) -> HeadChange:
        numbers = [self.columns[column] for column in columns]
        out = [number for number in range(self.first) if number not in numbers]
        later = np.array([number - self.first for number in numbers if number >= self.first], dtype=np.intp)
        state = dict(self.state)
        for name in self.COLUMNS if "added" in state else ():
            state[name] = state[name].take(later, self.COLUMNS[name])
            if not len(later):
                del state[name]
        return {"pool": {"added": len(later), "out": out} if len(later) or out else None}, state

    def adding(self, column: State) -> HeadChange:
        state = self.state | column
        if "added" in self.state:
            state = super().adding(column)[1]
        return {"pool": {"added": len(state["added_bias"]), "out": list(self.out)}}, state

    def start(self, rng: np.random.Generator) -> None:
        """Set the first weights at random, as PyTorch's linear layers do."""
        for layer in ("inner", "outer"):
            most = self.state[layer].shape[1] ** -0.5
            for name in (layer, f"{layer}_bias"):
                self.state[name] = uniform(rng, most, self.state[name].shape)

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        rng = np.random.default_rng(config.seed)
        self.start(rng)
        learning = Perceptrons(self.state, self.dropout, rng)
        self.state = learning.state  # what changes in each step
        for epoch in range(1, config.epochs + 1):
            order, total = rng.permutation(len(lessons.vectors)), 0.0
            with one_thread():
                for first in range(0, len(order), config.batch):
                    rows = order[first : first + config.batch]
                    loss = learning.step(lessons.batch(rows), lessons.labels[rows], config.rate, config.decay)
                    total += loss * len(rows)
            progress(epoch, total / len(order))
        self.state = {name: np.ascontiguousarray(value) for name, value in self.state.items()}
