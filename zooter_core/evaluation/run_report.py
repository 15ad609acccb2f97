"""The figures of report.json: the candidates on all queries of a training, and the router on the held-back ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.data import prices
from zooter_core.data.scores import NO_DATASET, Scores
from zooter_core.evaluation.evaluate import compare, scored_queries
from zooter_core.method import calibration, metrics, selection
from zooter_core.method.metrics import Array, mean


@dataclass(frozen=True)
class Sampled:
    """Rewards and costs of the single responses of a run.

    Attributes:
        rewards: shape (n, candidates, k), whose means over k are the scores.
        dollars: for a thousand queries, shape (n, candidates), means over k; None where a price is missing.
    """

    rewards: Array
    dollars: Array | None = None


def report(
    scores: Scores,
    entropies: Sequence[float],
    held_back: NDArray[np.bool_],
    outputs: selection.Outputs | None,
    sampled: Sampled | None = None,
) -> dict[str, Any]:
    """The figures of report.json: each candidate's rewards by source, and the router on the held-back queries.

    A candidate is left out of a source where it has no score, and a data set of the held-back ones where the router or
    some candidate has none, or all if nothing can be compared. `scored` counts each candidate's scores where some lack.

    The latter are those of `compare` with RMR among the methods, `calibration`, `selection` (in a pool of two or more;
    selection.report) and, where prices are known, the `dollars` that the methods cost for a thousand queries.

    Args:
        entropies: reward entropy of each query, in [0, 1].
        held_back: which queries the router has not learned from, shape (n,).
        outputs: the router's on the held-back queries; None where there are none.
        sampled: one response for each candidate and query, free of cost, if not given.
    """
    shares = metrics.win_shares(scores.scores)
    names, spread = np.array(scores.datasets), np.array(entropies)

    def by_name(table: Array) -> dict[str, float]:
        means = zip(scores.candidates, mean(table, axis=0).tolist(), strict=True)
        return {name: value for name, value in means if not np.isnan(value)}

    def by_source(rows: NDArray[np.bool_]) -> dict[str, Any]:
        table = scores.scores[rows]
        counts = dict(zip(scores.candidates, scored_queries(table), strict=True))
        return {
            "n": int(rows.sum()),
            **({"scored": counts} if np.isnan(table).any() else {}),
            "mean_reward": by_name(table),
            "share_of_wins": by_name(shares[rows]),
            "reward_entropy": float(spread[rows].mean()),
        }

    sources = {"all": by_source(np.ones(len(names), dtype=bool))}
    sources |= {str(name): by_source(names == name) for name in dict.fromkeys(scores.datasets) if name != NO_DATASET}
    figures: dict[str, Any] = {"candidates": sources}
    if outputs is not None:
        sampled = sampled or Sampled(scores.scores[..., None])
        rows = np.flatnonzero(held_back)
        judged = _judged(scores.subset(rows.tolist()), outputs.probabilities.argmax(axis=1))
        if judged.any():
            outputs, rows = outputs.of_queries(judged), rows[judged]
            dollars = None if sampled.dollars is None else sampled.dollars[rows]
            of_router = _held_back(outputs, scores.subset(rows.tolist()), sampled.rewards[rows], dollars)
            if all(None not in ends for ends in of_router["interval"].values()):  # every difference has a query
                figures["held_back"] = of_router
    return figures


def _judged(fold: Scores, chosen: NDArray[np.intp]) -> NDArray[np.bool_]:
    """The queries of the data sets where every candidate, and the choice, has a score for some query; shape (n,)."""
    columns = np.column_stack([fold.scores, fold.scores[np.arange(len(chosen)), chosen]])
    able = {name: bool(row.all()) for name, row in metrics.group_means(np.isfinite(columns), fold.datasets).items()}
    return np.array([able[name] for name in fold.datasets], dtype=bool)


def _held_back(outputs: selection.Outputs, fold: Scores, rewards: Array, dollars: Array | None) -> dict[str, Any]:
    chosen = outputs.probabilities.argmax(axis=1)
    # RMR sees one response per candidate; its choice is judged by the mean reward. With k = 1 it is the oracle.
    comparable = np.where(np.isnan(rewards), -np.inf, rewards)
    rmr = np.take_along_axis(fold.scores, comparable.argmax(axis=1), axis=1).mean(axis=1)
    figures = compare(fold, chosen, {"rmr": rmr})
    figures["calibration"] = calibration.reliability(outputs.probabilities, metrics.win_shares(fold.scores))
    if len(fold.candidates) > 1 and selection.scored(outputs, fold.scores).any():
        figures["selection"] = selection.report(outputs, fold.scores, rewards, dollars)
    if dollars is not None and (priced := np.isfinite(dollars).all(axis=1)).any():  # the same queries for each method
        counted = {} if priced.all() else {"n": int(priced.sum())}
        figures["dollars"] = counted | prices.spent(fold.candidates, chosen[priced], dollars[priced])
    return figures
