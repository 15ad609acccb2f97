"""How much beta matters: the paper's Table 2 on any scores, by cross-validation over folds and seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zooter_core import labels, metrics
from zooter_core.distill import fit_head
from zooter_core.encoder import Encoder
from zooter_core.errors import ZooterError
from zooter_core.heads import DistillConfig
from zooter_core.scores import Scores

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SweepConfig:
    """Every query is held back once a seed: `folds` routers are distilled a seed and a beta."""

    betas: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
    tau: float = 1.0
    normalise: str = "none"
    folds: int = 5
    seeds: int = 3

    def __post_init__(self) -> None:
        if not self.betas:
            raise ZooterError("at least one beta", "none", "Use --beta 0,0.1,0.3,1.")
        for beta in self.betas:
            if not 0 <= beta <= 1:
                raise ZooterError("every beta between 0 and 1", str(beta), "Use --beta 0,0.1,0.3,1.")
        if self.folds < 2 or self.seeds < 1:
            raise ZooterError("2 folds and 1 seed at least", f"{self.folds} and {self.seeds}", "Give more.")


def sweep(
    scores: Scores,
    tags: Sequence[Sequence[str]],
    encoder: Encoder,
    config: SweepConfig,
    training: DistillConfig,
    progress: Callable[[str, int, int], None] = lambda step, done, of: None,
) -> dict[str, Any]:
    """The score that routers earn on queries they have not learned from, for each beta.

    Tag priors come from the training folds alone. Returns `rows` in the order of the betas, each with `mean` (over
    queries and seeds), its 95% bootstrap `interval` over queries, `regret`, and `minus_best`: the interval of the
    difference from the best beta, query by query; `best` is the beta with the highest mean, and `differs` says
    whether every other beta is worse beyond that interval.

    Raises:
        ZooterError: there are fewer queries than folds.
    """
    if len(scores.queries) < config.folds:
        raise ZooterError(f"at least {config.folds} queries", str(len(scores.queries)), "Give a larger score file.")
    plain = labels.softmax(labels.normalise(scores.scores, config.normalise, scores.datasets), config.tau)
    vectors = encoder.embed_all([query.text for query in scores.queries])
    earned = {beta: np.zeros(len(plain)) for beta in config.betas}
    total, done = len(config.betas) * config.seeds * config.folds, 0
    for seed in range(config.seeds):
        folds = np.array([_fold(query.id, seed, config.folds) for query in scores.queries])
        for fold in range(config.folds):
            train, kept = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            known = [tags[row] for row in train.tolist()]
            priors = labels.tag_priors(plain[train], known)
            for beta in config.betas:
                wanted = labels.enhance(plain[train], known, priors, beta)
                head = fit_head(
                    vectors[train], wanted, scores.candidates, encoder.reference, replace(training, seed=seed)
                )
                with torch.inference_mode():
                    chosen = head(torch.from_numpy(vectors[kept])).argmax(dim=-1).numpy()
                earned[beta][kept] += scores.scores[kept, chosen]
                done += 1
                progress("sweep", done, total)
    means = {beta: values / config.seeds for beta, values in earned.items()}
    best = max(means, key=lambda beta: means[beta].mean())
    oracle = scores.scores.max(axis=1)
    rows: list[dict[str, Any]] = [
        {
            "beta": beta,
            "mean": float(values.mean()),
            "interval": metrics.interval(values),
            "regret": float((oracle - values).mean()),
            "minus_best": metrics.interval(values - means[best]),
        }
        for beta, values in means.items()
    ]
    differs = all(row["minus_best"][1] < 0 for row in rows if row["beta"] != best)
    return {
        "n": len(plain),
        "folds": config.folds,
        "seeds": config.seeds,
        "rows": rows,
        "best": best,
        "differs": differs,
    }


def _fold(query_id: str, seed: int, folds: int) -> int:
    digest = hashlib.sha256(f"fold {seed}|{query_id}".encode()).hexdigest()
    return int(digest[:12], 16) % folds
