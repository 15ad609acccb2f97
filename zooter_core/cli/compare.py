"""`zooter compare`: every candidate's response, ranked by reward."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Annotated

from zooter_core.backends import iter_responses
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Message, Ranked
from zooter_core.cli.consoles import err, out, print_json, print_note, waiting
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import FleetDir, Json, MaxNewTokens, Query, Temperature, generation_of, option
from zooter_core.data.answer_keys import read_key
from zooter_core.evaluation.verified.ranking import verified_ranking


def compare(
    query: Query,
    answer: Annotated[
        str | None,
        option("--answer", "TEXT", "The right answer: a number, a letter or a text. Responses are verified."),
    ] = None,
    fleet: FleetDir = None,
    json: Json = False,
    temperature: Temperature = None,
    max_new_tokens: MaxNewTokens = None,
) -> int:
    key = read_key("--answer", {"answer": answer})
    ensemble = open_ensemble(fleet, answering=True)
    generation = generation_of(ensemble.fleet.generation, temperature, max_new_tokens)
    messages = [Message("user", query)]
    decision = ensemble.route(messages)
    pool = ensemble.fleet.pool
    with waiting("All candidates answer ..."):
        pieces = ensemble.run_candidates(pool, messages, threading.Event(), generation)
        responses = {response.candidate: response for _, response in iter_responses(pieces, print_note)}
        answers = [responses[name] for name in pool]
        ranked = [Ranked(answer) for answer in answers]
        if ensemble.can_rank:
            try:
                ranked = ensemble.rank_responses(query, answers)
            except WorkError as problem:  # the responses were expensive: they are shown without ranks
                err.print(str(problem))
        else:
            err.print("This fleet has no [reward] table, so the responses are not ranked.")
        ranked = verified_ranking(ranked, key) if key else ranked
    if json:
        shape = {"query": query, "responses": [item.to_json() for item in ranked], "route": decision.to_json()}
        print_json(shape, indent=2)
    else:
        _print(ranked, decision.candidate)
    failed = [item.rank is None if ensemble.can_rank else item.response.error is not None for item in ranked]
    return 1 if all(failed) else 0


def _print(ranked: Sequence[Ranked], chosen: str) -> None:
    for item in ranked:
        answer = item.response
        if answer.error or not answer.text:
            facts = str(answer.error or "an empty response")
        else:
            reward = "no reward" if item.reward is None else f"reward {item.reward:.2f}"
            facts = f"{reward}, {answer.seconds:.1f} s, {answer.tokens} tokens"
        if item.right is not None:
            facts = f"{'right' if item.right else 'wrong'}, {facts}"
        marker = "  <- the router's choice" if answer.candidate == chosen else ""
        out.print(f"{item.rank or '-'}. {answer.candidate} ({facts}){marker}", style="bold")
        print(answer.text + "\n", flush=True)
