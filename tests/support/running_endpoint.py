"""The endpoint on a free port of loopback, in a thread, for requests over real HTTP."""

from __future__ import annotations

import asyncio
import json
import queue
import re
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import uvicorn.server

from support import endpoint_fleet
from support.patience import PATIENCE
from zooter_core.config.fleet import load_fleet
from zooter_core.serve import run
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.keys import Key, add_key
from zooter_core.serve.server import Server, ServeSettings

GRACE_SECONDS = 1  # for answers that a test leaves hanging
TICK_SECONDS = 0.01  # between uvicorn's looks for a stop, instead of a tenth: hundreds of tests stop an endpoint
QUERY = "What is 2 + 3?"
METADATA = {"x-zooter-metadata": "enabled"}


def sleep_a_tick(seconds: float) -> Coroutine[Any, Any, None]:
    return asyncio.sleep(min(seconds, TICK_SECONDS))


uvicorn.server.asyncio = SimpleNamespace(**vars(asyncio) | {"sleep": sleep_a_tick})  # type: ignore[attr-defined]


@dataclass
class Endpoint:
    """A running endpoint.

    Attributes:
        order: the candidates in the order of the router's probabilities for QUERY.
        exchanges: the answers that have ended and that no test has taken yet (`next_exchange`); of no decision alone.
    """

    url: str
    client: httpx2.Client
    server: Server
    exchanges: queue.SimpleQueue[Exchange]
    order: tuple[str, ...] = ()

    def chat(self, content: Any = QUERY, headers: dict[str, str] | None = None, **body: Any) -> httpx2.Response:
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        body = {"model": "auto", "messages": messages, **body}
        return self.client.post("/v1/chat/completions", json=body, headers=headers)

    def next_exchange(self) -> Exchange:
        """The exchange that ends next, in the endpoint's order: a client has its answer before the exchange ends."""
        return self.exchanges.get(timeout=PATIENCE)

    def next_exchanges(self, count: int) -> list[Exchange]:
        """So many of them; a further one that has ended too is a mistake."""
        exchanges = [self.next_exchange() for _ in range(count)]
        assert self.exchanges.empty()
        return exchanges


@contextmanager
def running(settings: ServeSettings) -> Iterator[Endpoint]:
    """An endpoint in a thread."""
    exchanges: queue.SimpleQueue[Exchange] = queue.SimpleQueue()

    def observe(exchange: Exchange) -> None:
        if exchange.path != "/v1/route":
            exchanges.put(exchange)

    server = Server(replace(settings, grace_seconds=GRACE_SECONDS))
    server.observers.append(observe)
    ports: queue.SimpleQueue[int] = queue.SimpleQueue()
    uvicorn_server = run.uvicorn_server(server, ports.put)
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)
    thread.start()
    port = ports.get(timeout=PATIENCE)
    url = f"http://127.0.0.1:{port}"
    try:
        headers = {"content-type": "application/json"}
        with httpx2.Client(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False, verify=False) as client:
            yield Endpoint(url, client, server, exchanges)
    finally:
        uvicorn_server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def in_front_of(
    folder: Path,
    url: str,
    *models: str,
    extra: str = "",
    router: str = "",
    reward: bool = True,
    options: Any = None,
    **keys: Any,
) -> Iterator[Endpoint]:
    """An endpoint whose router sends QUERY to the first of these models of a scripted server, then to the second ...

    Args:
        folder: a copy of the tiny fleet, which is changed.
        extra, router: lines for the end of fleet.toml, and for its [router] table.
        reward: whether the fleet has a reward model.
        options: further settings of the server; keys: those of each candidate.
    """
    order = endpoint_fleet.save_by_order(folder, url, QUERY, models, **keys)
    file = folder / "fleet.toml"
    text = file.read_text().replace("[router]", f"[router]\n{router}") + extra
    file.write_text(text if reward else re.sub(r"\[reward\].*?(?=\n\[)", "", text, flags=re.DOTALL))
    settings = ServeSettings(load_fleet(folder), port=0, data=folder.parent / "data", **options or {})
    with running(settings) as endpoint:
        endpoint.order = order
        yield endpoint


def bearer(file: Path, name: str = "phone", **may: Any) -> dict[str, str]:
    """The header of a new API key in a file. `may` is what it may do."""
    return {"authorization": f"Bearer {add_key(file, Key(name, '', 0.0, **may))}"}


def unanswered(
    endpoint: Endpoint, path: str = "chat/completions", buffer: int | None = None, **body: Any
) -> socket.socket:
    """A connection on which a request was sent. `buffer` is what the kernel takes of the answer, in bytes."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}], **body}
    data, parts = json.dumps(body), urlsplit(endpoint.url)
    client = socket.socket()
    client.settimeout(PATIENCE)
    if buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.connect((parts.hostname, parts.port))
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    client.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n{data}".encode())
    return client


def connected(endpoint: Endpoint, data: bytes = b"") -> socket.socket:
    """A connection on which that was sent."""
    connection = socket.create_connection(("127.0.0.1", urlsplit(endpoint.url).port), PATIENCE)
    connection.sendall(data)
    return connection


def ending(connection: socket.socket) -> bytes:
    """What a connection brings until the server closes it."""
    received = b""
    try:
        while part := connection.recv(1 << 16):
            received += part
    except ConnectionError:  # it closed before it had read all
        pass
    return received


def stream_of(response: httpx2.Response) -> list[Any]:
    """The data of a stream's events; the last one must be [DONE]."""
    events = response.text.split("\n\n")
    *chunks, done = [event.removeprefix("data: ") for event in events if event.startswith("data: ")]
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]
