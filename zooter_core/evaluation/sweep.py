"""How much beta matters: the paper's Table 2 on any scores, by cross-validation over folds and seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core.data.scores import Scores
from zooter_core.errors import ZooterError
from zooter_core.method import labels, metrics
from zooter_core.router.distill import learn
from zooter_core.router.encoder import Encoder
from zooter_core.router.kinds import DistillConfig

Array = NDArray[np.float64]
Point = tuple[float, float]  # beta, tau
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SweepConfig:
    """Every query is held back once a seed: `folds` routers are distilled a seed and a pair of beta and tau."""

    betas: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    taus: tuple[float, ...] = (1.0,)
    normalise: str = "none"
    folds: int = 5
    seeds: int = 3

    def __post_init__(self) -> None:
        if not self.betas or not self.taus:
            raise ZooterError("at least one beta and one tau", "none", "Use --beta 0,0.1,0.3,1.")
        for beta in self.betas:
            if not 0 <= beta <= 1:
                raise ZooterError("every beta between 0 and 1", str(beta), "Use --beta 0,0.1,0.3,1.")
        for tau in self.taus:
            if not 0 < tau < float("inf"):
                raise ZooterError("every tau above 0", str(tau), "Use --tau 0.1,0.3,1.")
        if self.folds < 2 or self.seeds < 1:
            raise ZooterError("2 folds and 1 seed at least", f"{self.folds} and {self.seeds}", "Give more.")

    @property
    def points(self) -> list[Point]:
        """The pairs of beta and tau, tau by tau."""
        return [(beta, tau) for tau in self.taus for beta in self.betas]


def sweep(
    scores: Scores,
    tags: Sequence[Sequence[str]],
    encoder: Encoder,
    config: SweepConfig,
    training: DistillConfig,
    progress: Progress = lambda step, done, of: None,
) -> dict[str, Any]:
    """The score that routers earn on queries they have not learned from, for each beta and tau.

    Tag priors come from the training folds alone. Returns `rows` in the order of the points, each with `beta`, `tau`,
    `mean` (over queries and seeds), its 95% bootstrap `interval` over queries, `regret`, and `minus_best`: the interval
    of the difference from the best point, query by query; `best` is the point with the highest mean, and `differs`
    says whether every other point is worse beyond that interval.

    Raises:
        ZooterError: there are too few queries for the folds.
    """
    return figures(scores, config, dict(earned(scores, tags, encoder, config, training, progress)))


def figures(scores: Scores, config: SweepConfig, means: Mapping[Point, Array]) -> dict[str, Any]:
    """What `sweep` returns, of the points that have been worked through so far; at least one."""
    best = max(means, key=lambda point: means[point].mean())
    oracle = scores.scores.max(axis=1)
    rows: list[dict[str, Any]] = [
        {
            "beta": beta,
            "tau": tau,
            "mean": float(values.mean()),
            "interval": metrics.interval(values),
            "regret": float((oracle - values).mean()),
            "minus_best": metrics.interval(values - means[best]),
        }
        for (beta, tau), values in means.items()
    ]
    others = [row for row in rows if (row["beta"], row["tau"]) != best]
    return {
        "n": len(scores.queries),
        "folds": config.folds,
        "seeds": config.seeds,
        "normalise": config.normalise,
        "rows": rows,
        "best": {"beta": best[0], "tau": best[1]},
        "differs": all(row["minus_best"][1] < 0 for row in others),
    }


def earned(
    scores: Scores,
    tags: Sequence[Sequence[str]],
    encoder: Encoder,
    config: SweepConfig,
    training: DistillConfig,
    progress: Progress = lambda step, done, of: None,
) -> Iterator[tuple[Point, Array]]:
    """Point by point what its routers earned a query, shape (n,), as the mean over seeds.

    Raises:
        ZooterError: there are too few queries for the folds.
    """
    folds_of = [_folds(scores, seed, config.folds) for seed in range(config.seeds)]
    vectors = encoder.embed_all([query.text for query in scores.queries])
    total, done = len(config.points) * config.seeds * config.folds, 0
    for beta, tau in config.points:
        found = np.zeros(len(scores.queries))
        for seed in range(config.seeds):
            folds = folds_of[seed]
            for fold in range(config.folds):
                train, kept = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
                settings = labels.LabelConfig(beta, tau, config.normalise)
                wanted = labels.label(scores.scores, scores.datasets, tags, settings, train).enhanced[train]
                head = learn(
                    vectors[train], wanted, scores.candidates, encoder.reference, replace(training, seed=seed),
                    scores=scores.scores[train],
                )  # fmt: skip
                with torch.inference_mode():
                    chosen = head(torch.from_numpy(vectors[kept])).argmax(dim=-1).numpy()
                found[kept] += scores.scores[kept, chosen] / config.seeds
                done += 1
                progress("sweep", done, total)
        yield (beta, tau), found


def _folds(scores: Scores, seed: int, folds: int) -> NDArray[np.intp]:
    """The fold of each query, shape (n,), for one seed.

    Raises:
        ZooterError: there are fewer queries than folds, or one fold has them all and leaves none to learn from.
    """
    many = len(scores.queries)
    if many < folds:
        raise ZooterError(f"at least {folds} queries for {folds} folds", str(many), "Give a larger score file.")
    found = np.array([_fold(query.id, seed, folds) for query in scores.queries])
    if (found == found[0]).all():
        raise ZooterError(
            "queries in at least two folds", f"all {many} in one fold (seed {seed})", "Give a larger score file."
        )
    return found


def _fold(query_id: str, seed: int, folds: int) -> int:
    digest = hashlib.sha256(f"fold {seed}|{query_id}".encode()).hexdigest()
    return int(digest[:12], 16) % folds
