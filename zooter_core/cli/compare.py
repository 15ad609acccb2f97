"""`zooter compare`: runs every candidate on a query, or on each line of stdin, and ranks the responses by reward."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from zooter_core.backends import iter_responses
from zooter_core.base.errors import WorkError, one_line
from zooter_core.base.records import Message, Query, Ranked
from zooter_core.cli.bars import Lines, waiting
from zooter_core.cli.consoles import err, out, print_json, print_note
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import FLEET, JSON, MAX_NEW_TOKENS, QUERY_OR_STDIN, TEMPERATURE, choose_generation
from zooter_core.cli.stdin import STDIN, stdin_queries
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.evident_keys import key_in
from zooter_core.evaluation.verified import verified_ranking
from zooter_core.fleet.ensemble import Ensemble


def compare(
    query: str = QUERY_OR_STDIN,
    fleet: Path | None = FLEET,
    json: bool = JSON,
    temperature: float | None = TEMPERATURE,
    max_new_tokens: int | None = MAX_NEW_TOKENS,
) -> int:
    many = query == STDIN
    queries: Iterable[Query] = stdin_queries() if many else [Query("", query)]
    ensemble = open_ensemble(fleet)
    generation = choose_generation(ensemble.fleet.generation, temperature, max_new_tokens)
    if not ensemble.can_rank:
        err.print("This fleet has no [reward] table, so the responses are not ranked.")
    lines, done, failed = Lines(err), 0, 0
    for item in queries:
        decision = ensemble.route([Message("user", item.text)])
        text = f"Query {done + 1}: all candidates answer ..." if many else "All candidates answer ..."
        with waiting(text, lines):
            ranked = _ranked(ensemble, item, generation)
        if json:
            shape = {"query": item.text, "responses": [one.to_json() for one in ranked], "route": decision.to_json()}
            print_json(shape, indent=None if many else 2, flush=many)
        else:
            if many:
                out.print(one_line(item.text), style="bold underline")
            _print(ranked, decision.candidate)
        done += 1
        failed += all(one.rank is None if ensemble.can_rank else one.response.error is not None for one in ranked)
    if many and failed:
        err.print(f"{failed} of {done} queries failed.")
    return 1 if failed else 0


def _ranked(ensemble: Ensemble, query: Query, generation: GenerationConfig) -> list[Ranked]:
    """The responses of all candidates, the best first; in pool order if nothing ranks them."""
    pool = ensemble.fleet.pool
    pieces = ensemble.run_candidates(pool, [Message("user", query.text)], threading.Event(), generation)
    responses = {response.candidate: response for _, response in iter_responses(pieces, print_note)}
    answers = [responses[name] for name in pool]
    ranked = [Ranked(answer) for answer in answers]
    if ensemble.can_rank:
        try:
            ranked = ensemble.rank_responses(query.text, answers)
        except WorkError as problem:  # show the responses without ranks, since they were expensive
            err.print(str(problem))
    key = query.key or key_in(query.text)
    return verified_ranking(ranked, key) if key else ranked


def _print(ranked: Sequence[Ranked], chosen: str) -> None:
    for item in ranked:
        answer = item.response
        if answer.error or not answer.text:
            facts = str(answer.error or "an empty response")
        else:
            reward = "no reward" if item.reward is None else f"reward {item.reward:.2f}"
            facts = f"{reward}, {answer.seconds:.1f} s, {answer.tokens:,} tokens"
            facts += f" ({answer.thought_tokens:,} of thoughts)" if answer.thought_tokens else ""
        facts = f"{item.outcome}, {facts}" if item.outcome else facts
        marker = "  <- the router's choice" if answer.candidate == chosen else ""
        place = f"{item.rank}. " if item.rank else ""
        out.print(f"{place}{answer.candidate} ({facts}){marker}", style="bold")
        print(answer.text + "\n", flush=True)
