"""Router kind `zooter`: a few small MLPs that imitate the enhanced labels (arXiv 2311.08692, equation 3).

They are trained and run in numpy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from zooter_core.base.cores import one_thread
from zooter_core.router.kinds import DistillConfig, Progress
from zooter_core.router.kinds.arrays import Array, gelu, log_softmax, normal
from zooter_core.router.kinds.base import Head, Lessons, State, uniform, zeros

BETAS, EPSILON = (0.9, 0.999), 1e-8  # PyTorch's defaults
BLOCK = 1 << 14  # weights; four arrays of this size fit into 256 kB


class ZooterHead(Head):
    """A deep ensemble of MLPs (Lakshminarayanan et al., 2017, arXiv 1612.01474).

    Each member minimises the mean KL(label || softmax(logits)), where the labels include the tag priors. The members
    differ in their initial weights and their dropout. The mean of their distributions is the router's distribution.
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
        """The logarithm of the members' mean distribution, shape (batch, candidates)."""
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


class Perceptrons:
    """Trains all members of a ZooterHead together, by AdamW.

    The members' first layers form one matrix, so that a step multiplies few large matrices. All weights are views of
    one vector, and all gradients are views of another. The optimizer processes both in blocks that fit into the CPU's
    cache.

    Attributes:
        weights, gradient: the weights and their gradient as vectors, shape (count,).
        state: the weights by name, with the shapes of a ZooterHead's state. They are views of `weights`, so each step
            changes them.
    """

    def __init__(self, state: State, dropout: float, rng: np.random.Generator) -> None:
        self.members, self.width, self.hidden = state["inner"].shape
        self.outputs = state["outer"].shape[2]
        self.dropout, self.rng = dropout, rng
        self.weights = np.zeros(sum(value.size for value in state.values()), dtype=np.float32)
        self.gradient, self._first, self._second = (np.zeros_like(self.weights) for _ in range(3))
        self._steps, self._room = 0, np.empty(BLOCK, dtype=np.float32)
        self._layers, self._slopes = self._parts(self.weights), self._parts(self.gradient)
        inner, inner_bias, outer, outer_bias = self._layers
        self.state = {
            "inner": inner.reshape(self.width, self.members, self.hidden).transpose(1, 0, 2),
            "inner_bias": inner_bias.reshape(self.members, 1, self.hidden),
            "outer": outer,
            "outer_bias": outer_bias,
        }
        for name, value in state.items():
            self.state[name][:] = value

    def _parts(self, flat: Array) -> list[Array]:
        """Views of a vector: both layers with their biases. The first layers of all members are side by side."""
        columns = self.members * self.hidden
        shapes: list[tuple[int, ...]] = [(self.width, columns), (columns,)]
        shapes += [(self.members, self.hidden, self.outputs), (self.members, 1, self.outputs)]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        return [flat[end - math.prod(shape) : end].reshape(shape) for end, shape in zip(ends, shapes, strict=True)]

    def step(self, vectors: Array, labels: Array, rate: float, decay: float) -> float:
        """Train on one batch: vectors of shape (n, width), labels of shape (n, candidates). Returns the loss."""
        loss = self.differentiate(vectors, labels)
        self._descend(rate, decay)
        return loss

    def differentiate(self, vectors: Array, labels: Array) -> float:
        """The loss of a batch. Its derivative with respect to each weight is written to `gradient`."""
        inner, inner_bias, outer, outer_bias = self._layers
        inputs = vectors @ inner + inner_bias
        areas, densities = normal(inputs)
        slopes = areas + inputs * densities  # the derivative of the activation
        states = inputs * areas
        if self.dropout:
            stays = self.rng.random(states.shape, dtype=np.float32) >= self.dropout
            factors = stays * np.float32(1 / (1 - self.dropout))
            states *= factors
            slopes *= factors
        count, (rows, _) = self.members, states.shape
        apart = states.reshape(rows, count, self.hidden).transpose(1, 0, 2)
        logs = log_softmax(apart @ outer + outer_bias)
        errors = (np.exp(logs) - labels) / np.float32(count * rows)

        by_inner, by_inner_bias, by_outer, by_outer_bias = self._slopes
        np.matmul(apart.transpose(0, 2, 1), errors, out=by_outer)
        errors.sum(axis=1, keepdims=True, out=by_outer_bias)
        back = (errors @ outer.transpose(0, 2, 1)).transpose(1, 0, 2).reshape(rows, -1) * slopes
        np.matmul(vectors.T, back, out=by_inner)
        back.sum(axis=0, out=by_inner_bias)
        positive = labels[labels > 0]
        return float(((positive * np.log(positive)).sum() - (labels * logs).sum() / count) / rows)

    def _descend(self, rate: float, decay: float) -> None:
        """Update the weights by AdamW (Loshchilov and Hutter, arXiv 1711.05101).

        The moments are stored without their factors 1 - beta.
        """
        self._steps += 1
        one, two = BETAS
        scale = math.sqrt((1 - two) / (1 - two**self._steps))
        rate_here = rate / (1 - one**self._steps) * (1 - one) / scale
        for start in range(0, len(self.weights), BLOCK):
            part = slice(start, start + BLOCK)
            weights, slope, first, second = (
                flat[part] for flat in (self.weights, self.gradient, self._first, self._second)
            )
            room = self._room[: len(weights)]
            first *= one
            first += slope
            second *= two
            np.multiply(slope, slope, out=room)
            second += room
            np.sqrt(second, out=room)
            room += EPSILON / scale
            np.divide(first, room, out=room)
            room *= rate_here
            weights *= 1 - rate * decay
            weights -= room
