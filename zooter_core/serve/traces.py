"""OpenTelemetry: a span a request, with one for its routing and one for each request to a candidate.

They are sent over OTLP where the standard variables of the environment name a collector. Attributes follow the semantic
conventions for generative AI; ATTRIBUTES, ROUTING and ATTEMPT have all of them. No span holds a prompt or an answer.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from zooter_core import __version__
from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import CandidateConfig
from zooter_core.serve.exchange import Attempt, Exchange
from zooter_core.serve.metrics import usage_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
OPERATIONS = {"/v1/embeddings": "embeddings", "/v1/rerank": "rerank"}  # by path; others are `chat`
ATTRIBUTES: Mapping[str, Callable[[Exchange], Any]] = {  # one that gives None is left out
    "gen_ai.operation.name": lambda exchange: OPERATIONS.get(exchange.path, "chat"),
    "gen_ai.provider.name": lambda exchange: "zooter",
    "gen_ai.request.model": lambda exchange: exchange.model or None,
    "gen_ai.request.stream": lambda exchange: exchange.stream,
    "gen_ai.response.model": lambda exchange: exchange.candidate,
    "gen_ai.response.id": lambda exchange: exchange.progress.id or None,
    "gen_ai.response.finish_reasons": lambda exchange: [exchange.progress.finish] if exchange.progress.finish else None,
    "gen_ai.response.time_to_first_chunk": lambda exchange: exchange.first_token_seconds,
    "gen_ai.usage.input_tokens": lambda exchange: usage_of(exchange).prompt or None,
    "gen_ai.usage.output_tokens": lambda exchange: usage_of(exchange).answer or None,
    "http.response.status_code": lambda exchange: exchange.status,
    "url.path": lambda exchange: exchange.path,
    "error.type": lambda exchange: exchange.error,
    "zooter.request_id": lambda exchange: exchange.request_id,
    "zooter.key": lambda exchange: exchange.key,
    "zooter.reason": lambda exchange: exchange.choice.reason if exchange.choice else None,
    "zooter.routing_seconds": lambda exchange: exchange.routing_seconds,
    "zooter.failed": lambda exchange: [name for name, _ in exchange.failures] or None,
    "zooter.dollars": lambda exchange: usage_of(exchange).dollars,
}
ROUTING: Mapping[str, Callable[[Exchange], Any]] = {  # of the span `route`
    "zooter.candidate": lambda exchange: exchange.choice.order[0] if exchange.choice else None,
    "zooter.reason": lambda exchange: exchange.choice.reason if exchange.choice else None,
}
ATTEMPT: Mapping[str, Callable[[Exchange, Attempt], Any]] = {  # of a request to a candidate
    "gen_ai.operation.name": lambda exchange, attempt: ATTRIBUTES["gen_ai.operation.name"](exchange),
    "gen_ai.request.model": lambda exchange, attempt: _candidate(exchange, attempt).model,
    "server.address": lambda exchange, attempt: _address(exchange, attempt).hostname,
    "server.port": lambda exchange, attempt: _address(exchange, attempt).port,
    "error.type": lambda exchange, attempt: str(attempt.error.status) if attempt.error else _broken(exchange, attempt),
    "zooter.candidate": lambda exchange, attempt: attempt.candidate,
}


def _candidate(exchange: Exchange, attempt: Attempt) -> CandidateConfig:
    assert exchange.fleet is not None
    return exchange.fleet.candidate(attempt.candidate)


def _address(exchange: Exchange, attempt: Attempt) -> SplitResult:
    """Where the candidate's server is; empty for a candidate on this machine."""
    endpoint = _candidate(exchange, attempt).endpoint
    return urlsplit(endpoint.base_url if endpoint else "")


def _broken(exchange: Exchange, attempt: Attempt) -> str | None:
    """What went wrong after the candidate had begun its answer."""
    return exchange.error if attempt.seconds is None else None


def collector_named() -> bool:
    """Whether the environment names a collector.

    Raises:
        ZooterError: it does, but the extra `otel` is not installed.
    """
    variable = next((name for name in VARIABLES if os.environ.get(name)), None)
    if variable is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    parts = ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter")
    if not all(importlib.util.find_spec(name) for name in parts):  # in this order: a parent is imported to look inside
        next_step = f"Run `pip install 'zooter[otel]'`, or unset {variable}."
        raise ZooterError(f"the packages of OpenTelemetry, since {variable} is set", "none", next_step)
    return True


class Traces:
    """Makes the spans of each exchange that has ended, as children of the client's span if it sent a `traceparent`."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        name = os.environ.get("OTEL_SERVICE_NAME") or "zooter"
        resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("zooter.serve", __version__)
        self._context = TraceContextTextMapPropagator()

    def __call__(self, exchange: Exchange) -> None:
        """Record the spans of an exchange."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        total = exchange.seconds or 0.0
        began = time.time_ns() - int(total * 1e9)
        parent = self._context.extract({"traceparent": exchange.traceparent}) if exchange.traceparent else None
        values = {name: get(exchange) for name, get in ATTRIBUTES.items()}
        operation, failed = values["gen_ai.operation.name"], exchange.error is not None and exchange.status != 400
        name = f"{operation} {exchange.model}".strip()
        request = self._span(name, SpanKind.SERVER, parent, values, began, total, failed)
        inside = set_span_in_context(request)
        if exchange.routed:
            values = {name: get(exchange) for name, get in ROUTING.items()}
            start = began + int((exchange.routing_started - exchange.started) * 1e9)
            self._span("route", SpanKind.INTERNAL, inside, values, start, exchange.routing_seconds or 0.0)
        for attempt in exchange.attempts:
            values = {name: get_one(exchange, attempt) for name, get_one in ATTEMPT.items()}
            offset = attempt.started - exchange.started
            seconds = total - offset if attempt.seconds is None else attempt.seconds
            name = f"{operation} {values['gen_ai.request.model']}"
            start, failed = began + int(offset * 1e9), values["error.type"] is not None
            self._span(name, SpanKind.CLIENT, inside, values, start, seconds, failed)

    def _span(
        self,
        name: str,
        kind: SpanKind,
        parent: Context | None,
        values: Mapping[str, Any],
        start: int,
        seconds: float,
        failed: bool = False,
    ) -> Span:
        """A span that has ended; `start` is in nanoseconds since 1970. A value of None is left out."""
        from opentelemetry.trace import Status, StatusCode

        attributes = {key: value for key, value in values.items() if value is not None}
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=start)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(start + int(seconds * 1e9))
        return span

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()
