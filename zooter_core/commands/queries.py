"""`zooter ask`, `route` and `compare`: one query at a time."""

from __future__ import annotations

import json
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from zooter_core.commands.options import ensemble_of, err, generation_of, out, raise_failed
from zooter_core.errors import ZooterError
from zooter_core.prices import check_trade
from zooter_core.records import Message, Response


def ask(call: Namespace) -> None:
    """Route a query and stream the chosen candidate's answer."""
    ensemble = ensemble_of(call)
    generation = generation_of(call, ensemble.fleet)
    check_trade(ensemble.fleet, call.willingness)
    messages = [Message("user", call.query)]
    decision = ensemble.trade(ensemble.route(messages), call.willingness)
    name = call.candidate or decision.candidate
    ensemble.fleet.candidate(name)
    shown = "  ".join(f"{c} {p:.0%}" for c, p in decision.probabilities.items())
    err.print(f"{shown}  |  tags: {', '.join(tag.name for tag in decision.tags) or 'none'}  ->  {name}", style="dim")
    for piece in ensemble.answer([name], messages, threading.Event(), generation):
        print(piece.text, end="", flush=True)
        if piece.response is not None:
            print()
            raise_failed(piece.response)


def route(call: Namespace) -> None:
    """Probabilities, tags and choice of a query, or of each line of stdin."""
    ensemble = ensemble_of(call)
    check_trade(ensemble.fleet, call.willingness)
    queries = _stdin_queries() if call.query == "-" else iter([call.query])
    for query in queries:
        decision = ensemble.trade(ensemble.route([Message("user", query)]), call.willingness)
        if call.json:
            print(json.dumps(decision.to_json(), ensure_ascii=False), flush=call.query == "-")
            continue
        utilities = decision.utilities or {}
        columns = ("candidate", "probability", *(["utility"] if utilities else []))
        table = Table(*columns, title=Text(query[:80]), title_justify="left")
        for name, p in decision.probabilities.items():
            worth = [f"{utilities[name]:.1%}"] if utilities else []
            table.add_row(name, f"{p:.1%}", *worth, style="bold" if name == decision.candidate else "")
        out.print(table)
        tags = ", ".join(f"{tag.name} ({tag.score:.2f})" for tag in decision.tags) or "none"
        out.print(Text(f"tags: {tags}\nchosen: {decision.candidate}, {decision.margin:.1%} before the next"))


def _stdin_queries() -> Iterator[str]:
    """Lines of stdin as queries: JSON lines give their `query`, other lines stand for themselves."""
    for number, line in enumerate(sys.stdin, 1):
        text = line.strip()
        if text.startswith("{"):
            try:
                text = json.loads(text)["query"].strip()
            except (ValueError, KeyError, TypeError, AttributeError) as problem:
                raise ZooterError(
                    f'a JSON object with "query" in line {number} of stdin', repr(line[:60]), "Mend the line."
                ) from problem
        if text:
            yield text


def compare(call: Namespace) -> int:
    """Every candidate's response, ranked by reward."""
    ensemble = ensemble_of(call)
    generation = generation_of(call, ensemble.fleet)
    messages = [Message("user", call.query)]
    decision = ensemble.route(messages)
    responses: dict[int, Response] = {}
    with err.status("All candidates answer ..."):
        pool = ensemble.fleet.pool
        for piece in ensemble.answer(pool, messages, threading.Event(), generation):
            if piece.response is not None:
                responses[piece.index] = piece.response
        ranked = ensemble.rank(call.query, [responses[index] for index in sorted(responses)])
    if call.json:
        shape = {"query": call.query, "responses": [r.to_json() for r in ranked], "route": decision.to_json()}
        print(json.dumps(shape, ensure_ascii=False, indent=2))
    else:
        for item in ranked:
            answer = item.response
            if item.reward is None:
                facts = answer.error or "an empty response"
            else:
                facts = f"reward {item.reward:.2f}, {answer.seconds:.1f} s, {answer.tokens} tokens"
            marker = "  <- the router's choice" if answer.candidate == decision.candidate else ""
            out.print(Text(f"{item.rank or '-'}. {answer.candidate} ({facts}){marker}", style="bold"))
            out.print(Text(answer.text + "\n"))
    return 1 if all(item.rank is None for item in ranked) else 0
