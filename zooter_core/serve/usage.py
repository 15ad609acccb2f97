"""Tokens and dollars of a request that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zooter_core.data.prices import cost
from zooter_core.serve.chat_request import BYTES_A_TOKEN
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import Progress


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers used.

    Attributes:
        reported: whether the candidates' servers counted. Else these are estimates: four bytes of text a token, and in
            a stream one an event.
        dollars: for what the candidates read and wrote; None if none of them has a price in fleet.toml.
        cached: those of the prompt that the candidates' servers had cached, as they report.
    """

    prompt: int
    answer: int
    reported: bool
    dollars: float | None
    cached: int = 0


def usage_of(exchange: Exchange) -> Usage:
    """The tokens and the cost of a request, all answers together. One that nobody answered has none."""
    usages = list(usage_by_candidate(exchange).values())
    priced = [usage.dollars for usage in usages if usage.dollars is not None]
    return Usage(
        sum(usage.prompt for usage in usages),
        sum(usage.answer for usage in usages),
        bool(usages) and all(usage.reported for usage in usages),
        sum(priced) if priced else None,
        sum(usage.cached for usage in usages),
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
    reported = prompt is not None and (answer is not None or not tokens)  # embeddings have no answer to count
    prompt = exchange.request.prompt_tokens if prompt is None else prompt
    cached = min(_cached(report), prompt)
    dollars = cost(exchange.fleet.candidate(candidate), prompt, tokens, cached)
    return Usage(prompt, tokens, reported, dollars, cached)


def _cached(report: Mapping[str, Any]) -> int:
    """Cached tokens of the prompt: of chat completions, of the Responses API, or as DeepSeek reports them."""
    parts = [report.get(name) for name in ("prompt_tokens_details", "input_tokens_details")]
    counts = [part.get("cached_tokens") for part in parts if isinstance(part, Mapping)]
    return next(filter(None, map(_count, [*counts, report.get("prompt_cache_hit_tokens")])), 0)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None
