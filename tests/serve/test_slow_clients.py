"""Clients that send too much, too slowly or over too many connections: they are cut off, and others are answered."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx2
import psutil
import pytest

from support.patience import PATIENCE, wait_until
from support.running_endpoint import QUERY, Endpoint, bearer, connected, ending
from zooter_core.base import connections

LINE = b"x-filler: " + b"x" * 1000 + b"\r\n"
POST = b"POST /v1/route HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
ENDLESS = 64 << 20
MOST_TAKEN = 16 << 20  # what the kernel's buffers hold on both sides, and what is on its way


def send_until_closed(connection: socket.socket, parts: Iterable[bytes]) -> int:
    """How many bytes the server takes."""
    taken = 0
    try:
        for part in parts:
            connection.sendall(part)
            taken += len(part)
            if taken > ENDLESS:
                break
    except ConnectionError:
        pass
    return taken


@contextmanager
def prompt_health(endpoint: Endpoint) -> Iterator[None]:
    """Each of many requests for /health is answered within 3 s while the block runs, or half of what that takes."""
    seconds: list[float] = []
    begun, ended, first = threading.Event(), threading.Event(), time.perf_counter()

    def ask() -> None:
        with httpx2.Client(base_url=endpoint.url, trust_env=False, timeout=PATIENCE) as client:
            while not ended.is_set():
                start = time.perf_counter()
                assert client.get("/health").status_code == 200
                seconds.append(time.perf_counter() - start)
                begun.set()
                ended.wait(0.02)

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask)
        assert begun.wait(PATIENCE)
        try:
            yield
        finally:
            ended.set()
        asking.result()
    assert max(seconds) < max(3, (time.perf_counter() - first) / 2)


@pytest.mark.parametrize(
    ("first", "part"),
    [
        (POST, LINE * 64),
        (POST + b"x-filler: ", b"x" * 65536),
        (b"GET /", b"x" * 65536),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", LINE * 64),  # trailers
        (CHUNKED + b"2;", b"x" * 65536),  # an extension of a chunk
    ],
    ids=["lines", "one line", "address", "trailers", "extension"],
)
def test_headers_without_end_are_cut_off(serve, first, part):
    endpoint = serve("good")
    before = psutil.Process().memory_info().rss
    with connected(endpoint, first) as connection, prompt_health(endpoint):
        assert send_until_closed(connection, itertools.repeat(part)) < MOST_TAKEN
    assert psutil.Process().memory_info().rss - before < 48 << 20


def test_headers_beyond_the_limit_are_named_and_those_below_are_read(serve):
    endpoint = serve("good")
    for size, status in ((70, b"431"), (60, b"200")):
        with connected(endpoint, b"GET /health HTTP/1.1\r\n" + LINE * size + b"host: localhost\r\n\r\n") as connection:
            assert connection.recv(12) == b"HTTP/1.1 " + status


def test_slow_headers_and_bodies_end_and_take_no_place(serve, scripted, tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 2.0)
    monkeypatch.setattr(connections, "BODY_SECONDS", 2.0)
    slow, other = (bearer(tmp_path / "keys.json", name) for name in ("slow", "other"))
    endpoint = serve("good", options={"keys": tmp_path / "keys.json"}, extra="[serve]\nconcurrent = 1\nqueue = 0\n")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += f"authorization: {slow['authorization']}\r\ncontent-length: 1000\r\n\r\n{{".encode()
    with ExitStack() as stack:
        half = [stack.enter_context(connected(endpoint, part)) for part in (b"", POST, POST) for _ in range(10)]
        bodies = [stack.enter_context(connected(endpoint, head)) for _ in range(80)]
        for _ in range(3):
            response = endpoint.chat(headers=other)
            assert response.status_code == 200, response.text
        assert all(ending(connection).startswith(b"HTTP/1.1 408") for connection in (*half, *bodies))
    with connected(endpoint, head.replace(b"1000", b"400000")) as steady:  # slow, but fast enough
        for _ in range(8):
            steady.sendall(b" " * 50_000)
            time.sleep(0.3)
        assert steady.recv(12) == b"HTTP/1.1 400"  # it is no JSON


def still_open(connections: list[socket.socket]) -> list[socket.socket]:
    """Those on which nothing has come, not even their end."""
    waiting = []
    for connection in connections:
        try:
            assert not connection.recv(1)
        except BlockingIOError:
            waiting.append(connection)
        except ConnectionError:
            pass
    return waiting


def test_one_address_has_so_many_connections(serve, monkeypatch):
    monkeypatch.setattr("zooter_core.serve.run.CONNECTIONS_PER_CLIENT", 5)
    for options, expected in (({}, 5), ({"proxies": ("127.0.0.0/8",)}, 20)):
        endpoint = serve("good", options=options)
        with ExitStack() as stack:
            half = [stack.enter_context(connected(endpoint, POST)) for _ in range(20)]
            for connection in half:
                connection.setblocking(False)
            wait_until(lambda half=half, most=expected: len(still_open(half)) <= most)
            time.sleep(0.2)  # no more are closed
            assert len(still_open(half)) == expected
            assert httpx2.get(f"{endpoint.url}/health", trust_env=False).status_code == 200


WIDE = b'{"messages": [' + b"[]," * 10_000_000 + b"[]]}"
DEEP = b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}"


def test_a_large_body_of_many_values_is_refused_before_it_is_built(serve):
    endpoint = serve("good")
    before = psutil.Process().memory_info().rss
    with prompt_health(endpoint):
        for body in (WIDE, DEEP, b'{"a": "' + b"\\\\" * 1000 + b'", "b": [' + b'"\\"",' * 400_000 + b"1]}"):
            response = endpoint.client.post("/v1/chat/completions", content=body)
            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")
    assert psutil.Process().memory_info().rss - before < 200 << 20  # the body itself, twice


@pytest.mark.parametrize(
    "content",
    [
        "1,2,3,[4],{5}\n" * 200_000,
        [{"type": "text", "text": QUERY}, {"type": "image_url", "image_url": {"url": "A" * (30 << 20)}}],
        [{"type": "text", "text": 'a "quoted\\" [text'}] * 2000,
    ],
    ids=["table", "image", "parts"],
)
def test_a_large_body_of_few_values_is_answered(serve, scripted, content):
    endpoint = serve("good")
    body = {"model": endpoint.order[0], "messages": [{"role": "user", "content": content}]}
    with prompt_health(endpoint):
        response = endpoint.client.post("/v1/chat/completions", content=json.dumps(body).encode())
    assert response.status_code == 200, response.text
    assert scripted.bodies[-1]["messages"] == body["messages"]
