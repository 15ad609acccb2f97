"""Each candidate's skills according to a router: its mean probability on the starter set's queries of each kind."""

from __future__ import annotations

import numpy as np

from zooter_core.base.paths import STARTER
from zooter_core.base.records import Query
from zooter_core.base.skills import GROUPS
from zooter_core.data.scores import read_queries
from zooter_core.router.router import Router

QUICK = 120  # queries at the beginning of the set, which cycles through the skills


def starter_queries(quick: bool = False) -> list[Query]:
    """The queries of the starter set, or only the first ones if `quick`."""
    return read_queries(STARTER / "queries.jsonl")[: QUICK if quick else None]


def average_shares(router: Router) -> dict[str, dict[str, float]]:
    """Candidate -> kind of query -> the candidate's mean probability on the first starter queries of that kind."""
    queries = starter_queries(quick=True)
    probabilities = router.probabilities_all([query.text for query in queries])
    kinds = {kind: [n for n, query in enumerate(queries) if query.dataset in skills] for kind, skills in GROUPS.items()}
    means = {kind: np.mean(probabilities[rows], axis=0) for kind, rows in kinds.items() if rows}
    return {
        name: {kind: float(mean[column]) for kind, mean in means.items()}
        for column, name in enumerate(router.candidates)
    }
