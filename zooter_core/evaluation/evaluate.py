"""A router, or any other choice of candidates, against a score file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.scores import NO_DATASET, Scores
from zooter_core.errors import ZooterError, listed
from zooter_core.evaluation.baselines import nearest, simple
from zooter_core.method import calibration, metrics, selection
from zooter_core.router.router import Router

Array = NDArray[np.float64]
METHODS = {"router", "oracle", "rmr"}


def evaluate(
    router: Router, scores: Scores, learned: Scores | None = None, more: Mapping[str, Array] | None = None
) -> dict[str, Any]:
    """How well a router chooses; the stable shape of `zooter evaluate --json`, plus intervals.

    `baselines` are other ways of choosing, each with its mean score (`chosen`, unweighted over data sets), `datasets`,
    `regret`, whether it was picked in hindsight, and `router_minus`, the 95% interval of what the router earns more.
    `calibration` sets the probability of what the router chose beside how often it had the highest score.

    Args:
        scores: may list the candidates in another order than the router.
        learned: what the router was distilled from: the baselines then learn from it too, and kNN joins them. Without
            it they are picked in hindsight, on the very scores that they are judged by.
        more: further methods, as in `compare`.
    """
    pool = router.for_pool(scores.candidates).candidates
    order = [pool.index(name) for name in scores.candidates]
    probabilities = router.probabilities([query.text for query in scores.queries])[:, order]
    chosen = probabilities.argmax(axis=1)
    found = compare(scores, chosen, more)
    earned = scores.scores[np.arange(len(chosen)), chosen]
    rows = {False: simple(scores, scores)}
    if learned is not None:
        known = learned.in_order(scores.candidates)
        rows[True] = simple(scores, known) | {"knn": nearest(scores, known, router.encoder)}
    found["baselines"] = {
        name: _baseline(scores, values, earned) | {"hindsight": not learned_from and name != "random"}
        for learned_from, methods in rows.items()
        for name, values in methods.items()
    }
    found["calibration"] = calibration.reliability(probabilities, metrics.win_shares(scores.scores))
    return found


def _baseline(scores: Scores, values: Array, router: Array) -> dict[str, Any]:
    names = np.array(scores.datasets)
    datasets = {str(name): float(values[names == name].mean()) for name in dict.fromkeys(scores.datasets)}
    return {
        "chosen": float(np.mean(list(datasets.values()))),
        "regret": float((scores.scores.max(axis=1) - values).mean()),
        "datasets": datasets,
        "router_minus": metrics.interval(router - values),
    }


def check_names(candidates: Iterable[str]) -> None:
    """Refuse a candidate with the name of a method of a report.

    Raises:
        ZooterError: there is one.
    """
    if taken := METHODS & set(candidates):
        raise ZooterError(
            f"candidates not named like a method ({listed(sorted(METHODS))})", listed(taken), "Rename them."
        )


def compare(scores: Scores, chosen: NDArray[np.intp], more: Mapping[str, Array] | None = None) -> dict[str, Any]:
    """Figures of a choice (candidate numbers, shape (n,)) and of each candidate, random and oracle.

    Args:
        more: further methods by name -> the score each earned a query, shape (n,); they join MTR and %Uplift.

    Averages are unweighted over data sets; `interval` values are 95% bootstrap intervals over all queries. MTR and
    %Uplift rank the router, each candidate and the oracle; `single` ranks them without what needs every candidate's
    response (the oracle and `more`). `gap_closed` is the share of the way from the best single candidate to the oracle
    that the router has come, with its interval; it is None where there is no way to come.

    Raises:
        ZooterError: a candidate has the name of a method.
    """
    check_names(scores.candidates)
    table = scores.scores
    names = np.array(scores.datasets)
    earned = table[np.arange(len(table)), chosen]
    best = table.max(axis=1)
    groups = {str(name): names == name for name in dict.fromkeys(scores.datasets)}
    datasets = {name: _figures(scores.candidates, table[rows], earned[rows]) for name, rows in groups.items()}
    keys = ("chosen", "regret", "oracle", "random")
    average: dict[str, Any] = {key: float(np.mean([d[key] for d in datasets.values()])) for key in keys}
    overall = {c: float(np.mean([d["candidates"][c] for d in datasets.values()])) for c in scores.candidates}
    single = max(overall, key=lambda name: overall[name])
    average["best_single"] = {"candidate": single, "score": overall[single]}

    def by_group(values: Array) -> Array:
        return np.array([values[rows].mean() for rows in groups.values()])

    alone = {"router": by_group(earned)}
    alone |= {name: by_group(table[:, column]) for column, name in enumerate(scores.candidates)}
    everything = alone | {name: by_group(values) for name, values in (more or {}).items()} | {"oracle": by_group(best)}
    single_column = table[:, scores.candidates.index(single)]
    found: dict[str, Any] = {
        "n": len(table),
        "datasets": datasets,
        "average": average,
        "mtr": metrics.mean_task_rank(everything),
        "uplift": metrics.uplift(everything),
        "single": {"mtr": metrics.mean_task_rank(alone), "uplift": metrics.uplift(alone)},
        "interval": {
            "chosen": metrics.interval(earned),
            "regret": metrics.interval(best - earned),
            "regret_best_single": metrics.interval(best - single_column),
            "regret_random": metrics.interval(best - table.mean(axis=1)),
            "chosen_minus_best_single": metrics.interval(earned - single_column),
            "chosen_minus_random": metrics.interval(earned - table.mean(axis=1)),
        },
        "mean": {
            "chosen": float(earned.mean()),
            "regret": float((best - earned).mean()),
            "regret_best_single": float((best - single_column).mean()),
            "regret_random": float((best - table.mean(axis=1)).mean()),
            "oracle": float(best.mean()),
            "best_single": float(single_column.mean()),
            "random": float(table.mean()),
        },
        "gap_closed": _gap_closed(earned - single_column, best - single_column),
    }
    for name, values in (more or {}).items():
        _join(found, name, dict(zip(groups, by_group(values).tolist(), strict=True)))
        found["mean"][name] = float(values.mean())
        found["interval"][f"chosen_minus_{name}"] = metrics.interval(earned - values)
    return found


def _gap_closed(closed: Array, gap: Array) -> dict[str, Any] | None:
    spread, share = metrics.ratio_interval(closed, gap), float(metrics.ratio(closed.mean(), gap.mean()))
    return {"share": share, "interval": spread} if spread is not None and np.isfinite(share) else None


def _join(found: dict[str, Any], name: str, means: Mapping[str, float]) -> None:
    """Put a further method's means beside those of the router, data set by data set and averaged."""
    for dataset, mean in means.items():
        found["datasets"][dataset][name] = mean
    found["average"][name] = float(np.mean(list(means.values())))


def _figures(candidates: tuple[str, ...], table: Array, earned: Array) -> dict[str, Any]:
    means = dict(zip(candidates, table.mean(axis=0).tolist(), strict=True))
    best = max(means, key=lambda name: means[name])
    oracle = table.max(axis=1)
    return {
        "n": len(table),
        "chosen": float(earned.mean()),
        "regret": float((oracle - earned).mean()),
        "oracle": float(oracle.mean()),
        "random": float(table.mean()),
        "best_single": {"candidate": best, "score": means[best]},
        "candidates": means,
    }


@dataclass(frozen=True)
class Sampled:
    """What the single responses of a run earned and cost.

    Attributes:
        rewards: shape (n, candidates, k), whose means over k are the scores.
        dollars: for a thousand queries, shape (n, candidates), on average over k; None where a price is not known.
    """

    rewards: Array
    dollars: Array | None = None


def report(
    router: Router,
    scores: Scores,
    held_back: Sequence[bool],
    entropies: Sequence[float],
    sampled: Sampled | None = None,
) -> dict[str, Any]:
    """Figures of a pipeline: what each candidate earned by source, and how the router does on the held-back queries.

    Those are of `compare`, with RMR among the methods, `calibration`, `selection` (where there is something to select
    from; selection.report) and, where prices are known, the `dollars` that the methods cost for a thousand queries.

    Args:
        held_back: for each query whether the router has not learned from it.
        entropies: reward entropy of each query, in [0, 1].
        sampled: one response a candidate and query, free of cost, where not given.
    """
    shares = metrics.win_shares(scores.scores)
    names, spread = np.array(scores.datasets), np.array(entropies)

    def by_source(rows: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "n": int(rows.sum()),
            "mean_reward": dict(zip(scores.candidates, scores.scores[rows].mean(axis=0).tolist(), strict=True)),
            "share_of_wins": dict(zip(scores.candidates, shares[rows].mean(axis=0).tolist(), strict=True)),
            "reward_entropy": float(spread[rows].mean()),
        }

    sources = {str(name): by_source(names == name) for name in dict.fromkeys(scores.datasets)}
    everything = by_source(np.ones(len(names), dtype=bool))
    found: dict[str, Any] = {"candidates": {"all": everything, **{k: v for k, v in sources.items() if k != NO_DATASET}}}
    kept = np.flatnonzero(held_back)
    if len(kept):
        each = sampled or Sampled(scores.scores[..., None])
        dollars = None if each.dollars is None else each.dollars[kept]
        found["held_back"] = _held_back(router, scores.subset(kept.tolist()), each.rewards[kept], dollars)
    return found


def _held_back(router: Router, fold: Scores, each: Array, dollars: Array | None) -> dict[str, Any]:
    outputs = router.outputs([query.text for query in fold.queries])
    chosen = outputs.probabilities.argmax(axis=1)
    # RMR sees one response a candidate; its choice is judged by the mean reward. With k = 1 it is the oracle.
    rmr = np.take_along_axis(fold.scores, each.argmax(axis=1), axis=1).mean(axis=1)
    found = compare(fold, chosen, {"rmr": rmr})
    found["calibration"] = calibration.reliability(outputs.probabilities, metrics.win_shares(fold.scores))
    if len(fold.candidates) > 1:
        found["selection"] = selection.report(outputs, fold.scores, each, dollars)
    if dollars is not None:
        found["dollars"] = {
            "chosen": float(dollars[np.arange(len(chosen)), chosen].mean()),
            "candidates": dict(zip(fold.candidates, dollars.mean(axis=0).tolist(), strict=True)),
            "random": float(dollars.mean()),
            "all": float(dollars.sum(axis=1).mean()),
        }
    return found
