"""Router kind `zooter`: a few small MLPs that imitate the enhanced labels (arXiv 2311.08692, equation 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from zooter_core.base.cores import one_thread
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, gelu, log_softmax
from zooter_core.router.kinds.base import Head, Lessons, uniform, zeros
from zooter_core.router.kinds.perceptrons import Perceptrons


class ZooterHead(Head):
    """Minimises the mean KL(label || softmax(logits)) of each member; the labels carry the tag priors.

    The members differ in their first weights and their dropout. Their mean distribution is the router's: a deep
    ensemble (Lakshminarayanan et al., 2017, arXiv 1612.01474).
    """

    EXTRA: ClassVar[Mapping[str, float]] = {"members": 4}

    def __init__(self, width: int, candidates: int, hidden: int, dropout: float, members: int = 1) -> None:
        self.dropout = dropout
        self.state = {"inner": zeros(members, width, hidden), "inner_bias": zeros(members, 1, hidden)}
        self.state |= {"outer": zeros(members, hidden, candidates), "outer_bias": zeros(members, 1, candidates)}

    @classmethod
    def plan(cls, lessons: Lessons, config: DistillConfig) -> dict[str, Any]:
        return super().plan(lessons, config) | {"members": int(cls.setting(config, "members"))}

    def logits(self, vectors: Array) -> Array:
        """The logarithm of the mean over the members."""
        states = gelu(vectors @ self.state["inner"] + self.state["inner_bias"])
        logs = log_softmax(states @ self.state["outer"] + self.state["outer_bias"])  # (members, batch, candidates)
        most = logs.max(axis=0)
        return most + np.log(np.exp(logs - most).mean(axis=0))

    def start(self, rng: np.random.Generator) -> None:
        """Initialise the weights at random, like PyTorch's linear layers."""
        for layer in ("inner", "outer"):
            most = self.state[layer].shape[1] ** -0.5
            for name in (layer, f"{layer}_bias"):
                self.state[name] = uniform(rng, most, self.state[name].shape)

    def fit(self, lessons: Lessons, config: DistillConfig, progress: Progress) -> None:
        rng = np.random.default_rng(config.seed)
        self.start(rng)
        learning = Perceptrons(self.state, self.dropout, rng)
        self.state = learning.state  # views, which change in each step
        for epoch in range(1, config.epochs + 1):
            order, total = rng.permutation(len(lessons.vectors)), 0.0
            with one_thread():
                for first in range(0, len(order), config.batch):
                    rows = order[first : first + config.batch]
                    loss = learning.step(lessons.batch(rows), lessons.labels[rows], config.rate, config.decay)
                    total += loss * len(rows)
            progress(epoch, total / len(order))
        self.state = {name: np.ascontiguousarray(value) for name, value in self.state.items()}
