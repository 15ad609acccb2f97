"""`zooter ask`, `route` and `compare`: one query at a time."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from zooter_core.backends import iter_responses
from zooter_core.backends.fallback import nobody, note
from zooter_core.cli.options import (
    ensemble_of,
    err,
    generation_of,
    out,
    print_json,
    raise_failed,
    tell_note,
)
from zooter_core.data.prices import check_trade
from zooter_core.data.scores import LONGEST
from zooter_core.errors import MOST_NAMED, WorkError, ZooterError, listed, shortened
from zooter_core.records import Message, Ranked, Response
from zooter_core.strict_json import parse_json

if TYPE_CHECKING:
    from zooter_core.backends import Piece
    from zooter_core.router.explain import Explanation

MOST_SHOWN = 5  # words for and against, and like queries


def ask(call: Namespace) -> None:
    """Route a query and stream the chosen candidate's answer, or that of the next one which can answer."""
    ensemble = ensemble_of(call)
    generation = generation_of(call, ensemble.fleet)
    check_trade(ensemble.fleet, call.willingness)
    messages = [Message("user", call.query)]
    if call.candidate is not None:
        ensemble.fleet.candidate(call.candidate)  # a mistake in it shows before the work
    names: tuple[str, ...] = (call.candidate,)
    if call.candidate is None or ensemble.fleet.router:  # a candidate can be asked before there is a router
        decision = ensemble.route(messages, call.willingness)
        names = names if call.candidate is not None else decision.order
        shown = listed((f"{c} {p:.0%}" for c, p in decision.probabilities.items()), "  ")
        tags = listed(tag.name for tag in decision.tags) or "none"
        err.print(f"{shown}  |  tags: {tags}  ->  {shortened(names[0], MOST_NAMED)}", style="dim")
    _print_answer(names, ensemble.run_candidates(names[:1], messages, threading.Event(), generation, names[1:]))


def _print_answer(names: Sequence[str], pieces: Iterator[Piece]) -> None:
    """An answer as it comes, and on stderr who takes over from whom.

    Raises:
        WorkError: nobody has answered, or the answer broke off.
    """
    responses: list[Response] = []
    candidate = names[0]
    for piece in pieces:
        if piece.candidate != candidate:
            candidate = piece.candidate
            err.print(note(responses[-1:], candidate), soft_wrap=True)
        tell_note(piece.note)
        print(piece.text, end="", flush=True)
        if piece.response is not None:
            responses.append(piece.response)
    *failed, last = responses
    if last.text:
        print()
        if last.error:
            err.print(f"The answer of {last.candidate} is incomplete.")
    elif failed and last.error:
        raise nobody(responses)
    raise_failed(last)


def route(call: Namespace) -> None:
    """Probabilities, tags and choice of a query, or of each line of stdin."""
    ensemble = ensemble_of(call)
    check_trade(ensemble.fleet, call.willingness)
    queries = _stdin_queries() if call.query == "-" else iter([call.query])
    for query in queries:
        decision = ensemble.route(query, call.willingness)
        why = ensemble.explain(decision) if call.why else None
        if call.json:
            shape = decision.to_json() | ({"why": why.to_json()} if why else {})
            print_json(shape, flush=call.query == "-")
            continue
        utilities = decision.utilities or {}
        columns = ("candidate", "probability", *(["utility"] if utilities else []))
        table = Table(*columns, title=query[:80], title_justify="left")
        for name, p in decision.probabilities.items():
            worth = [f"{utilities[name]:.1%}"] if utilities else []
            table.add_row(name, f"{p:.1%}", *worth, style="bold" if name == decision.candidate else "")
        out.print(table)
        tags = ", ".join(f"{tag.name} ({tag.score:.2f})" for tag in decision.tags) or "none"
        facts = f"{decision.margin:.1%} before the next; {decision.certainty}"
        out.print(f"tags: {tags}\nchosen: {decision.candidate}, {facts}")
        if why:
            _print_why(why)


def _print_why(why: Explanation) -> None:
    """The parts that speak most for and against the choice, the tags, and the queries most like this one."""
    order = sorted(why.pieces, key=lambda piece: -piece.contribution)
    for said, parts in (("for", order[:MOST_SHOWN]), ("against", order[::-1][:MOST_SHOWN])):
        found = [p for p in parts if (p.contribution > 0) == (said == "for") and abs(p.contribution) >= 0.005]
        shown = ", ".join(f"{piece.text[:40]!r} {piece.contribution:+.1%}" for piece in found)
        out.print(f"words {said} {why.candidate}: {shown or 'none'}")
    for tag in why.tags:
        out.print(f"tag {tag.name}: {tag.contribution:+.1%} for {why.candidate} in {tag.queries} queries")
    if not why.neighbours:
        return
    rewarded = why.neighbours[0].rewards is not None
    title = f"shares of the label there{', and rewards' if rewarded else ''}"
    table = Table("like it", "query", *why.neighbours[0].label, title=title, title_justify="left")
    for near in why.neighbours[:MOST_SHOWN]:
        name = near.text or ", ".join(near.tags) or near.dataset or near.id
        earned = near.rewards or {}
        cells = [f"{share:.0%}" + (f" {earned[c]:.2f}" if c in earned else "") for c, share in near.label.items()]
        table.add_row(f"{near.similarity:.2f}", name[:50], *cells)
    out.print(table)


def _stdin_queries() -> Iterator[str]:
    """Lines of stdin as queries: JSON lines give their `query`, other lines stand for themselves.

    Raises:
        ZooterError: a line is not text, or is JSON without a query.
    """
    for number, line in enumerate(_stdin_lines(), 1):
        text = line.strip()
        if text.startswith("{"):
            try:
                text = parse_json(text)["query"].strip()
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
                raise ZooterError(
                    f'a JSON object with "query" in line {number} of stdin', repr(line[:60]), "Mend the line."
                ) from problem
        if text:
            yield text


def _stdin_lines() -> Iterator[str]:
    """Each line of stdin, which need not be text and need not end."""
    stdin = getattr(sys.stdin, "buffer", sys.stdin)
    for number, line in enumerate(iter(lambda: stdin.readline(LONGEST), stdin.read(0)), 1):
        if len(line) == LONGEST:
            raise ZooterError(f"at most {LONGEST:,} bytes in line {number} of stdin", "more", "Shorten the line.")
        try:
            yield line if isinstance(line, str) else line.decode("utf-8")
        except UnicodeDecodeError as problem:
            byte = line[problem.start]
            raise ZooterError(
                f"UTF-8 text in line {number} of stdin", f"the byte 0x{byte:02x}, which is none", "Save it as UTF-8."
            ) from problem


def compare(call: Namespace) -> int:
    """Every candidate's response, ranked by reward."""
    ensemble = ensemble_of(call)
    generation = generation_of(call, ensemble.fleet)
    messages = [Message("user", call.query)]
    decision = ensemble.route(messages)
    with err.waiting("All candidates answer ..."):
        pool = ensemble.fleet.pool
        pieces = ensemble.run_candidates(pool, messages, threading.Event(), generation)
        responses = {response.candidate: response for _, response in iter_responses(pieces, tell_note)}
        answers = [responses[name] for name in pool]
        try:
            ranked = ensemble.rank_responses(call.query, answers)
        except WorkError as problem:  # the responses have cost much: they are shown, without ranks
            err.print(str(problem))
            ranked = [Ranked(answer) for answer in answers]
    if call.json:
        shape = {"query": call.query, "responses": [r.to_json() for r in ranked], "route": decision.to_json()}
        print_json(shape, indent=2)
    else:
        for item in ranked:
            answer = item.response
            if item.reward is None:
                facts = str(answer.error or "") or ("no reward" if answer.text else "an empty response")
            else:
                facts = f"reward {item.reward:.2f}, {answer.seconds:.1f} s, {answer.tokens} tokens"
            marker = "  <- the router's choice" if answer.candidate == decision.candidate else ""
            out.print(f"{item.rank or '-'}. {answer.candidate} ({facts}){marker}", style="bold")
            print(answer.text + "\n", flush=True)
    return 1 if all(item.rank is None for item in ranked) else 0
