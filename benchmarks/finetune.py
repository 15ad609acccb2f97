"""What training the encoder too gains: python benchmarks/finetune.py FILE [--modes none last]

All modes have the same queries, labels and seed: routers are trained on a sample of four fifths of the queries
(--learn) and tested on a sample of the last fifth (--judge). Scores are means over queries, x 100; `minus first` is the
95% interval of the difference from the first mode.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from score_file import parsed, parser_of, trained

from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import labels
from zooter_core.method.metrics import interval
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.encoder import Encoder
from zooter_core.router.finetune import MODES, Training
from zooter_core.router.kinds import DistillConfig
from zooter_core.router.router import DistilledRouter

FOLDS = 5


def rows_of(scores: Scores, encoder: Encoder, call: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per mode."""
    dice = np.random.default_rng(0)
    order = dice.permutation(len(scores.queries))
    aside = len(order) // FOLDS
    learned, judged = scores.subset(order[aside:][: call.learn]), scores.subset(order[:aside][: call.judge])
    texts, judged_texts = ([query.text for query in part.queries] for part in (learned, judged))
    inputs = encoder.embed_all(texts)
    tags = cluster_tags(inputs)
    wanted = labels.label(learned.scores, learned.datasets, tags, SCORE_LABELS).enhanced
    first: np.ndarray | None = None
    for mode in call.modes:
        begun, config = time.perf_counter(), DistillConfig(finetune=mode)
        if mode == "none":
            router = DistilledRouter(trained(learned, inputs, tags, config), encoder)
        else:
            router = Training(texts, inputs, wanted, learned.scores, scores.candidates, encoder, config).run()
        seconds = time.perf_counter() - begun
        vectors = router.encoder.embed_all(judged_texts)
        chosen = router.head.probabilities(vectors).argmax(axis=1)
        earned = judged.scores[np.arange(len(chosen)), chosen]
        first = earned if first is None else first
        minus_first = (0.0, 0.0) if earned is first else interval(earned - first)
        row = {"mode": mode, "score": float(earned.mean()), "interval": interval(earned)}
        yield row | {"minus_first": minus_first, "seconds": seconds}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["none", "last"])
    parser.add_argument("--learn", type=int, default=1200)
    parser.add_argument("--judge", type=int, default=600)
    call = parsed(parser)
    for row in rows_of(read_scores([call.scores]), Encoder(call.encoder), call):
        (low, high), (under, over) = row["interval"], row["minus_first"]
        print(f"{row['mode']:5} {100 * row['score']:.2f} ({100 * low:.2f} to {100 * high:.2f})", end="")
        print(f"; minus first {100 * under:.2f} to {100 * over:.2f}; {row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
