"""OpenTelemetry: one span a request, sent over OTLP where the standard variables of the environment name a collector.

Attributes follow the semantic conventions for generative AI; ATTRIBUTES has all of them. No span holds a
prompt or an answer.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from zooter_core import __version__
from zooter_core.errors import ZooterError
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.usage import usage_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
OPERATIONS = {"/v1/embeddings": "embeddings"}  # by path; others are `chat`
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


def wanted() -> bool:
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
    """Makes a span of each exchange that has ended, as a child of the client's span if it sent a `traceparent`.

    Args:
        exporter: where spans go; None means OTLP over HTTP, as the environment says.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        name = os.environ.get("OTEL_SERVICE_NAME") or "zooter"
        resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("zooter.serve", __version__)
        self._context = TraceContextTextMapPropagator()

    def __call__(self, exchange: Exchange) -> None:
        """Record the span of an exchange."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        ended = time.time_ns()
        values = {name: value for name, get in ATTRIBUTES.items() if (value := get(exchange)) is not None}
        parent = self._context.extract({"traceparent": exchange.traceparent}) if exchange.traceparent else None
        span = self._tracer.start_span(
            f"{values['gen_ai.operation.name']} {exchange.model}".strip(),
            context=parent,
            kind=SpanKind.SERVER,
            attributes=values,
            start_time=ended - int((exchange.seconds or 0) * 1e9),
        )
        if exchange.error is not None and exchange.status != 400:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()
