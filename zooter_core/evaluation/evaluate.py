"""Evaluates a router, or other choices of candidates, on scores, and computes the report of a training run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, did_you_mean, listed
from zooter_core.data import prices
from zooter_core.data.scores import NO_DATASET, Scores, ScoreSource, as_scores
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.baselines import best_single, nearest, simple
from zooter_core.evaluation.figures import (
    Baseline,
    BestSingle,
    ByName,
    DatasetMeans,
    Evaluation,
    Means,
    Report,
    Share,
    Source,
    SourceFigures,
    Verdict,
    check_names,
    to_json,
)
from zooter_core.method import calibration, metrics, selection
from zooter_core.method.metrics import Array, mean, without_gaps
from zooter_core.method.mixture import chosen, level
from zooter_core.router.neighbours import in_sample_note
from zooter_core.router.router import Router, restrict_rows

NEVER = 60  # queries; if a candidate gets none of them, its share is below 5% (rule of three: 3 / 60)


def evaluate(
    router: Router | str | Path,
    scores: ScoreSource,
    learned: ScoreSource | None = None,
) -> dict[str, Any]:
    """Compute how well a router chooses: the figures of `zooter evaluate --json`.

        evaluate("my-router", "scores.jsonl")["mean"]["regret"]

    These are the figures of `compare`, and `baselines`. Each baseline has its mean score (`chosen`, unweighted over
    data sets), `datasets`, `regret`, whether it was picked in hindsight, and `router_minus`, the 95% interval of the
    router's score minus its own score. `verdict` says whether routing beats always using the best single candidate; see
    `figures.Verdict`.

    Args:
        router: a router or its folder.
        scores: one or more score files, or their contents. The order of the candidates may differ from the router's.
        learned: the scores that the router was distilled from. The baselines then learn from the same scores, and
            include kNN. Without them, the baselines are picked in hindsight, on the scores for evaluation.

    Warns:
        UserWarning: the router of a folder was trained on some of the queries.

    Raises:
        ZooterError: there is no router, a file is wrong, or the candidates differ from the router's.
        WorkError: the router does not work.
    """
    scores = as_scores(scores)
    if isinstance(router, str | Path) and (note := in_sample_note(scores.queries, Path(router))):
        warnings.warn(note, stacklevel=2)
    return to_json(compute_evaluation(router, scores, learned))


def compute_evaluation(
    router: Router | str | Path,
    scores: ScoreSource,
    learned: ScoreSource | None = None,
    rmr: Array | None = None,
    probabilities: Array | None = None,
) -> Evaluation:
    """The result of `evaluate`, before its conversion to JSON.

    Args:
        rmr: as in `compare`.
        probabilities: the result of `compute_probabilities` for this router and these scores, if already computed.
    """
    router = Router.load(router) if isinstance(router, str | Path) else router
    scores = as_scores(scores)
    probabilities = compute_probabilities(router, scores) if probabilities is None else probabilities
    earned = chosen(probabilities, scores.scores)
    baselines = {name: (values, name != "random") for name, values in simple(scores, scores).items()}
    learned = None if learned is None else as_scores(learned).only(scores.candidates)
    if learned is not None:
        fair = simple(scores, learned) | {"knn": nearest(scores, learned, router.encoder)}
        baselines |= {name: (values, False) for name, values in fair.items()}
    figures = {name: _baseline(scores, values, earned, late) for name, (values, late) in baselines.items()}
    return replace(compare(scores, probabilities, rmr, learned), baselines=figures)


def compute_probabilities(router: Router, scores: Scores, progress: Callable[[int], None] = lambda done: None) -> Array:
    """A router's probabilities for the queries of `scores`, with the candidates in the order of `scores`.

    Raises:
        ZooterError: the router lacks one of the candidates.
    """
    if missing := [name for name in scores.candidates if name not in router.candidates]:
        step = f"{did_you_mean(missing[0], router.candidates)} Rename or remove them, or name a router that knows them."
        raise ZooterError("scores of the router's candidates alone", f"scores of {listed(missing)} too", step)
    rows = router.probabilities_all([query.text for query in scores.queries], progress)
    columns = [router.candidates.index(name) for name in scores.candidates]
    return rows[:, columns] if len(columns) == len(router.candidates) else restrict_rows(rows, columns)


def _baseline(scores: Scores, values: Array, earned: Array, hindsight: bool) -> Baseline:
    """The figures of a baseline. `values` are its scores and `earned` the router's scores, both of shape (n,)."""
    datasets = {name: float(mean) for name, mean in metrics.group_means(values, scores.datasets).items()}
    return Baseline(
        n=_scored(values),
        chosen=float(mean(np.array(list(datasets.values())))),
        regret=float(mean(np.fmax.reduce(scores.scores, axis=1) - values)),
        datasets=datasets,
        router_minus=metrics.interval(earned - values),
        hindsight=hindsight,
    )


def compare(
    scores: Scores,
    probabilities: Array,
    rmr: Array | None = None,
    learned: Scores | None = None,
    source: Source = "judged",
) -> Evaluation:
    """The figures of a router's choice, of each candidate, and of a random and a perfect choice.

    If scores are missing, a method's mean is over the queries where its choice has a score, and a difference is over
    the queries where both choices have a score. `counts` has the numbers of these queries, also for each candidate. The
    oracle and a random choice are among the candidates with a score. Figures without any query are NaN.

    `gap_closed` is (router - best single) / (oracle - best single); None if the gap is 0 or close to 0. `best_choice`
    is how often no candidate has a higher score than the choice. `calibration` is how often the chosen candidate has
    the highest score, by its probability.

    Args:
        probabilities: the router's probabilities, shape (n, N). It chooses the most probable candidate.
        rmr: the score of RMR's choice on each query, shape (n,), to include RMR in MTR and %Uplift.
        learned: the scores that the router learned from, with the same candidates. The verdict compares the router with
            the best single candidate on these scores; without them, with the best candidate in hindsight.
        source: the source of the queries, for the verdict.

    Raises:
        ZooterError: a candidate has the name of a method.
    """
    check_names(scores.candidates)
    ranked = {} if rmr is None else {"rmr": rmr}
    table, names = scores.scores, np.array(scores.datasets)
    earned = chosen(probabilities, table)
    best, random = np.fmax.reduce(table, axis=1), mean(table, axis=1)
    datasets = {}
    for name in dict.fromkeys(scores.datasets):
        rows = names == name
        ranked_rows = None if rmr is None else rmr[rows]
        datasets[str(name)] = _of_dataset(scores.candidates, table[rows], earned[rows], ranked_rows)
    few = scores.barely_scored
    average = _average([name for name in scores.candidates if name not in few], list(datasets.values()))
    single = table[:, scores.candidates.index(average.best_single.candidate)]
    alone = {"router": earned} | dict(zip(scores.candidates, table.T, strict=True))
    ranks, ranks_alone = (_ranks(methods, scores.datasets) for methods in (alone | ranked | {"oracle": best}, alone))
    others = {"best_single": single, "random": random, **ranked}
    means = {
        "chosen": earned,
        "regret": best - earned,
        "regret_best_single": best - single,
        "regret_random": best - random,
    }
    differences = {f"chosen_minus_{name}": earned - values for name, values in others.items()}
    candidates = dict(zip(scores.candidates, _scored(table), strict=True))
    counts = {"chosen": _scored(earned), "candidates": candidates}  # in the order of existing reports
    counts |= {name: _scored(values) for name, values in (means | {"oracle": best} | others | differences).items()}
    return Evaluation(
        n=len(table),
        datasets=datasets,
        average=average,
        mtr=ranks["mtr"],
        uplift=ranks["uplift"],
        single=ranks_alone,
        interval={name: _interval(name, values) for name, values in (means | differences).items()},
        mean={name: float(mean(values)) for name, values in (means | {"oracle": best} | others).items()},
        gap_closed=_gap_closed(*without_gaps(earned - single, best - single)),
        best_choice={"router": _best_choice(earned, best), "best_single": _best_choice(single, best)},
        calibration=calibration.reliability(probabilities, metrics.win_shares(table)),
        counts=counts,
        verdict=_verdict(scores, probabilities, average.best_single.candidate, learned, source),
    )


def _verdict(scores: Scores, probabilities: Array, best: str, learned: Scores | None, source: Source) -> Verdict:
    """The verdict on the router's choices against the best single candidate on `learned`.

    Without `learned`, it is against `best`, in hindsight.
    """
    against = best if learned is None else learned.candidates[best_single(learned)]
    alone = scores.scores[:, scores.candidates.index(against)]
    earned = chosen(probabilities, scores.scores)
    verdict = verdicts.reach_verdict(scores, earned, alone, against, source, learned is None)
    if len(probabilities) < NEVER:
        return verdict
    used = set(probabilities.argmax(axis=1).tolist())
    return replace(verdict, never_needed=[name for n, name in enumerate(scores.candidates) if n not in used])


def _interval(name: str, values: Array) -> tuple[float, float]:
    """The interval of a mean. The interval of a regret is clipped at 0."""
    low, high = metrics.interval(values)
    return max(low, 0.0) if name.startswith("regret") else low, high


def _scored(values: Array) -> Any:
    """The number of queries with a score, per column."""
    return np.isfinite(values).sum(axis=0).tolist()


def _ranks(methods: Mapping[str, Array], datasets: Sequence[str]) -> dict[Literal["mtr", "uplift"], ByName]:
    """MTR and %Uplift of methods, from the score of each method's choice on each query, shape (n,)."""
    means = {name: np.array(list(metrics.group_means(values, datasets).values())) for name, values in methods.items()}
    return {"mtr": metrics.mean_task_rank(means), "uplift": metrics.uplift(means)}


def _best_choice(scores: Array, best: Array) -> Share | None:
    """How often a method's score, shape (n,), is the best score; None if the method has no score."""
    scores, best = without_gaps(scores, best)
    if not len(scores):
        return None
    share = float((scores >= best).mean())
    return Share(share=share, interval=metrics.wilson_interval(share, len(scores)), n=len(scores))


def _gap_closed(closed: Array, gap: Array) -> Share | None:
    if not len(gap):
        return None
    spread, share = metrics.ratio_interval(closed, gap), float(metrics.ratio(closed.mean(), gap.mean()))
    return Share(share=share, interval=spread) if spread is not None and np.isfinite(share) else None


def _of_dataset(candidates: tuple[str, ...], table: Array, chosen: Array, rmr: Array | None) -> DatasetMeans:
    means = dict(zip(candidates, mean(table, axis=0).tolist(), strict=True))
    oracle = np.fmax.reduce(table, axis=1)
    return DatasetMeans(
        n=len(table),
        scored=_scored(chosen),
        chosen=float(mean(chosen)),
        regret=float(mean(oracle - chosen)),
        oracle=float(oracle.mean()),
        random=float(mean(table)),
        best_single=_best(means),
        candidates=means,
        rmr=None if rmr is None else float(mean(rmr)),
    )


def _average(candidates: Sequence[str], datasets: Sequence[DatasetMeans]) -> Means:
    """Unweighted means over data sets, and the best of the `candidates`."""

    def over(values: Sequence[float]) -> float:
        return float(mean(np.array(values)))

    ranked = [row.rmr for row in datasets if row.rmr is not None]
    return Means(
        **{name: over([getattr(row, name) for row in datasets]) for name in ("chosen", "regret", "oracle", "random")},
        best_single=_best({name: over([row.candidates[name] for row in datasets]) for name in candidates}),
        rmr=over(ranked) if ranked else None,
    )


def _best(means: Mapping[str, float]) -> BestSingle:
    name = max(means, key=lambda name: np.nan_to_num(means[name], nan=-np.inf))
    return BestSingle(candidate=name, score=means[name])


@dataclass(frozen=True)
class Sampled:
    """Rewards and costs of a run's individual responses."""

    rewards: Array  # shape (n, candidates, k), whose means over k are the scores
    # Dollars per thousand queries, means over k, shape (n, candidates); None if a price is missing.
    dollars: Array | None = None
    tokens: Array | None = None  # per response, in the same shape; None if tokens were not counted

    def part(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Sampled:
        """The part for some queries and candidates."""
        place = np.ix_(rows, columns)
        dollars, tokens = (None if table is None else table[place] for table in (self.dollars, self.tokens))
        return Sampled(self.rewards[place], dollars, tokens)


def report(
    scores: Scores,
    entropies: Sequence[float],
    held_back: NDArray[np.bool_],
    outputs: selection.Outputs | None,
    sampled: Sampled | None = None,
    cross_validated: Array | None = None,
    corrected: bool = False,
) -> Report:
    """The figures of a training run: each candidate's rewards by source, and the router on the held-back queries.

    - The figures of a source leave out candidates without a score there. If scores are missing, `scored` has the number
      of each candidate's scores.
    - The few scores of candidates with hardly any scores (`Scores.barely_scored`) are ignored.
    - The held-back figures leave out candidates without scores, queries that the router sends to these candidates, and
      data sets where the router or a candidate has no score. They are None if nothing can be compared.

    The held-back figures are those of `compare` with RMR, `selection` (if the pool has at least two candidates) and, if
    prices are known, the `dollars` of each method per thousand queries.

    Args:
        entropies: the reward entropy of each query, in [0, 1].
        held_back: a mask of the queries that the router has not learned from, shape (n,).
        outputs: the router's outputs on the held-back queries; None if there are none.
        sampled: the individual responses. By default, one free response per candidate and query.
        cross_validated: three rows over the training queries: the score of the choice of a router that has not learned
            from the query, the score of the best single candidate, and the query's fold. NaN where there is no score,
            or where a query is in no fold. These rows give the verdict if few queries are held back.
        corrected: as in `difference`.
    """
    sources = _by_source(scores, np.array(entropies))
    scores = scores.without_barely_scored()
    learned = None if held_back.all() else scores.subset(np.flatnonzero(~held_back).tolist())
    crossed = None
    if learned and cross_validated is not None:
        router, alone, folds = cross_validated
        single = learned.candidates[
            int(level(learned.scores).argmax())
        ]  # the rule of `mixture.cross_fitted_levels` in each fold
        crossed = verdicts.reach_verdict(
            learned, router, alone, single, "cross-validation", folds=folds, corrected=corrected
        )
    if outputs is None:
        return Report(candidates=sources, cross_validation=crossed)
    sampled = sampled or Sampled(scores.scores[..., None])
    columns = np.flatnonzero(np.isfinite(scores.scores).any(axis=0))
    able = np.isin(outputs.probabilities.argmax(axis=1), columns)
    scores, outputs = scores.of_columns(columns), outputs.of_queries(able).in_order(columns.tolist())
    learned = learned and learned.of_columns(columns)
    rows = np.flatnonzero(held_back)[able]
    judged = _judged(scores.subset(rows.tolist()), outputs.probabilities)
    outputs, rows = outputs.of_queries(judged), rows[judged]
    held_back_part = _held_back(outputs, scores.subset(rows.tolist()), learned, sampled.part(rows, columns))
    return Report(candidates=sources, held_back=held_back_part, cross_validation=crossed)


def _by_source(scores: Scores, entropies: Array) -> dict[str, SourceFigures]:
    """Each candidate's rewards, on all queries and per data set."""
    table, names = scores.without_barely_scored().scores, np.array(scores.datasets)
    shares = metrics.win_shares(table)

    def by_name(values: Array) -> dict[str, float]:
        means = zip(scores.candidates, mean(values, axis=0).tolist(), strict=True)
        return {name: value for name, value in means if not np.isnan(value)}

    sources = {"all": np.ones(len(names), dtype=bool)}
    sources |= {str(name): names == name for name in dict.fromkeys(scores.datasets) if name != NO_DATASET}
    return {
        source: SourceFigures(
            n=int(rows.sum()),
            mean_reward=by_name(table[rows]),
            share_of_wins=by_name(shares[rows]),
            reward_entropy=float(entropies[rows].mean()),
            scored=dict(zip(scores.candidates, _scored(scores.scores[rows]), strict=True))
            if np.isnan(table[rows]).any()
            else None,
        )
        for source, rows in sources.items()
    }


def _judged(fold: Scores, probabilities: Array) -> NDArray[np.bool_]:
    """A mask of the queries of data sets in which each candidate and the choice have some score, shape (n,)."""
    columns = np.column_stack([fold.scores, chosen(probabilities, fold.scores)])
    able = {name: bool(row.all()) for name, row in metrics.group_means(np.isfinite(columns), fold.datasets).items()}
    return np.array([able[name] for name in fold.datasets], dtype=bool)


def _held_back(outputs: selection.Outputs, fold: Scores, learned: Scores | None, sampled: Sampled) -> Evaluation | None:
    """The router's figures on the held-back queries; None if there is no query for one of the differences."""
    rewards, dollars = sampled.rewards, sampled.dollars
    if not len(fold.queries):
        return None
    # RMR sees one response per candidate, and its choice is evaluated by the mean reward. With k = 1, it is the oracle.
    comparable = np.where(np.isnan(rewards), -np.inf, rewards)
    rmr = np.take_along_axis(fold.scores, comparable.argmax(axis=1), axis=1).mean(axis=1)
    figures = compare(fold, outputs.probabilities, rmr, learned, "held-back")
    verdict = figures.verdict
    if 0 in figures.counts.values():
        return None
    if len(fold.candidates) > 1 and selection.scored(outputs, fold.scores).any():
        figures = replace(figures, selection=selection.report(outputs, fold.scores, rewards, dollars))
    picks = outputs.probabilities.argmax(axis=1)
    if dollars is not None and (spent := prices.spent(fold.candidates, picks, dollars)):
        return replace(figures, dollars=spent, verdict=verdicts.with_cost(verdict, spent, "dollars"))
    if sampled.tokens is not None and (spent := prices.spent(fold.candidates, picks, sampled.tokens)):
        return replace(figures, verdict=verdicts.with_cost(verdict, spent, "tokens"))
    return figures
