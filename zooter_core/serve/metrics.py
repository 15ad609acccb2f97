"""The metrics of `GET /metrics`, in Prometheus's format, counted when requests have ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from zooter_core.backends.endpoint.health import STATES, Breaker
from zooter_core.serve.access import Admission
from zooter_core.serve.exchange import Exchange

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ROUTING_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
ANSWER_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)
disable_created_metrics()  # otherwise each counter also has a gauge with the time of its first request


class MetricSet:
    """The metrics of all requests of a server, or of those with one API key."""

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
        self.dollars = counter("dollars", "Cost of prompts and answers in dollars.", "model")
        self.fallbacks = counter("fallbacks", "Failed candidates that another one replaced.", "model")
        self.hedges = counter("hedges", "Hedged requests, by the candidate that answered.", "model")
        self.switches = counter("switches", "Conversations that changed their candidate.")
        self.errors = counter("errors", "Requests that failed, by kind.", "kind")

    def count(self, exchange: Exchange) -> None:
        self.requests.labels(exchange.path, exchange.status).inc()
        if exchange.error is not None:
            self.errors.labels(exchange.error).inc()
        elif exchange.status >= 400:
            self.errors.labels("client_gone").inc()
        outcome = exchange.outcome
        if (choice := outcome.choice) is not None:
            self.routing.observe(choice.seconds)
        for writer, usage in exchange.usages.items():
            for kind in ("prompt", "answer", "cached", "thoughts"):
                self.tokens.labels(writer, kind).inc(getattr(usage, kind))
            self.dollars.labels(writer).inc(usage.dollars or 0)
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
    """The metrics of one server, in total and by API key."""

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
