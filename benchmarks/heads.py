"""Every router kind, or the default one with other settings: python benchmarks/heads.py FILE [--seeds 3] [--json]

Prints, for each kind, the mean score of the candidates that it chooses for unseen queries, unweighted over data sets:
`folds` by 5-fold cross-validation, `left out` with the query's data set left out of training. The interval is that of
the difference from the first row (95%, bootstrap over the queries of each data set). With --settings, the rows are the
default kind, unchanged and once per TEXT, such as "hidden=128 beta=.2 clusters=20 times=10". With --test, routers are
trained on all of FILE and tested on the queries of another file with the same candidates.
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
from typing import Any

import numpy as np
from score_file import parsed, parser_of

from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import labels, metrics
from zooter_core.method.labels import normalise
from zooter_core.method.tags import TagIndex
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router import clusters
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.distill import Scored, learn, learn_auto_kind
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import AUTO_KIND, KINDS, LEARN_LABELS, ZOOTER, configure

FOLDS = 5
DRAWS = 2000
OF_LABELS = {"beta": SCORE_LABELS.beta, "tau": SCORE_LABELS.tau, "clusters": clusters.CLUSTERS, "times": clusters.TIMES}
Array = np.ndarray
Choose = Callable[[Array, Array], Array]  # training rows, test rows -> candidate numbers


@dataclass
class Bench:
    """A score file with its vectors. Clusters of the same rows are computed only once."""

    scores: Scores
    encoder: Encoder
    clusterings: dict[tuple, TagIndex] = field(default_factory=dict)

    @cached_property
    def vectors(self) -> Array:
        return self.encoder.embed_all([query.text for query in self.scores.queries])

    @property
    def names(self) -> Array:
        return np.array(self.scores.datasets)

    def tags(self, train: Array, seed: int, most: int, times: int) -> TagIndex:
        key = (train.tobytes(), seed, most, times)
        if key not in self.clusterings:
            self.clusterings[key] = cluster_tags(self.vectors[train], seed, most, times)
        return self.clusterings[key]

    def mean(self, values: Array) -> float:
        """The unweighted mean over data sets."""
        return float(np.mean(list(metrics.group_means(values, self.scores.datasets).values())))

    def interval(self, values: Array) -> list[float]:
        """The 95% bootstrap interval of `mean`, resampling the queries of each data set."""
        dice, parts = np.random.default_rng(0), []
        for name in dict.fromkeys(self.scores.datasets):
            part = values[self.names == name]
            parts.append(part[dice.integers(0, len(part), (DRAWS, len(part)))].mean(axis=1))
        return list(metrics.quantile_interval(np.mean(parts, axis=0)))


def splits(names: Array, seed: int) -> dict[str, list[Array]]:
    """The test rows of each split as masks: by folds, and by data sets."""
    folds = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return {
        "folds": [folds == fold for fold in range(FOLDS)],
        "left_out": [names == name for name in dict.fromkeys(names.tolist())],
    }


def earned(scores: Scores, held_back: list[Array], choose: Choose) -> Array:
    """The score of the chosen candidate of each query, shape (n,), with its part held back."""
    values = np.empty(len(scores.queries))
    for mask in held_back:
        rows = np.flatnonzero(mask)
        values[rows] = scores.scores[rows, choose(np.flatnonzero(~mask), rows)]
    return values


def split(kind: str, settings: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The settings of the labels, which only the default kind uses, and those of the kind."""
    names = OF_LABELS if kind in LEARN_LABELS else {}
    of_labels = {name: value for name, value in settings.items() if name in names}
    return OF_LABELS | of_labels, {name: value for name, value in settings.items() if name not in names}


def by_head(bench: Bench, kind: str, settings: dict[str, float], seed: int) -> Choose:
    """Choose by a router that is trained as `zooter distill --scores` does: clusters as tags, enhanced labels."""
    of_labels, kind_settings = split(kind, settings)
    label_config = replace(SCORE_LABELS, beta=of_labels["beta"], tau=of_labels["tau"])
    config, table = configure(kind, kind_settings, seed), bench.scores.scores
    rewards = normalise(table, label_config.normalise, bench.scores.datasets)

    def choose(train: Array, judged: Array) -> Array:
        plain, learned, vectors = labels.softmax(rewards[train], label_config.tau), table[train], bench.vectors[train]
        if kind in LEARN_LABELS:
            tags = bench.tags(train, seed, int(of_labels["clusters"]), int(of_labels["times"]))
            plain = labels.enhance(plain, tags, labels.tag_priors(plain, tags), label_config.beta)
        if kind == AUTO_KIND:
            scored = Scored.of(learned, bench.names[train].tolist(), tags, vectors, label_config)
            head, _ = learn_auto_kind(scored, bench.scores.candidates, "", config)
        else:
            head = learn(vectors, plain, bench.scores.candidates, "", config, scores=learned)
        return head.logits(bench.vectors[judged]).argmax(axis=-1)

    return choose


def best_single(bench: Bench, seed: int, by_dataset: bool = False) -> Choose:
    """Choose the candidate with the best mean over the training data sets, or over the query's data set."""
    names, table = bench.names, bench.scores.scores

    def choose(train: Array, judged: Array) -> Array:
        means = metrics.group_means(table[train], names[train].tolist())
        overall = np.mean(list(means.values()), axis=0)
        return np.array([(means.get(name, overall) if by_dataset else overall).argmax() for name in names[judged]])

    return choose


def compare(bench: Bench, rows: dict[str, Callable[[int], Choose]], seeds: int) -> Iterator[dict[str, Any]]:
    """A row per method: means over seeds, standard deviations, and the difference from the first row."""
    first: dict[str, Array] = {}
    for name, make in rows.items():
        begun, row = time.perf_counter(), {"method": name}
        for part in ("folds", "left_out"):
            tries = np.array([earned(bench.scores, splits(bench.names, s)[part], make(s)) for s in range(seeds)])
            means, values = [bench.mean(scores_of_try) for scores_of_try in tries], tries.mean(axis=0)
            row |= {part: float(np.mean(means)), f"{part}_sd": float(np.std(means))}
            row[f"{part}_minus_first"] = bench.interval(values - first.setdefault(part, values))
            by_dataset = metrics.group_means(values, bench.scores.datasets)
            row[f"{part}_datasets"] = {name: float(value) for name, value in by_dataset.items()}
        yield row | {"seconds": (time.perf_counter() - begun) / seeds}


def tested(learned: Bench, path: str, call: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per method: the mean over the test file's data sets, and the mean of each data set."""
    test = read_scores([path]).in_order(learned.scores.candidates)
    scores = replace(
        learned.scores,
        queries=(*learned.scores.queries, *test.queries),
        scores=np.concatenate([learned.scores.scores, test.scores]),
    )
    count, bench = len(learned.scores.queries), Bench(scores, learned.encoder)
    train, judged = np.arange(count), np.arange(count, len(scores.queries))
    for name, make in rows_of(bench, call).items():
        chosen = [scores.scores[judged, make(seed)(train, judged)] for seed in range(call.seeds)]
        means = [metrics.group_means(values, test.datasets) for values in chosen]
        by_dataset = {name: float(np.mean([one[name] for one in means])) for name in means[0]}
        seeds = [float(np.mean(list(one.values()))) for one in means]
        yield {"method": name, "test": float(np.mean(seeds)), "test_sd": float(np.std(seeds)), "datasets": by_dataset}


def fixed(bench: Bench) -> Iterator[dict[str, Any]]:
    """The rows of methods without training."""
    table = bench.scores.scores
    for name, values in (("random", table.mean(axis=1)), ("oracle", table.max(axis=1))):
        yield {"method": name, "folds": bench.mean(values), "left_out": bench.mean(values)}


def rows_of(bench: Bench, call: argparse.Namespace) -> dict[str, Callable[[int], Choose]]:
    """The methods to compare by name, each as a function of a seed."""
    if call.settings:
        choices = {text or "as it is": (ZOOTER, numbers(text.split())) for text in ["", *call.settings]}
    else:
        choices = {kind: (kind, {}) for kind in call.kinds}
    for kind, settings in choices.values():
        configure(kind, split(kind, settings)[1])  # raises an error for a wrong setting before the work starts
    rows: dict[str, Callable[[int], Choose]] = {name: partial(by_head, bench, *of) for name, of in choices.items()}
    if call.settings:
        return rows
    return rows | {
        "best single": partial(best_single, bench),
        "best per data set": partial(best_single, bench, by_dataset=True),
    }


def numbers(pairs: Sequence[str]) -> dict[str, float]:
    return {name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def shown(row: dict[str, Any]) -> str:
    cells = [f"{row['method']:34}"]
    if "test" in row:
        cells += [f"{100 * row['test']:6.2f} ± {100 * row['test_sd']:4.2f} "]
        return " ".join([*cells, *(f"{name} {100 * value:.2f}" for name, value in row["datasets"].items())])
    for part in ("folds", "left_out"):
        cells.append(f"{100 * row[part]:6.2f}")
        if f"{part}_sd" in row:
            low, high = (100 * end for end in row[f"{part}_minus_first"])
            cells.append(f"± {100 * row[f'{part}_sd']:4.2f} ({low:5.2f} to {high:5.2f})")
    if "seconds" in row:
        cells.append(f"{row['seconds']:6.0f} s")
    return " ".join(cells)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), metavar="KIND")
    parser.add_argument("--settings", nargs="+", metavar="TEXT", help="settings of the default kind, a row each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", metavar="FILE", help="judge by this file's queries")
    parser.add_argument("--json", action="store_true")
    call = parsed(parser)
    bench = Bench(read_scores([call.scores]), Encoder(call.encoder))
    rows = []
    if not call.json:
        print(
            f"{len(bench.scores.queries)} queries, {call.seeds} seeds: mean score x 100 ± standard deviation over seeds"
        )
    cross_validated = chain(compare(bench, rows_of(bench, call), call.seeds), fixed(bench))
    for row in tested(bench, call.test, call) if call.test else cross_validated:
        rows.append(row)
        print(shown(row), flush=True, file=sys.stderr if call.json else sys.stdout)
    if call.json:
        figures = {"n": len(bench.scores.queries), "folds": FOLDS, "seeds": call.seeds, "labels": asdict(SCORE_LABELS)}
        print(json.dumps(figures | {"rows": rows}))


if __name__ == "__main__":
    main()
