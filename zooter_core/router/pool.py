"""A pool that a router was not trained for: some of its candidates, or models that are routed as one of them.

Each candidate of the pool gets the router's probability of the one that it is routed as, divided evenly among those
that are routed as the same one. Rows are then divided by their sum, which gives the softmax of the router's logits over
these candidates alone. So every kind of router and every exported one serves any part of its pool without training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.selection import Outputs


class PartOfPool:
    """Rows over a router's candidates -> rows over a pool.

    Attributes:
        columns: for each candidate of the pool, the column of the one that it is routed as.

    Args:
        candidates: the router's.
        names: for each candidate of the pool, the name of the one that it is routed as.
    """

    def __init__(self, candidates: Sequence[str], names: Sequence[str]) -> None:
        uses = Counter(names)
        self.columns = [candidates.index(name) for name in names]
        self._shares = np.array([1 / uses[name] for name in names])

    def distributions(self, rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Distributions of shape (..., router's candidates) -> (..., pool), whose rows sum to one."""
        smallest = np.finfo(np.float64).tiny  # if all others are certain, these are equally likely
        parts = np.maximum(rows[..., self.columns], smallest) * self._shares
        return np.asarray(parts / parts.sum(axis=-1, keepdims=True), dtype=np.float64)

    def outputs(self, outputs: Outputs) -> Outputs:
        """A router's outputs, for the pool."""
        members = None if outputs.members is None else self.distributions(outputs.members)
        return Outputs(self.distributions(outputs.probabilities), members)
