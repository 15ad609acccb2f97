"""The effect of beta: the paper's Table 2 on any scores, by cross-validation over folds and seeds.

For each seed and each pair of beta and tau, one router is trained per fold, so that each query is evaluated once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.base.progress import Progress, quiet
from zooter_core.data.scores import Scores
from zooter_core.evaluation.baselines import best_single
from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.evaluation.verdicts import reach_verdict
from zooter_core.method import metrics
from zooter_core.method.labels import LabelConfig, label, lot
from zooter_core.method.metrics import Array, mean
from zooter_core.method.tags import TagIndex
from zooter_core.router.clusters import Vectors
from zooter_core.router.distill import FOLDS, learn
from zooter_core.router.kinds import DistillConfig

SEEDS = 3
BETAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


def sweep(
    scores: Scores,
    tags: Sequence[Sequence[str]],
    vectors: Vectors,
    configs: Sequence[LabelConfig],
    training: DistillConfig,
    progress: Progress = quiet,
) -> Sweep:
    """The mean scores of routers on unseen queries, for the labels of each beta and tau.

    Args:
        tags: the tags of each query. Tag priors are computed on the training folds only.
        vectors: the queries' vectors, shape (n, width).
        configs: the pairs of beta and tau to compare, all with the same `normalise`.

    Raises:
        ZooterError: there are too few queries for the folds.
    """
    material, index = scores.without_barely_scored(), TagIndex.of(tags)
    splits = list(_splits(scores))
    total, done = len(configs) * len(splits), 0
    means = {}
    for config in configs:
        gained = np.empty((SEEDS, len(material.queries)))
        for seed, train, test in splits:
            enhanced = label(material.scores, material.datasets, index, config, train).enhanced[train]
            seeded = replace(training, seed=seed)
            head = learn(vectors[train], enhanced, material.candidates, "", seeded, scores=material.scores[train])
            gained[seed, test] = material.scores[test, head.logits(vectors[test]).argmax(axis=1)]
            done += 1
            progress("sweep", done, total)
        means[config] = np.asarray(mean(gained, axis=0))
    return figures(scores, means)


def figures(scores: Scores, means: Mapping[LabelConfig, Array]) -> Sweep:
    """The result of `sweep`, computed from the mean score over seeds of each query.

    The `mean` of a row is over queries and seeds, and its 95% `interval` is over queries. `minus_best` is the interval
    of the paired difference from the best row, which is the row with the highest mean. `differs` is whether all other
    rows are significantly worse. The `verdict` compares the best row with the best single candidate of the training
    folds, by the means of the first seed's folds.

    Args:
        means: the mean score over seeds of each query, shape (n,), for each pair of beta and tau.
    """
    best = max(means, key=lambda config: mean(means[config]))
    oracle = np.fmax.reduce(scores.scores, axis=1)
    rows = [
        SweepRow(
            beta=config.beta,
            tau=config.tau,
            n=int(np.isfinite(values).sum()),
            mean=float(mean(values)),
            interval=metrics.interval(values),
            regret=float(mean(oracle - values)),
            minus_best=(0.0, 0.0) if config == best else metrics.interval(values - means[best]),
        )
        for config, values in means.items()
    ]
    return Sweep(
        n=len(scores.queries),
        folds=FOLDS,
        seeds=SEEDS,
        normalise=best.normalise,
        rows=rows,
        best={"beta": best.beta, "tau": best.tau},
        differs=all(row.minus_best[1] < 0 for row in rows if (row.beta, row.tau) != (best.beta, best.tau)),
        verdict=reach_verdict(
            scores, means[best], _alone(scores), scores.candidates[best_single(scores)], "cross-validation",
            folds=_folds(scores, 0).astype(np.float64),
        ),
    )  # fmt: skip


def _alone(scores: Scores) -> Array:
    """The mean score over seeds of the best single candidate of the other folds on each query, shape (n,)."""
    alone = np.empty((SEEDS, len(scores.queries)))
    for seed, train, test in _splits(scores):
        alone[seed, test] = scores.scores[test, best_single(scores.subset(train.tolist()))]
    return np.asarray(mean(alone, axis=0))


def _splits(scores: Scores) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """Yield each fold of each seed: the seed, the rows of the queries in the other folds, and the rows in the fold."""
    for seed in range(SEEDS):
        folds = _folds(scores, seed)
        for fold in np.unique(folds):
            yield seed, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _folds(scores: Scores, seed: int) -> NDArray[np.intp]:
    """The fold of each query for one seed, by a hash of its id, shape (n,). Raises ZooterError for too few queries."""
    if (count := len(scores.queries)) < FOLDS:
        raise ZooterError(f"at least {FOLDS} queries for {FOLDS} folds", str(count), "Give a larger score file.")
    return np.array([lot(query.id, f"fold {seed}") % FOLDS for query in scores.queries])
