"""What `GET /metrics` shows, in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from zooter_core.backends.endpoint.health import STATES, Breaker
from zooter_core.serve.admission import Admission
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.usage import usage_by_candidate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROUTING = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
ANSWERING = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)


class Figures:
    """What has happened to all requests of a server, or to those of one API key."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("zooter_requests", "Requests that have ended.", ["path", "status"], registry=registry)
        self.choices = Counter(
            "zooter_choices", "Answers by candidate and reason.", ["model", "reason"], registry=registry
        )
        self.routing = Histogram("zooter_routing_seconds", "Routing.", registry=registry, buckets=ROUTING)
        self.first = Histogram(
            "zooter_first_token_seconds", "Request to first token.", ["model"], registry=registry, buckets=ANSWERING
        )
        self.duration = Histogram(
            "zooter_request_seconds",
            "Request to the end of the answer.",
            ["model"],
            registry=registry,
            buckets=ANSWERING,
        )
        self.tokens = Counter("zooter_tokens", "Tokens.", ["model", "kind"], registry=registry)
        self.dollars = Counter(
            "zooter_dollars", "Cost of what candidates read and wrote.", ["model"], registry=registry
        )
        self.fallbacks = Counter(
            "zooter_fallbacks", "Candidates that another one stood in for.", ["model"], registry=registry
        )
        self.hedges = Counter(
            "zooter_hedges", "Requests with two candidates at a time, by who answered.", ["model"], registry=registry
        )
        self.switches = Counter("zooter_switches", "Conversations that changed their candidate.", registry=registry)
        self.errors = Counter("zooter_errors", "Requests that failed, by kind.", ["kind"], registry=registry)

    def count(self, exchange: Exchange) -> None:
        """Count an exchange that has ended."""
        self.requests.labels(exchange.path, exchange.status).inc()
        if exchange.error is not None:
            self.errors.labels(exchange.error).inc()
        elif exchange.status >= 400:
            self.errors.labels("client_gone").inc()
        if exchange.routing_seconds is not None:
            self.routing.observe(exchange.routing_seconds)
        for writer, usage in usage_by_candidate(exchange).items():
            self.tokens.labels(writer, "prompt").inc(usage.prompt)
            self.tokens.labels(writer, "answer").inc(usage.answer)
            self.tokens.labels(writer, "cached").inc(usage.cached)
            self.dollars.labels(writer).inc(usage.dollars or 0)
        if (name := exchange.candidate) is None or exchange.choice is None:
            return
        self.choices.labels(name, exchange.choice.reason).inc()
        self.switches.inc(exchange.choice.reason == "switched")
        if exchange.hedged:
            self.hedges.labels(name).inc()
        for failed in {failed for failed, _ in exchange.failures} - {name}:
            self.fallbacks.labels(failed).inc()
        self.first.labels(name).observe(exchange.first_token_seconds or 0)
        self.duration.labels(name).observe(exchange.seconds or 0)


class Metrics:
    """The figures of one server, in all and by API key."""

    def __init__(self) -> None:
        self._all, self._by_key = Figures(), dict[str, Figures]()
        registry = self._all.registry
        self._running = Gauge("zooter_running_requests", "Requests that are being answered.", registry=registry)
        self._queue = Gauge("zooter_queued_requests", "Requests that wait for a place.", registry=registry)
        self._breakers = Gauge(
            "zooter_breaker", "1 for the state of a candidate's circuit breaker.", ["model", "state"], registry=registry
        )

    def __call__(self, exchange: Exchange) -> None:
        """Count an exchange that has ended."""
        self._all.count(exchange)
        if exchange.key is not None:
            if exchange.key not in self._by_key:
                self._by_key[exchange.key] = Figures()
            self._by_key[exchange.key].count(exchange)

    def page(self, admission: Admission, breakers: Mapping[str, Breaker]) -> bytes:
        """All figures as text."""
        self._running.set(admission.running)
        self._queue.set(admission.waiting)
        self._breakers.clear()
        for name, breaker in breakers.items():
            for state in STATES:
                self._breakers.labels(name, state).set(breaker.state == state)
        return generate_latest(self._all.registry)

    def page_of(self, key: str) -> bytes:
        """The figures of one API key's requests as text."""
        return generate_latest(self._by_key.get(key, Figures()).registry)
