"""Evaluate a router, or any other choice of candidates, on scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.data.scores import Scores, ScoreSource, as_scores
from zooter_core.evaluation.report import check_names
from zooter_core.method import calibration, metrics, selection
from zooter_core.method.metrics import Array, mean, without_gaps
from zooter_core.router.distill import fit_head
from zooter_core.router.kinds import settings_of
from zooter_core.router.router import Router
from zooter_core.router.text_encoder import TextEncoder


def simple(scores: Scores, learned: Scores) -> dict[str, Array]:
    """The score that simple rules learned from `learned` get on each query of `scores`, shape (n,); NaN for no score.

    `best single` is the candidate with the highest mean over data sets, `majority` the one that wins most queries, and
    `best a data set` the one with the highest mean in the query's data set (best single where that is a new one).
    """
    table = learned.scores
    means = metrics.group_means(table, learned.datasets)
    single = int(np.nanargmax(mean(np.array(list(means.values())), axis=0)))
    majority = int(np.nanargmax(mean(metrics.win_shares(table), axis=0)))
    best = {name: int(np.nanargmax(row)) for name, row in means.items()}
    places = [best.get(name, single) for name in scores.datasets]
    return {
        "random": mean(scores.scores, axis=1),
        "best single": scores.scores[:, single],
        "majority": scores.scores[:, majority],
        "best a data set": scores.scores[np.arange(len(places)), places],
    }


def nearest(scores: Scores, learned: Scores, encoder: TextEncoder) -> Array:
    """The score that kNN gets on each query, shape (n,), with its default settings and the router's encoder.

    Args:
        scores, learned: with the candidates in the same order.
    """
    references = encoder.embed_all([query.text for query in learned.queries])
    head = fit_head(references, learned.scores, learned.candidates, encoder.reference, settings_of("knn"))
    chosen = head.logits(encoder.embed_all([query.text for query in scores.queries])).argmax(axis=1)
    return scores.scores[np.arange(len(chosen)), chosen]


def evaluate(
    router: Router | str | Path,
    scores: ScoreSource,
    learned: ScoreSource | None = None,
    more: Mapping[str, Array] | None = None,
    outputs: selection.Outputs | None = None,
) -> dict[str, Any]:
    """How well a router chooses: the figures of `zooter evaluate --json`.

        evaluate("my-router", "scores.jsonl")["mean"]["regret"]

    Besides the figures of `compare` these are `baselines`, other ways of choosing, and `calibration`: how often the
    chosen candidate has the highest score, by its probability. Each baseline has its mean score (`chosen`, unweighted
    over data sets), `datasets`, `regret`, whether it was picked in hindsight, and `router_minus`, the 95% interval of
    the router's score minus its own.

    Args:
        router: or its folder.
        scores: one or more score files, or their contents; the candidates may be in another order than the router's.
        learned: the scores that the router was distilled from. The baselines then learn from them too, and kNN joins;
            otherwise they are picked in hindsight, on the scores that they are judged by.
        more: further methods, as in `compare`.
        outputs: what `outputs_of` gave for this router and these scores, where you have it.

    Raises:
        ZooterError: there is no router, a file is wrong, or the scores are of other candidates.
        WorkError: the router does not work.
    """
    router = Router.load(router) if isinstance(router, str | Path) else router
    scores = as_scores(scores)
    probabilities = (outputs or outputs_of(router, scores)).probabilities
    chosen = probabilities.argmax(axis=1)
    figures = compare(scores, chosen, more)
    chosen_scores = scores.scores[np.arange(len(chosen)), chosen]
    baselines = {name: (values, name != "random") for name, values in simple(scores, scores).items()}
    if learned is not None:
        learned = as_scores(learned).in_order(scores.candidates)
        fair = simple(scores, learned) | {"knn": nearest(scores, learned, router.encoder)}
        baselines |= {name: (values, False) for name, values in fair.items()}
    figures["baselines"] = {
        name: without_nan(_baseline(scores, values, chosen_scores)) | {"hindsight": hindsight}
        for name, (values, hindsight) in baselines.items()
    }
    figures["calibration"] = calibration.reliability(probabilities, metrics.win_shares(scores.scores))
    return figures


def outputs_of(
    router: Router, scores: Scores, progress: Callable[[int], None] = lambda done: None
) -> selection.Outputs:
    """A router's outputs for the queries of scores, with the candidates in the order of the scores.

    Args:
        progress: called with the number of queries done after each batch that is embedded.

    Raises:
        ZooterError: the scores are of other candidates.
    """
    pool = router.for_pool(scores.candidates).candidates
    outputs = router.outputs_all([query.text for query in scores.queries], progress)
    return outputs.in_order([pool.index(name) for name in scores.candidates])


def _baseline(scores: Scores, values: Array, chosen: Array) -> dict[str, Any]:
    datasets = {name: float(mean) for name, mean in metrics.group_means(values, scores.datasets).items()}
    return {
        "n": scored_queries(values),
        "chosen": float(mean(np.array(list(datasets.values())))),
        "regret": float(mean(np.fmax.reduce(scores.scores, axis=1) - values)),
        "datasets": datasets,
        "router_minus": metrics.interval(chosen - values),
    }


def compare(scores: Scores, chosen: NDArray[np.intp], more: Mapping[str, Array] | None = None) -> dict[str, Any]:
    """Figures of a choice, of each candidate, and of a random and a perfect choice.

    A query counts for the methods whose choice has a score there, and for a difference of two where both have one;
    `counts` says on how many queries each of `interval` and `mean` stands, and each candidate. The oracle and a random
    choice are those among the scored candidates. None where there is no query.

    Averages are unweighted over data sets; `interval` values are 95% bootstrap intervals over all queries. MTR and
    %Uplift rank the router, each candidate and the oracle; `single` ranks them without the methods that need every
    candidate's response (the oracle and `more`). `gap_closed` is (router - best single) / (oracle - best single) with
    its interval; None where the gap is 0 or close to it. `best_choice` is how often no candidate does better than the
    choice; a shared first place counts.

    Args:
        chosen: candidate numbers, shape (n,).
        more: further methods by name -> the score of their choice on each query, shape (n,); they join MTR and %Uplift.

    Raises:
        ZooterError: a candidate has the name of a method.
    """
    check_names(scores.candidates)
    more = dict(more or {})
    table, names = scores.scores, np.array(scores.datasets)
    earned, best, random = table[np.arange(len(table)), chosen], np.fmax.reduce(table, axis=1), mean(table, axis=1)
    datasets = {
        str(name): _figures(scores.candidates, table[rows], earned[rows], {m: of[rows] for m, of in more.items()})
        for name in dict.fromkeys(scores.datasets)
        for rows in (names == name,)
    }
    average = _average(scores.candidates, list(datasets.values()), ("chosen", "regret", "oracle", "random", *more))
    single = table[:, scores.candidates.index(average["best_single"]["candidate"])]
    alone = {"router": earned} | {name: table[:, column] for column, name in enumerate(scores.candidates)}
    others = {"best_single": single, "random": random, **more}
    means = {
        "chosen": earned,
        "regret": best - earned,
        "regret_best_single": best - single,
        "regret_random": best - random,
    }
    differences = {f"chosen_minus_{name}": earned - values for name, values in others.items()}
    every = means | {"oracle": best} | others | differences
    counts = {name: scored_queries(values) for name, values in every.items()}
    figures: dict[str, Any] = {
        "n": len(table),
        "datasets": datasets,
        "average": average,
        **_ranks(alone | more | {"oracle": best}, scores.datasets),
        "single": _ranks(alone, scores.datasets),
        "interval": {name: metrics.interval(values) for name, values in (means | differences).items()},
        "mean": {name: float(mean(values)) for name, values in (means | {"oracle": best} | others).items()},
        "counts": counts | {"candidates": dict(zip(scores.candidates, scored_queries(table), strict=True))},
        "gap_closed": _gap_closed(*without_gaps(earned - single, best - single)),
        "best_choice": {"router": _best_choice(earned, best), "best_single": _best_choice(single, best)},
    }
    shown: dict[str, Any] = without_nan(figures)
    return shown


def without_nan(figures: Any) -> Any:
    """Figures with None instead of NaN, which JSON does not have."""
    if isinstance(figures, dict):
        return {key: without_nan(value) for key, value in figures.items()}
    if isinstance(figures, list | tuple):
        return type(figures)(without_nan(value) for value in figures)
    return None if isinstance(figures, float) and np.isnan(figures) else figures


def scored_queries(values: Array) -> Any:
    """The number of queries with a score, of each column."""
    return np.isfinite(values).sum(axis=0).tolist()


def _ranks(methods: Mapping[str, Array], datasets: Sequence[str]) -> dict[str, dict[str, float]]:
    """MTR and %Uplift of methods; each has the score of its choice on each query, shape (n,)."""
    means = {name: np.array(list(metrics.group_means(values, datasets).values())) for name, values in methods.items()}
    return {"mtr": metrics.mean_task_rank(means), "uplift": metrics.uplift(means)}


def _best_choice(scores: Array, best: Array) -> dict[str, Any] | None:
    """How often a method's score, shape (n,), is the best one, with its 95% interval; None where it has no score."""
    scores, best = without_gaps(scores, best)
    if not len(scores):
        return None
    share = float((scores >= best).mean())
    return {"share": share, "interval": metrics.wilson_interval(share, len(scores)), "n": len(scores)}


def _gap_closed(closed: Array, gap: Array) -> dict[str, Any] | None:
    if not len(gap):
        return None
    spread, share = metrics.ratio_interval(closed, gap), float(metrics.ratio(closed.mean(), gap.mean()))
    return {"share": share, "interval": spread} if spread is not None and np.isfinite(share) else None


def _figures(candidates: tuple[str, ...], table: Array, chosen: Array, more: Mapping[str, Array]) -> dict[str, Any]:
    """Means over the queries of one data set."""
    means = dict(zip(candidates, mean(table, axis=0).tolist(), strict=True))
    oracle = np.fmax.reduce(table, axis=1)
    return {
        "n": len(table),
        "scored": scored_queries(chosen),
        "chosen": float(mean(chosen)),
        "regret": float(mean(oracle - chosen)),
        "oracle": float(oracle.mean()),
        "random": float(mean(table)),
        "best_single": _best(means),
        "candidates": means,
        **{name: float(mean(values)) for name, values in more.items()},
    }


def _average(candidates: Sequence[str], datasets: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, Any]:
    """Means over data sets, each data set counting the same."""
    overall = {name: float(mean(np.array([row["candidates"][name] for row in datasets]))) for name in candidates}
    means: dict[str, Any] = {key: float(mean(np.array([row[key] for row in datasets]))) for key in keys}
    return means | {"best_single": _best(overall)}


def _best(means: Mapping[str, float]) -> dict[str, Any]:
    """The candidate with the highest mean."""
    name = max(means, key=lambda name: np.nan_to_num(means[name], nan=-np.inf))
    return {"candidate": name, "score": means[name]}
