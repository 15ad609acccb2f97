"""A client that goes away stops generation here and at the candidate's server, at once."""

from __future__ import annotations

import json
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

SECONDS = 15  # on a busy machine; the work itself takes milliseconds, and what hangs is given up after 20


def connection(endpoint, stream: bool, **body) -> socket.socket:
    """A request whose answer is still to come."""
    data = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Hi"}], "stream": stream, **body})
    parts = urlsplit(endpoint.url)
    client = socket.create_connection((parts.hostname, parts.port), timeout=20)
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Content-Length: {len(data)}\r\n\r\n{data}".encode()
    )
    return client


@pytest.mark.parametrize(("model", "stream"), [("slow", True), ("hang-first", True), ("hang-first", False)])
def test_a_client_that_goes_away_stops_the_server_behind(serve, scripted, model, stream):
    endpoint = serve(model)
    with connection(endpoint, stream) as client:
        scripted.wait_for(model, 1)
        if model == "slow":
            assert client.recv(10)
        left = time.monotonic()
    exchange = endpoint.next_exchange()
    assert scripted.dropped.wait(20)
    assert time.monotonic() - left < SECONDS
    assert exchange.status == 499
    assert exchange.seconds is not None


def test_a_request_without_a_client_is_not_routed_again(serve, scripted):
    """No fallback for nobody."""
    endpoint = serve("hang-first", "good")
    with connection(endpoint, True):
        scripted.wait_for("hang-first", 1)
    endpoint.next_exchange()
    assert scripted.count("good") == 0


def test_a_client_that_goes_away_stops_a_local_candidate(local):
    with connection(local, True, max_tokens=100_000) as client:
        assert client.recv(10)
        left = time.monotonic()
    exchange = local.next_exchange()
    while [thread for thread in threading.enumerate() if thread.name == "answer"]:
        assert time.monotonic() - left < SECONDS
        time.sleep(0.01)
    assert exchange.status == 499
