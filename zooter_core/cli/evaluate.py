"""`zooter evaluate`: a router against score files, and what selection and prices would make of it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.cli.options import check_plot, ensemble_of, print_json, progress_bars, tell_set_aside
from zooter_core.cli.tables import print_evaluation, print_selection, print_trade, save_selection_plot
from zooter_core.config.fleet import load_fleet
from zooter_core.data import prices
from zooter_core.data.scores import Scores, read_scores, read_texts
from zooter_core.errors import ZooterError, listed
from zooter_core.evaluation.evaluate import evaluate as figures_of
from zooter_core.evaluation.robustness import robustness
from zooter_core.method import selection
from zooter_core.router.encoder import Encoders
from zooter_core.router.router import Router
from zooter_core.weights import quiet_libraries

Array = NDArray[np.float64]
Texts = Sequence[dict[str, str]]
BATCH = 16  # queries at a time for the reward model


def evaluate(call: Namespace) -> None:
    """A router against score files."""
    _check(call)
    quiet_libraries()
    scores = read_scores(call.scores)
    learned = read_scores(call.learned_from) if call.learned_from else None
    texts = read_texts(call.scores) if call.judge_fleet or call.prices or call.rmr else []
    paid = prices.prices_of(load_fleet(call.prices), scores.candidates) if call.prices else None
    for option, given in (("--judge-fleet", call.judge_fleet), ("--rmr", call.rmr)):
        if given:
            _check_texts(scores, texts, option)
    router = Router.load(_router_path(call), Encoders())
    more = {"rmr": _rmr(call, scores, texts)} if call.rmr else None
    figures = figures_of(router, scores, learned, more)
    outputs = router.outputs([query.text for query in scores.queries])  # the vectors are remembered
    outputs = outputs.in_order([router.candidates.index(name) for name in scores.candidates])
    costs = None if paid is None else prices.dollars(paid, _tokens(router, scores, texts, call.tokens or prices.TOKENS))
    if paid is not None and costs is not None:
        figures["trade"] = prices.trade(outputs.probabilities, scores.scores, paid, costs, call.willingness)
    if call.select:
        figures["selection"] = selection.report(outputs, scores.scores, costs=costs)
        if call.judge_fleet:
            asked = selection.ranking(outputs.probabilities)[:, : selection.MOST].tolist()
            rewards = _rewards(call.judge_fleet, scores, texts, asked)
            figures["selection"]["judge"] = selection.report(outputs, scores.scores, rewards, costs)
    if call.robust:
        figures["robustness"] = robustness(router, [query.text for query in scores.queries])
    if call.plot:
        save_selection_plot(figures["selection"], Path(call.plot))
    _show(call, figures)


def _show(call: Namespace, figures: dict[str, Any]) -> None:
    if call.json:
        print_json(figures)
        return
    print_evaluation(figures)
    if "trade" in figures:
        print_trade(figures["trade"])
    if call.select:
        print_selection(figures["selection"])


def _check(call: Namespace) -> None:
    """Refuse what cannot be, before the work."""
    check_plot(call)
    if bool(call.router) == bool(call.fleet):
        found = "both" if call.router else "neither"
        raise ZooterError("--router DIR, or --fleet DIR for its router", found, "Give one of them.")
    prices.check_willingness(call.willingness)
    for wanted, given, needed in (
        ("--judge-fleet", call.judge_fleet, "--select"),
        ("--plot", call.plot, "--select"),
        ("--rmr", call.rmr, "--fleet"),
        ("--willingness", call.willingness, "--prices"),
        ("--tokens", call.tokens is not None, "--prices"),
    ):
        if given and not getattr(call, needed.removeprefix("--")):
            raise ZooterError(f"{needed} with {wanted}", f"{wanted} alone", f"Add {needed}, or leave {wanted} out.")
    if call.tokens is not None and call.tokens < 1:
        raise ZooterError("--tokens of at least 1", str(call.tokens), "Mend it.")


def _router_path(call: Namespace) -> str:
    """The router that a call names, or that of its fleet."""
    if call.router:
        return str(call.router)
    fleet = load_fleet(call.fleet)
    if fleet.router is None:
        raise ZooterError(f"a [router] table in fleet.toml of {fleet.name}", "none", "Give --router DIR instead.")
    return fleet.router.path


def _check_texts(scores: Scores, texts: Texts, option: str) -> None:
    for query, found in zip(scores.queries, texts, strict=True):
        if missing := [name for name in scores.candidates if name not in found]:
            raise ZooterError(
                f"the responses of all candidates to the query {query.id}, for {option}",
                f"none of {listed(missing)}",
                f'Add "responses" to every line, or leave {option} out.',
            )


def _tokens(router: Router, scores: Scores, texts: Texts, assumed: int) -> Array:
    """Tokens of each response, shape (n, N), by the tokenizer of the router; `assumed` where there is none."""
    places = [
        (row, column)
        for row, found in enumerate(texts)
        for column, name in enumerate(scores.candidates)
        if name in found
    ]
    tokens = np.full(scores.scores.shape, float(assumed))
    counts = router.encoder.count([texts[row][scores.candidates[column]] for row, column in places])
    for place, count in zip(places, counts, strict=True):
        tokens[place] = count
    return tokens


def _rmr(call: Namespace, scores: Scores, texts: Texts) -> Array:
    """What keeping the response with the highest reward earns a query, shape (n,), by the fleet's reward model."""
    everyone = [list(range(len(scores.candidates)))] * len(texts)
    chosen = _rewards(call.fleet, scores, texts, everyone).argmax(axis=1)
    return scores.scores[np.arange(len(chosen)), chosen]


def _rewards(fleet: str, scores: Scores, texts: Texts, asked: Sequence[Sequence[int]]) -> Array:
    """A fleet's rewards of the responses of some candidates, shape (n, N); -inf of an empty one, or one not asked for.

    Args:
        asked: for each query the columns of those candidates.
    """
    ensemble = ensemble_of(Namespace(command="evaluate", fleet=fleet))
    aside: dict[str, str] = {}
    rewards = np.full(scores.scores.shape, -np.inf)
    with progress_bars() as progress:
        for first in range(0, len(asked), BATCH):
            rows = range(first, min(first + BATCH, len(asked)))
            columns = {row: [c for c in asked[row] if texts[row][scores.candidates[c]]] for row in rows}
            found = ensemble.score_responses(
                [(scores.queries[r].text, [texts[r][scores.candidates[c]] for c in columns[r]]) for r in rows]
            )
            for row, scored in zip(rows, found, strict=True):
                for column, reward in zip(columns[row], scored.rewards, strict=True):
                    rewards[row, column] = -np.inf if reward is None else reward
                if scored.reason:
                    aside[scores.queries[row].id] = scored.reason
            progress("reward", rows.stop, len(asked))
    tell_set_aside(aside)
    return rewards
