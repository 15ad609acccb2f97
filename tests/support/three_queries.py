"""Three queries and a router, small enough to work out every figure by hand.

| query | data set | a | b | the router takes | oracle | regret |
|-------|----------|---|---|------------------|--------|--------|
| q1    | x        | 1 | 3 | b: 3             | 3      | 0      |
| q2    | x        | 3 | 0 | b: 0             | 3      | 3      |
| q3    | y        | 4 | 6 | a: 4             | 6      | 2      |
"""

from __future__ import annotations

import numpy as np

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.method.selection import Outputs

SCORES = Scores(
    (Query("1", "q1", "x"), Query("2", "q2", "x"), Query("3", "q3", "y")),
    ("a", "b"),
    np.array([[1.0, 3.0], [3.0, 0.0], [4.0, 6.0]]),
)


class Fixed:
    """A router whose encoder gives the probabilities of each query as its vector."""

    def __init__(self, candidates, **rows):
        self.candidates, self.rows, self.encoder = candidates, rows, self

    def for_pool(self, pool):
        if set(pool) != set(self.candidates):
            raise ZooterError("a", "b", "c")
        return self

    def embed(self, queries):
        return np.array([self.rows[query] for query in queries])

    def outputs_all(self, queries, progress=None):
        return Outputs(self.embed(queries))


ROUTER = Fixed(("a", "b"), q1=[0.1, 0.9], q2=[0.4, 0.6], q3=[0.8, 0.2])
