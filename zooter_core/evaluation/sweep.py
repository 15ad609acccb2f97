"""The effect of beta: the paper's Table 2 on any scores, by cross-validation over folds and seeds.

For each seed and pair of beta and tau there is a router a fold, so that every query is judged once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.data.scores import Scores
from zooter_core.evaluation.evaluate import best_single
from zooter_core.evaluation.figures import Sweep, SweepRow
from zooter_core.evaluation.verdicts import reach_verdict
from zooter_core.method import labels, metrics
from zooter_core.method.metrics import Array, mean
from zooter_core.method.tags import TagIndex
from zooter_core.router.clusters import Vectors
from zooter_core.router.distill import FOLDS, learn
from zooter_core.router.kinds import DistillConfig

SEEDS = 3
Point = tuple[float, float]  # beta, tau
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SweepConfig:
    """Which labels the routers learn from."""

    betas: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    taus: tuple[float, ...] = (1.0,)
    normalise: str = "none"

    def __post_init__(self) -> None:
        for beta in self.betas:
            if not 0 <= beta <= 1:
                raise ZooterError("every beta between 0 and 1", str(beta), "For instance beta=0,0.1,0.3,1.")
        for tau in self.taus:
            if not 0 < tau < float("inf"):
                raise ZooterError("every tau above 0", str(tau), "For instance tau=0.1,0.3,1.")

    @property
    def points(self) -> list[Point]:
        """The pairs of beta and tau, tau by tau."""
        return [(beta, tau) for tau in self.taus for beta in self.betas]


def sweep(
    scores: Scores,
    tags: Sequence[Sequence[str]],
    vectors: Vectors,
    config: SweepConfig,
    training: DistillConfig,
    progress: Progress = lambda step, done, of: None,
) -> Sweep:
    """The mean score of routers on queries that they have not learned from, for each beta and tau. Tags and vectors,
    shape (n, width), are those of the queries; tag priors come from the training folds alone.

    Raises:
        ZooterError: there are too few queries for the folds.
    """
    material, index = scores.without_barely_scored(), TagIndex.of(tags)
    splits = list(_splits(scores))
    total, done = len(config.points) * len(splits), 0
    means = {}
    for beta, tau in config.points:
        gained = np.empty((SEEDS, len(material.queries)))
        settings = labels.LabelConfig(beta, tau, config.normalise)
        for seed, train, test in splits:
            enhanced = labels.label(material.scores, material.datasets, index, settings, train).enhanced[train]
            seeded = replace(training, seed=seed)
            head = learn(vectors[train], enhanced, material.candidates, "", seeded, scores=material.scores[train])
            gained[seed, test] = material.scores[test, head.logits(vectors[test]).argmax(axis=1)]
            done += 1
            progress("sweep", done, total)
        means[beta, tau] = np.asarray(mean(gained, axis=0))
    return figures(scores, config, means)


def figures(scores: Scores, config: SweepConfig, means: Mapping[Point, Array]) -> Sweep:
    """What `sweep` returns, from each point's mean score over seeds of each query, shape (n,).

    A row's `mean` is over queries and seeds, its 95% `interval` over queries, and `minus_best` the interval of the
    paired difference from the best point, which has the highest mean. `differs` says whether every other point is worse
    beyond its interval. The `verdict` compares the best point with the best single candidate of the training folds, by
    the means of the first seed's folds.
    """
    best = max(means, key=lambda point: mean(means[point]))
    oracle = np.fmax.reduce(scores.scores, axis=1)
    rows = [
        SweepRow(
            beta=beta,
            tau=tau,
            n=int(np.isfinite(values).sum()),
            mean=float(mean(values)),
            interval=metrics.interval(values),
            regret=float(mean(oracle - values)),
            minus_best=(0.0, 0.0) if (beta, tau) == best else metrics.interval(values - means[best]),
        )
        for (beta, tau), values in means.items()
    ]
    return Sweep(
        n=len(scores.queries),
        folds=FOLDS,
        seeds=SEEDS,
        normalise=config.normalise,
        rows=rows,
        best={"beta": best[0], "tau": best[1]},
        differs=all(row.minus_best[1] < 0 for row in rows if (row.beta, row.tau) != best),
        verdict=reach_verdict(
            scores, means[best], _alone(scores), scores.candidates[best_single(scores)], "cross-validation",
            folds=_folds(scores, 0).astype(np.float64),
        ),
    )  # fmt: skip


def _alone(scores: Scores) -> Array:
    """The mean score over seeds of each query if it goes to the best single candidate of the other folds, (n,)."""
    alone = np.empty((SEEDS, len(scores.queries)))
    for seed, train, test in _splits(scores):
        alone[seed, test] = scores.scores[test, best_single(scores.subset(train.tolist()))]
    return np.asarray(mean(alone, axis=0))


def _splits(scores: Scores) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """Each fold of each seed: the seed, the rows of the queries in the other folds, and those in the fold."""
    for seed in range(SEEDS):
        folds = _folds(scores, seed)
        for fold in np.unique(folds):
            yield seed, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)


def _folds(scores: Scores, seed: int) -> NDArray[np.intp]:
    """The fold of each query by a hash of its id, shape (n,), for one seed. Refuses too few queries."""
    if (count := len(scores.queries)) < FOLDS:
        raise ZooterError(f"at least {FOLDS} queries for {FOLDS} folds", str(count), "Give a larger score file.")
    digests = (hashlib.sha256(f"fold {seed}|{query.id}".encode()).hexdigest() for query in scores.queries)
    return np.array([int(digest[:12], 16) % FOLDS for digest in digests])
