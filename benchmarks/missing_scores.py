"""Routers from incomplete scores: python benchmarks/missing_scores.py FILE [--seeds 3]

Two experiments with 5-fold cross-validation, in which the test queries keep all scores (mean score x 100, unweighted
over data sets):
- a share of the training scores is removed at random (each query keeps two);
- each candidate in turn keeps its scores on only a tenth of the training queries: how often the router chooses it,
  compared with a router trained on all scores.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from heads import Array, Bench, splits
from score_file import parsed, parser_of, trained

from zooter_core.data.scores import Scores, read_scores
from zooter_core.router.clusters import cluster_tags
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import ZOOTER, configure

SHARES = (0.3, 0.6)  # shares of the training scores that are removed
RARE = 0.1  # share of the queries on which a rare candidate keeps its score


def thinned(table: Array, share: float, seed: int) -> Array:
    """Scores of which a share is removed (NaN); each query keeps two."""
    dice = np.random.default_rng(seed).random(table.shape)
    keep = dice >= share
    keep |= dice >= np.sort(dice, axis=1)[:, -2:].min(axis=1, keepdims=True)
    return np.where(keep, table, np.nan)


def choices(bench: Bench, table: Array, seed: int) -> Array:
    """The candidate chosen for each query by a router that was trained on the other folds' rows of `table`."""
    chosen = np.empty(len(table), dtype=int)
    for mask in splits(bench.names, seed)["folds"]:
        rows = np.flatnonzero(~mask)
        vectors, lessons = bench.vectors[rows], replace(bench.scores, scores=table).subset(rows.tolist())
        head = trained(lessons, vectors, cluster_tags(vectors, seed), configure(ZOOTER, seed=seed))
        chosen[mask] = head.logits(bench.vectors[mask]).argmax(axis=-1)
    return chosen


def mean_score(bench: Bench, chosen: Array) -> float:
    return 100 * bench.mean(bench.scores.scores[np.arange(len(chosen)), chosen])


def rare(table: Array, column: int, share: float, seed: int) -> Array:
    """Scores of which one candidate keeps only a share."""
    lost = np.random.default_rng(seed).random(len(table)) >= share
    thin = table.copy()
    thin[lost, column] = np.nan
    return thin


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    call = parsed(parser)
    scores: Scores = read_scores([call.scores])
    bench, table = Bench(scores, Encoder(call.encoder)), scores.scores
    complete = [choices(bench, table, seed) for seed in range(call.seeds)]
    base = np.array([mean_score(bench, chosen) for chosen in complete])
    print(f"all scores {base.mean():.2f} ± {base.std():.2f}", flush=True)
    for share in SHARES:
        thin = [mean_score(bench, choices(bench, thinned(table, share, s), s)) for s in range(call.seeds)]
        apart = np.array(thin) - base
        print(f"without {share:.0%} {np.mean(thin):.2f} ({apart.mean():+.2f} ± {apart.std():.2f})", flush=True)
    for column, name in enumerate(scores.candidates):
        chosen = choices(bench, rare(table, column, RARE, 0), 0)
        before, after = (float((picks == column).mean()) for picks in (complete[0], chosen))
        figures = f"chosen {after:.1%} (with all {before:.1%}), {mean_score(bench, chosen):.2f}"
        print(f"{name} on {RARE:.0%}: {figures}", flush=True)


if __name__ == "__main__":
    main()
