"""OpenTelemetry spans, as a collector on loopback gets them."""

from __future__ import annotations

import gzip
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.patience import PATIENCE
from support.running_endpoint import QUERY
from zooter_core.base.errors import ZooterError
from zooter_core.serve import traces

pytest.importorskip("opentelemetry.sdk", reason="the extra zooter[otel] is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra zooter[otel] is not installed")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch):
    """The bodies that a collector gets; the environment names it."""
    bodies: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.put(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield bodies
    server.shutdown()
    server.server_close()


def test_a_request_is_a_span_of_the_clients_trace(serve, collector):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    endpoint = serve("http-503", "good")
    bad, good = endpoint.order
    answer = endpoint.chat(headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    body = collector.get(timeout=PATIENCE)
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    span, routing, *tries = resource.scope_spans[0].spans
    attributes = {entry.key: entry.value for entry in span.attributes}
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("chat auto", TRACE, SPAN)
    assert attributes["gen_ai.response.model"].string_value == good
    assert attributes["zooter.request_id"].string_value == answer.headers["x-request-id"]
    assert [value.string_value for value in attributes["zooter.failed"].array_value.values] == [bad]
    assert attributes["http.response.status_code"].int_value == 200
    assert set(attributes) <= set(traces.ATTRIBUTES)
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < PATIENCE * 1e9
    assert QUERY.encode() not in body
    assert {child.parent_span_id for child in (routing, *tries)} == {span.span_id}
    assert all(span.start_time_unix_nano <= child.start_time_unix_nano for child in (routing, *tries))
    assert routing.name == "route"
    assert [attempt.name for attempt in tries] == ["chat http-503", "chat good"]
    failed, answered = ({entry.key: entry.value for entry in attempt.attributes} for attempt in tries)
    assert (failed["zooter.candidate"].string_value, failed["error.type"].string_value) == (bad, "502")
    assert answered["server.address"].string_value == "127.0.0.1"
    assert "error.type" not in answered
    assert set(failed) | set(answered) <= set(traces.ATTEMPT)
    assert {entry.key for entry in routing.attributes} <= set(traces.ROUTING)


def test_names_are_those_of_the_conventions():
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

    conventions = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    names = {*traces.ATTRIBUTES, *traces.ROUTING, *traces.ATTEMPT}
    assert {name for name in names if name.startswith("gen_ai.")} <= conventions


def test_without_a_collector_there_are_no_traces(monkeypatch):
    for name in traces.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert not traces.collector_named()


def test_a_collector_without_the_extra_is_refused(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setattr(traces.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ZooterError, match=r"zooter\[otel\]"):
        traces.collector_named()
