"""HTTP as other programs speak it: offers of another protocol, the old version, HEAD."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence

import pytest

from support.running_endpoint import Endpoint, connected, ending
from support.scripted_answers import TEXT
from support.scripted_server import Scripted

QUERY = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
LENGTH, CHUNKS = "content-length", "transfer-encoding"


def request_of(version: str, framing: str, *lines: str, **fields: object) -> tuple[bytes, bytes]:
    """The headers and the body of a POST."""
    body = json.dumps(QUERY | fields).encode()
    if framing == CHUNKS:
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:])) + b"0\r\n\r\n"
        lines = (*lines, "Transfer-Encoding: chunked")
    else:
        lines = (*lines, f"Content-Length: {len(body)}")
    head = ["POST /v1/chat/completions " + version, "Host: localhost", "Content-Type: application/json", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode(), body


def answers(endpoint: Endpoint, packets: Sequence[bytes]) -> bytes:
    """What comes back until the endpoint closes the connection."""
    with connected(endpoint) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for packet in packets:
            connection.sendall(packet)
        return ending(connection)


OFFERS = [
    ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    ("Upgrade: websocket", "Connection: keep-alive, upgrade"),
]


@pytest.mark.parametrize(("offer", "framing"), [*zip(OFFERS, (LENGTH, CHUNKS), strict=True)])
def test_an_offer_of_another_protocol_is_ignored_and_the_body_read(
    serve, scripted: Scripted, offer: tuple[str, ...], framing: str
) -> None:
    endpoint = serve("good")
    head, body = request_of("HTTP/1.1", framing, *offer)
    last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    requests = head + body + last
    for packets in ([requests], [requests[at : at + 40] for at in range(0, len(requests), 40)]):
        received = answers(endpoint, packets)
        assert received.count(b"HTTP/1.1 200 OK") == 2, received
        assert received.endswith(b'{"status":"ok"}')
        assert endpoint.next_exchange().status == 200
    assert scripted.count("good") == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_of_http_1_0_gets_no_chunks(serve, stream: bool) -> None:
    """As nginx asks by default. An answer of unknown length ends with its connection."""
    endpoint = serve("good")
    head, _, body = answers(endpoint, request_of("HTTP/1.0", LENGTH, stream=stream)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"transfer-encoding" not in head.lower()
    if not stream:
        assert json.loads(body)["choices"][0]["message"]["content"] == "".join(TEXT)
        return
    *events, done, end = body.decode().split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    deltas = [json.loads(event.removeprefix("data: "))["choices"][0]["delta"] for event in events]
    assert "".join(delta.get("content", "") for delta in deltas) == "".join(TEXT)


def test_head_is_get_without_a_body(module_endpoint: Endpoint) -> None:
    client = module_endpoint.client
    for path in ("/health", "/ready", "/v1/models", "/v1/models/auto", "/openapi.json"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert all(head.headers[name] == get.headers[name] for name in ("content-type", "content-length")), path
    assert client.head("/nowhere").status_code == 404
