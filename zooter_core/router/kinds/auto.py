"""Router kind `auto`: a weighted sum of heads of other kinds.

    logits(q)_i = level_i + sum over parts k of weight_k part_k(q)_i

There are two sets of levels and weights: one for queries that are similar to the landmarks, which are stored training
queries, and one for all other queries (`far`). A query's levels and weights are the first set times w(q) plus the
second set times 1 - w(q). router/distill.py computes both sets, and method/mixture.py has the equations.

The levels for near queries are a head start for candidates that are better on average. In a router without parts, which
routes every query to the candidate with the best mean score, the levels are the mean scores. Parts predict scores
(`bayes`) or log-probabilities (`zooter`). The weights bring them to the same scale; a constant that a part adds to all
candidates of a query does not change the choice.

A router that is trained on few queries also stores the candidates' gains over the best single candidate on the
landmarks. A candidate that leads without support from similar landmarks is placed behind the best single candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from zooter_core.method.mixture import support, supported
from zooter_core.router.kinds import BAYES, head_class
from zooter_core.router.kinds.arrays import Array, unit
from zooter_core.router.kinds.base import Head, State, zeros
from zooter_core.router.kinds.zooter import ZooterHead


class AutoHead(Head):
    """A head that is a weighted sum of `parts`. Its levels and weights are zero until its state is set.

    Args:
        parts: each part's kind and settings.
        share: the weight of the mixture that cross-validation compared; 1 - `share` is the weight of its fallback.
        share_far: the weight of the mixture for queries unlike the landmarks; 1 - `share_far` is that of the levels.
        landmarks: the number of landmarks. Older routers have none, and use the same weights for all queries.
        support: whether a candidate leads only with the support of similar landmarks.
    """

    EXTRA: ClassVar[Mapping[str, float]] = ZooterHead.EXTRA

    def __init__(
        self,
        width: int,
        candidates: int,
        parts: Sequence[Mapping[str, Any]],
        share: float = 1.0,
        share_far: float = 1.0,
        landmarks: int = 0,
        support: bool = False,
    ) -> None:
        self.share, self.share_far, self.landmarks, self.support = share, share_far, landmarks, support
        self.parts: list[Head] = [head_class(part["kind"])(width, candidates, **part["settings"]) for part in parts]
        self.kinds = [part["kind"] for part in parts]
        self.state = {"weights": zeros(len(parts)), "level": zeros(candidates)}
        if landmarks:
            self.state |= {"far.weights": zeros(len(parts)), "far.level": zeros(candidates)}
            self.state |= {"landmarks": zeros(landmarks, width), "reach": zeros(2)}
        if support:
            self.state |= {"gains": zeros(landmarks, candidates)}
        for number, part in enumerate(self.parts):
            self.state |= above(part.state, number)

    def on(self, state: State) -> Self:
        other = super().on(state)
        other.parts = [part.on(below(state, number)) for number, part in enumerate(self.parts)]
        return other

    def summary(self) -> str:
        """The result of cross-validation, as a sentence."""
        if not self.kinds:
            return "These queries show nothing better than always using the best single model, which this router does."
        cautious = "bayes, a regression that stays near the best single model where scores say little"
        kinds = [kind for kind in dict.fromkeys(self.kinds) if kind != BAYES]
        chose = cautious
        if kinds:
            chose = f"a mixture of {self.share:.0%} {' and '.join(kinds)}, and {1 - self.share:.0%} {cautious}"
        sentences = [f"Cross-validation chose {chose}."]
        if self.landmarks:
            sentences.append(
                f"For queries unlike these, the best single model has a weight of {1 - self.share_far:.0%}."
            )
        if self.support:
            sentences.append("With so few queries, another model answers only where it did better on similar ones.")
        return " ".join(sentences)

    def near(self, vectors: Array) -> Array:
        """w: how similar each query is to the landmarks, from 0 to 1, shape (batch, 1)."""
        if not self.landmarks:
            return np.ones((len(vectors), 1), dtype=np.float32)
        low, high = self.state["reach"]
        return ((self._similarities(vectors).max(axis=1, keepdims=True) - low) / (high - low)).clip(0, 1)

    def _similarities(self, vectors: Array) -> Array:
        """Each query's cosine similarities to the landmarks, shape (batch, L)."""
        return unit(vectors) @ self.state["landmarks"].T

    def _weights(self, vectors: Array) -> tuple[Array, Array]:
        """Each query's levels, shape (batch, m), and weights of the parts, shape (batch, K)."""
        near, level, weights = self.near(vectors), self.state["level"], self.state["weights"]
        if not self.landmarks:
            return near * level, near * weights
        far = 1 - near
        return near * level + far * self.state["far.level"], near * weights + far * self.state["far.weights"]

    def logits(self, vectors: Array) -> Array:
        logits, weights = self._weights(vectors)
        for number, part in enumerate(self.parts):
            logits = logits + weights[:, number : number + 1] * part.logits(vectors)
        if not self.support:
            return logits
        level, gains = self.state["far.level"], self.state["gains"]
        best = np.full(len(vectors), level.argmax())
        return supported(logits, support(self._similarities(vectors), gains, best), level, best)


def above(state: State, number: int) -> State:
    """A part's state, with the names that its weights have in an AutoHead."""
    return {f"parts.{number}.{name}": value for name, value in state.items()}


def below(state: State, number: int) -> State:
    """A part's state, extracted from the state of an AutoHead."""
    prefix = f"parts.{number}."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
