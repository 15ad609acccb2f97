"""How good the router of models/open-models is: python benchmarks/open_models.py FILE [--left-out]

Five-fold cross-validation: the router of `zooter distill --scores` is trained on four folds and chooses for the fifth,
from all models, from the five that Ollama runs, and from every subset of two or more of these. `single` is the model
with the best mean on the training folds, `perfect` the best model of each query. Means are over queries; the interval
is that of the mean difference from `single` (95%, bootstrap over queries). With --left-out, each fold contains all data
sets of one kind of task (TASKS), so that the test queries are unlike the training queries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from score_file import parsed, parser_of

from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import metrics, mixture
from zooter_core.pipeline.train import distill
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import AUTO_KIND, configure
from zooter_core.router.router import restrict_rows

FOLDS = 5
TASKS = (
    ("mmlu", "openbook_qa", "arc_challenge", "gpqa", "commonsense_qa"),  # multiple choice
    ("natural_qa", "trivia_qa", "other"),  # open questions
    ("gsm8k", "math"),
    ("mbpp", "human_eval"),
    ("commongen",),  # a text from given words
)
FLEET = Path(__file__).resolve().parents[1] / "models" / "open-models"
Array = np.ndarray


def folds_of(scores: Scores, left_out: bool, seed: int) -> Array:
    """The fold of each query, shape (n,): its kind of task, or a random part of each data set."""
    if not left_out:
        return mixture.stratified(np.array(scores.datasets), FOLDS, seed)
    return np.array([next(row for row, names in enumerate(TASKS) if name in names) for name in scores.datasets])


def unseen(scores: Scores, encoder: Encoder, folds: Array) -> Array:
    """The probabilities of each query by a router that was trained on the other folds, shape (n, N)."""
    vectors = encoder.embed_all([query.text for query in scores.queries])
    probabilities = np.empty(scores.scores.shape)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds != fold)
        learned, training = scores.subset(rows.tolist()), configure(AUTO_KIND)
        router = distill(learned, training=training, encoder=encoder, vectors=vectors[rows])
        probabilities[folds == fold] = router.head.probabilities(vectors[folds == fold])
        print(f"fold {fold + 1} of {folds.max() + 1}", file=sys.stderr, flush=True)
    return probabilities


class Pool:
    """A pool's score on each query: of the router, of the best single model in training, of a perfect choice."""

    def __init__(self, scores: Scores, probabilities: Array, folds: Array, names: Sequence[str]) -> None:
        columns = [scores.candidates.index(name) for name in names]
        table = scores.scores[:, columns]
        single = np.empty(len(folds), dtype=np.intp)
        for fold in np.unique(folds):
            single[folds == fold] = table[folds != fold].mean(axis=0).argmax()
        rows = np.arange(len(table))
        self.names, self.single_names = tuple(names), [names[column] for column in np.unique(single)]
        self.router = table[rows, restrict_rows(probabilities, columns).argmax(axis=1)]
        self.single, self.perfect = table[rows, single], table.max(axis=1)

    def row(self, rows: Array | slice = slice(None)) -> dict[str, Any]:
        """The means over some of the queries."""
        gains = self.router[rows] - self.single[rows]
        means = {name: float(getattr(self, name)[rows].mean()) for name in ("single", "router", "perfect")}
        return {"n": len(gains), **means, "gain": float(gains.mean()), "interval": metrics.interval(gains)}


def figures(scores: Scores, probabilities: Array, folds: Array, fleet: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row per pool and, for the first two pools, a row per data set."""
    datasets = np.array(scores.datasets)
    pools = {"all": scores.candidates, "the fleet": fleet}
    for name, names in pools.items():
        pool = Pool(scores, probabilities, folds, names)
        yield {"pool": name, "part": "all queries", "singles": pool.single_names, **pool.row()}
        for dataset in dict.fromkeys(datasets.tolist()):
            yield {"pool": name, "part": dataset, **pool.row(np.flatnonzero(datasets == dataset))}
    for size in range(len(fleet), 1, -1):
        for names in combinations(fleet, size):
            pool = Pool(scores, probabilities, folds, names)
            yield {"pool": ", ".join(names), "part": "all queries", "singles": pool.single_names, **pool.row()}


def shown(row: dict[str, Any]) -> str:
    """A row of a Markdown table, in points."""
    low, high = (100 * end for end in row["interval"])
    interval = f" ({low:.1f} to {high:.1f})" if np.isfinite(low) else ""
    cells = [row["pool"], row["part"], f"{row['n']}", *(f"{100 * row[key]:.1f}" for key in ("single", "router"))]
    cells += [f"{100 * row['gain']:+.1f}{interval}", f"{100 * row['perfect']:.1f}"]
    return f"| {' | '.join(cells)} | {', '.join(row.get('singles', []))} |"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--left-out", action="store_true", help="folds are kinds of tasks")
    call = parsed(parser)
    scores, encoder = read_scores([call.scores]), Encoder(call.encoder)
    folds = folds_of(scores, call.left_out, seed=0)
    probabilities = unseen(scores, encoder, folds)
    print("| pool | queries | n | single | router | router - single (95%) | perfect | single is |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    for row in figures(scores, probabilities, folds, load_fleet(FLEET).routed_as):
        print(shown(row), flush=True)


if __name__ == "__main__":
    main()
