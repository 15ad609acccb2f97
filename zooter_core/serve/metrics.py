"""Tokens and dollars of requests that have ended, and what `GET /metrics` shows, in the format of Prometheus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from zooter_core.backends.endpoint.health import STATES, Breaker
from zooter_core.data.prices import cost
from zooter_core.serve.admission import Admission
from zooter_core.serve.bodies import estimate_tokens
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import AnswerProgress

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROUTING_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
ANSWER_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)
disable_created_metrics()  # a gauge beside each counter, with the time of its first request


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers used.

    Attributes:
        reported: whether the candidates' servers counted. Else these are estimates: four bytes of text a token, and in
            a stream one an event.
        dollars: for what the candidates read and wrote; None if none of them has a price in fleet.toml.
        cached: those of the prompt that the candidates' servers had cached, as they report.
        thoughts: those of the answer that are thoughts; estimated where a server does not say.
    """

    prompt: int
    answer: int
    reported: bool
    dollars: float | None
    cached: int = 0
    thoughts: int = 0


def count_usage(exchange: Exchange) -> Usage:
    """The tokens and the cost of a request, all answers together. One that nobody answered has none."""
    usages = list(usage_by_candidate(exchange).values())
    priced = [usage.dollars for usage in usages if usage.dollars is not None]
    return Usage(
        sum(usage.prompt for usage in usages),
        sum(usage.answer for usage in usages),
        bool(usages) and all(usage.reported for usage in usages),
        sum(priced) if priced else None,
        sum(usage.cached for usage in usages),
        sum(usage.thoughts for usage in usages),
    )


def usage_by_candidate(exchange: Exchange) -> dict[str, Usage]:
    """The tokens and the cost of each candidate that answered, whether or not its answer was kept."""
    outcome = exchange.outcome
    answers = dict(outcome.compared)
    if outcome.candidate is not None:
        answers[outcome.candidate] = outcome.progress
    return {name: _usage(exchange, name, progress) for name, progress in answers.items()}


def _usage(exchange: Exchange, candidate: str, progress: AnswerProgress) -> Usage:
    assert exchange.request is not None
    assert exchange.fleet is not None
    report = progress.usage or {}
    prompt = _count(report.get("prompt_tokens", report.get("input_tokens")))
    answer = _count(report.get("completion_tokens", report.get("output_tokens")))
    events = 0 if exchange.outcome.compared else exchange.events  # compared answers are not streamed
    tokens = max(events, progress.tokens) if answer is None else answer
    reported = prompt is not None and (answer is not None or not tokens)  # embeddings have no answer to count
    prompt = exchange.request.prompt_tokens if prompt is None else prompt
    cached = _detail(report, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    cached = min(cached or _count(report.get("prompt_cache_hit_tokens")) or 0, prompt)  # the latter is DeepSeek's
    dollars = cost(exchange.fleet.candidate(candidate), prompt, tokens, cached)
    thoughts = _detail(report, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    thoughts = thoughts or progress.thoughts or estimate_tokens(progress.parts.thoughts)
    return Usage(prompt, tokens, reported, dollars, cached, min(thoughts, tokens))


def _detail(report: Mapping[str, Any], names: Sequence[str], part: str) -> int:
    """A part of a count, under the names of chat completions and of the Responses API; 0 where there is none."""
    details = [report.get(name) for name in names]
    return next(filter(None, (_count(one.get(part)) for one in details if isinstance(one, Mapping))), 0)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None


class MetricSet:
    """What has happened to all requests of a server, or to those of one API key."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"zooter_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str, buckets: Sequence[float] = ANSWER_BUCKETS) -> Histogram:
            return Histogram(f"zooter_{name}_seconds", text, labels, registry=registry, buckets=buckets)

        self.requests = counter("requests", "Requests that have ended.", "path", "status")
        self.choices = counter("choices", "Answers by candidate and reason.", "model", "reason")
        self.routing = histogram("routing", "Routing.", buckets=ROUTING_BUCKETS)
        self.first = histogram("first_token", "Request to first token.", "model")
        self.duration = histogram("request", "Request to the end of the answer.", "model")
        self.tokens = counter("tokens", "Tokens.", "model", "kind")
        self.dollars = counter("dollars", "Cost of what candidates read and wrote.", "model")
        self.fallbacks = counter("fallbacks", "Candidates that another one stood in for.", "model")
        self.hedges = counter("hedges", "Requests with two candidates at a time, by who answered.", "model")
        self.switches = counter("switches", "Conversations that changed their candidate.")
        self.errors = counter("errors", "Requests that failed, by kind.", "kind")

    def count(self, exchange: Exchange) -> None:
        self.requests.labels(exchange.path, exchange.status).inc()
        if exchange.error is not None:
            self.errors.labels(exchange.error).inc()
        elif exchange.status >= 400:
            self.errors.labels("client_gone").inc()
        if (choice := exchange.choice) is not None:
            self.routing.observe(choice.seconds)
        for writer, usage in usage_by_candidate(exchange).items():
            self.tokens.labels(writer, "prompt").inc(usage.prompt)
            self.tokens.labels(writer, "answer").inc(usage.answer)
            self.tokens.labels(writer, "cached").inc(usage.cached)
            self.tokens.labels(writer, "thoughts").inc(usage.thoughts)
            self.dollars.labels(writer).inc(usage.dollars or 0)
        outcome = exchange.outcome
        if (name := outcome.candidate) is None or choice is None:
            return
        self.choices.labels(name, choice.reason).inc()
        self.switches.inc(choice.reason == "switched" and name == choice.order[0])
        if outcome.hedged:
            self.hedges.labels(name).inc()
        for failed in {failed for failed, _ in outcome.failures} - {name}:
            self.fallbacks.labels(failed).inc()
        self.first.labels(name).observe(outcome.first_token_seconds or 0)
        self.duration.labels(name).observe(exchange.seconds or 0)


class Metrics:
    """The figures of one server, in all and by API key."""

    def __init__(self) -> None:
        self._all, self._by_key = MetricSet(), defaultdict[str, MetricSet](MetricSet)
        registry = self._all.registry
        self._running = Gauge("zooter_running_requests", "Requests that are being answered.", registry=registry)
        self._queue = Gauge("zooter_queued_requests", "Requests that wait for a place.", registry=registry)
        self._breakers = Gauge(
            "zooter_breaker", "1 for the state of a candidate's circuit breaker.", ["model", "state"], registry=registry
        )

    def __call__(self, exchange: Exchange) -> None:
        self._all.count(exchange)
        if exchange.sender.key is not None:
            self._by_key[exchange.sender.key].count(exchange)

    def page(self, admission: Admission, breakers: Mapping[str, Breaker]) -> bytes:
        self._running.set(admission.running)
        self._queue.set(admission.waiting)
        self._breakers.clear()
        for name, breaker in breakers.items():
            for state in STATES:
                self._breakers.labels(name, state).set(breaker.state == state)
        return generate_latest(self._all.registry)

    def page_for_key(self, key: str) -> bytes:
        return generate_latest(self._by_key[key].registry)
