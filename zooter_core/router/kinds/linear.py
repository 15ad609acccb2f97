"""The head of the routers that `zooter learn` makes: each candidate's score is a linear function of the vector.

    logits(q) = q W + b

Only learn/ trains it, from whatever rewards there are (method/partial_rewards.py). Its folders say `ridge`, as did
those of the router kind `ridge` of version 0.2, which are read too.
"""

from __future__ import annotations

from zooter_core.router.kinds.arrays import Array
from zooter_core.router.kinds.base import Head, zeros


class LinearHead(Head):
    """It has no settings, and is not trained here."""

    TRAINED = False

    def __init__(self, width: int, candidates: int) -> None:
        self.state = {"weight": zeros(width, candidates), "bias": zeros(candidates)}

    def logits(self, vectors: Array) -> Array:
        return vectors @ self.state["weight"] + self.state["bias"]
