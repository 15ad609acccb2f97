"""Sixty queries in three clear groups, a candidate for each, and a router over two of the candidates."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np

from zooter_core.base.records import Query
from zooter_core.data.scores import Scores
from zooter_core.method.labels import LabelConfig, softmax
from zooter_core.router.distill import fit_head
from zooter_core.router.distilled import RouterHead
from zooter_core.router.extend import Examples
from zooter_core.router.kinds import settings_of

PLAIN = LabelConfig(beta=1.0, tau=0.2)
GROUPS = np.arange(60) % 3
NOISE = np.random.default_rng(0).normal(scale=0.1, size=(60, 6))
VECTORS = (np.eye(6)[GROUPS] + np.eye(6)[GROUPS + 3] + NOISE).astype(np.float32)
TABLE = np.array([[0.9, 0.1, 0.3], [0.2, 0.8, 0.1], [0.1, 0.3, 1.0]])[GROUPS]
SCORES = Scores(tuple(Query(str(n), f"query {n}") for n in range(60)), ("a", "b", "c"), TABLE)
EXAMPLES = Examples(SCORES, VECTORS, [()] * 60, PLAIN)
CENTRES = np.eye(6, dtype=np.float32)[:3] + np.eye(6, dtype=np.float32)[3:]
ANY = np.random.default_rng(1).normal(size=(2000, 6)).astype(np.float32)


def old(kind: str = "zooter", pool: str = "ab") -> RouterHead:
    """A router's head; each test has a copy of its own, trained once."""
    return copy.deepcopy(_trained(kind, pool))


@cache
def _trained(kind: str, pool: str) -> RouterHead:
    scores = TABLE[:, ["abc".index(name) for name in pool]]
    config = settings_of(kind, {"epochs": 40, "rate": 1e-2} if kind == "zooter" else {})
    return fit_head(VECTORS, softmax(scores, 0.2), list(pool), "none", config, scores=scores)
