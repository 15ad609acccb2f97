"""The head of routers from `zooter learn`: each candidate's score is a linear function of the vector.

    logits(q) = q W + b

The package learn/ trains it from partial rewards (method/partial_rewards.py). In folders, its kind is called `ridge`,
like the router kind of version 0.2, whose folders can still be read.
"""

from __future__ import annotations

from zooter_core.router.kinds.arrays import Array
from zooter_core.router.kinds.base import Head, zeros


class LinearHead(Head):
    """A head without settings. It has no `fit`: learn/ computes its state."""

    TRAINED = False

    def __init__(self, width: int, candidates: int) -> None:
        self.state = {"weight": zeros(width, candidates), "bias": zeros(candidates)}

    def logits(self, vectors: Array) -> Array:
        return vectors @ self.state["weight"] + self.state["bias"]
