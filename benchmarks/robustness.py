"""How many choices survive harmless edits of the query: python benchmarks/robustness.py FILE [--json]

Routers of the default kind are trained on four fifths of the queries and route queries of the last fifth, unchanged and
edited. `score` is the mean score over the whole last fifth, x 100.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from score_file import parsed, parser_of, trained

from zooter_core.data.scores import Scores, read_scores
from zooter_core.evaluation.robustness import robustness
from zooter_core.method.metrics import interval
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.distilled import DistilledRouter
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DistillConfig

FOLDS = 5


def rows_of(scores: Scores, encoder: Encoder, call: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each seed."""
    texts = [query.text for query in scores.queries]
    for seed in range(call.seeds):
        aside = np.random.default_rng(seed).permutation(len(texts)) % FOLDS == 0
        train, judged = np.flatnonzero(~aside), np.flatnonzero(aside)
        sample = np.random.default_rng(seed).choice(judged, min(call.queries, len(judged)), replace=False)
        vectors = encoder.embed_all(texts)
        tags: list[tuple[str, ...]] = [()] * len(texts)
        for row, carried in zip(train, cluster_tags(vectors[train], seed), strict=True):
            tags[row] = carried
        head = trained(scores, vectors, tags, DistillConfig(seed=seed), train)
        figures = robustness(DistilledRouter(head, encoder), [texts[row] for row in sample])
        earned = scores.scores[judged, head.outputs(vectors[judged]).probabilities.argmax(axis=1)]
        yield {"seed": seed, "score": float(earned.mean()), "interval": interval(earned)} | figures.to_json()


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--queries", type=int, default=300, help="number of queries that are edited")
    parser.add_argument("--seeds", type=int, default=2)
    call = parsed(parser)
    rows = []
    for row in rows_of(read_scores([call.scores]), Encoder(call.encoder), call):
        rows.append(row)
        if not call.json:
            edits = ", ".join(f"{name} {100 * share:.1f}" for name, share in row["edits"].items())
            print(f"seed {row['seed']}: score {100 * row['score']:.2f};", end=" ")
            print(f"survive {100 * row['mean']:.1f}% ({edits}); paraphrases {100 * row['paraphrases']:.1f}", flush=True)
    if call.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
