"""Router kind `auto`: a weighted sum of heads of other kinds.

    logits(q)_i = level_i + sum over parts k of weight_k part_k(q)_i

method/mixture.py says how the weights are found, and router/auto.py finds them. The levels are zeros, but for a router
without parts, which sends every query to the candidate with the best mean score, and for older ones. Parts may predict
scores (`bayes`) or log-probabilities (`zooter`): the weights bring them to one scale, and what a part adds to all
candidates of a query changes no choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from zooter_core.router.kinds import BAYES, head_class
from zooter_core.router.kinds.arrays import Array, log_softmax
from zooter_core.router.kinds.base import Head, State, zeros
from zooter_core.router.kinds.zooter import ZooterHead


class AutoHead(Head):
    """A head of `parts`, whose level and weights are set once they are known.

    Args:
        parts: the kind and the settings of each.
        share: of the mixture that cross-validation compared; the rest is the regression that it falls back on.
    """

    EXTRA: ClassVar[Mapping[str, float]] = ZooterHead.EXTRA

    def __init__(self, width: int, candidates: int, parts: Sequence[Mapping[str, Any]], share: float = 1.0) -> None:
        self.share = share
        self.parts: list[Head] = [head_class(part["kind"])(width, candidates, **part["settings"]) for part in parts]
        self.kinds = [part["kind"] for part in parts]
        self.state = {"weights": zeros(len(parts)), "level": zeros(candidates)}
        for number, part in enumerate(self.parts):
            self.state |= above(part.state, number)

    def on(self, state: State, drop: Callable[[Array], Array] | None = None) -> Self:
        other = super().on(state, drop)
        other.parts = [part.on(below(state, number), drop) for number, part in enumerate(self.parts)]
        return other

    def summary(self) -> str:
        """What cross-validation chose, as a sentence."""
        if not self.kinds:
            return "These queries show nothing better than always using the best single model, which this router does."
        cautious = "a regression (bayes) that stays near the best single model where scores say little"
        kinds = [kind for kind in dict.fromkeys(self.kinds) if kind != BAYES]
        if not kinds:
            return f"Cross-validation chose {cautious}."
        return f"Cross-validation chose {self.share:.0%} {' and '.join(kinds)}, and {1 - self.share:.0%} {cautious}."

    def logits(self, vectors: Array) -> Array:
        logits = self.state["level"] + 0 * vectors[:, :1]  # without parts too, a row for each query, also in a graph
        for weight, part in zip(self.state["weights"], self.parts, strict=True):
            logits = logits + weight * part.logits(vectors)
        return logits

    def members(self, vectors: Array) -> Array | None:
        """The distributions with each member of the part that has several, in place of their mean."""
        for weight, part in zip(self.state["weights"], self.parts, strict=True):
            logs = part.members(vectors)
            if logs is not None:
                return log_softmax(self.logits(vectors) + weight * (logs - part.logits(vectors)))
        return None


def above(state: State, number: int) -> State:
    """The state of a part, as an AutoHead names it."""
    return {f"parts.{number}.{name}": value for name, value in state.items()}


def below(state: State, number: int) -> State:
    """What a state of an AutoHead has of one of its parts."""
    prefix = f"parts.{number}."
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
