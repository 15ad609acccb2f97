"""Tokens and dollars of a request that has ended."""

from __future__ import annotations

from dataclasses import dataclass

from zooter_core.serve.chat_request import BYTES_A_TOKEN
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import Progress


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers used.

    Attributes:
        reported: whether the candidates' servers counted. Else these are estimates: four bytes of text a token, and in
            a stream one an event.
        dollars: for what the candidates wrote; None if none of them has a price in fleet.toml.
    """

    prompt: int
    answer: int
    reported: bool
    dollars: float | None


def usage_of(exchange: Exchange) -> Usage:
    """The tokens and the cost of a request, all answers together. One that nobody answered has none."""
    usages = list(usage_by_candidate(exchange).values())
    priced = [usage.dollars for usage in usages if usage.dollars is not None]
    return Usage(
        sum(usage.prompt for usage in usages),
        sum(usage.answer for usage in usages),
        bool(usages) and all(usage.reported for usage in usages),
        sum(priced) if priced else None,
    )


def usage_by_candidate(exchange: Exchange) -> dict[str, Usage]:
    """The tokens and the cost of each candidate that answered, whether or not its answer was kept."""
    answers = dict(exchange.compared)
    if exchange.candidate is not None:
        answers[exchange.candidate] = exchange.progress
    return {name: _usage(exchange, name, progress) for name, progress in answers.items()}


def _usage(exchange: Exchange, candidate: str, progress: Progress) -> Usage:
    assert exchange.request is not None
    assert exchange.fleet is not None
    report = progress.usage or {}
    prompt = _count(report.get("prompt_tokens", report.get("input_tokens")))
    answer = _count(report.get("completion_tokens", report.get("output_tokens")))
    events = 0 if exchange.compared else exchange.events  # compared answers are not streamed
    tokens = max(events, -(-progress.written // BYTES_A_TOKEN)) if answer is None else answer
    price = exchange.fleet.candidate(candidate).usd_per_million_tokens
    dollars = None if price is None else price / 1e6 * tokens
    reported = prompt is not None and (answer is not None or not tokens)  # embeddings have no answer to count
    return Usage(exchange.request.prompt_tokens if prompt is None else prompt, tokens, reported, dollars)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None
