"""Tokens and dollars of a request that has ended."""

from __future__ import annotations

from dataclasses import dataclass

from zooter_core.serve.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Usage:
    """What a request used.

    Attributes:
        reported: whether the candidate's server counted. Else the prompt is an estimate, and a stream has one token an
            event.
        dollars: for what the candidate wrote; None if it has no price in fleet.toml.
    """

    prompt: int
    answer: int
    reported: bool
    dollars: float | None


def usage_of(exchange: Exchange) -> Usage:
    """The tokens and the cost of a request. One that nobody answered has none."""
    if exchange.candidate is None or exchange.request is None or exchange.fleet is None:
        return Usage(0, 0, False, None)
    report = exchange.progress.usage or {}
    prompt = _count(report.get("prompt_tokens", report.get("input_tokens")))
    answer = _count(report.get("completion_tokens", report.get("output_tokens")))
    reported = prompt is not None
    price = exchange.fleet.candidate(exchange.candidate).usd_per_million_tokens
    tokens = exchange.events if answer is None else answer
    dollars = None if price is None else price / 1e6 * tokens
    return Usage(exchange.request.prompt_tokens if prompt is None else prompt, tokens, reported, dollars)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None
