"""A server on loopback that speaks chat completions and can fail in every way that a real one does.

The name of the model says what happens: `good`, `http-503`, `reset-in-the-middle` ... `bodies` has the requests.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from support.patience import PATIENCE
from support.scripted_models import Models
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import EndpointConfig


class Scripted(ThreadingHTTPServer):
    """The server. It records the bodies, headers and paths of all requests."""

    daemon_threads = True
    request_queue_size = 64  # connections that come at the same time are not dropped

    def __init__(self, certificate: str | None = None, handler: type[Handler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.dropped = threading.Event()  # set when a client has gone away in the middle
        self.closing = threading.Event()
        self.under_way, self.most_under_way = 0, 0
        self.lock = threading.Condition()
        self.models = ["good", "llama3.1:8b"]
        self.routes: dict[str, Any] = {}  # path, of some servers alone -> its JSON, or what makes that of a body
        self.elsewhere = ""  # where `redirect` points to
        self.replies: dict[str, Callable[[str], str | Iterable[str]]] = {}  # model -> its answer to a query, or words
        self.streams: dict[str, list[bytes]] = {}  # model -> the events of its answer
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that go away are what is tested

    def count(self, model: str) -> int:
        return sum(body.get("model") == model for body in self.bodies)

    def wait_for(self, model: str, count: int) -> None:
        """Wait until a model has been asked so often."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.count(model) >= count, PATIENCE)


@contextmanager
def serving(certificate: str | None = None, handler: type[Handler] | None = None) -> Iterator[Scripted]:
    server = Scripted(certificate, handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def at(url: str, model: str = "good", **config: Any) -> CandidateConfig:
    """A candidate with the name of its model, which is asked once, and given up soon only where it hangs."""
    waits = dict.fromkeys(("connect_seconds", "first_token_seconds", "gap_seconds"), PATIENCE)
    if model in ("hang-first", "hang-headers"):
        waits["first_token_seconds"] = 0.3
    if model.startswith("hang-in-"):
        waits["gap_seconds"] = 0.3
    return CandidateConfig(
        model, "openai", model, endpoint=EndpointConfig(url, **({"retries": 0, "rest_after": 99} | waits | config))
    )


class Handler(Models):
    server: Scripted

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:  # noqa: N802 (http.server calls it)
        self.server.paths.append(self.path)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.path in self.server.routes:
            return self.status(200, self.server.routes[self.path])
        if self.path != "/v1/models":
            return self.status(404, {"error": {"message": "no such page"}})
        if "bad-key" in self.headers.get("authorization", ""):
            return self.status(401, {"error": {"message": f"Incorrect API key: {self.key()}"}})
        return self.status(200, {"object": "list", "data": [{"id": name} for name in self.server.models]})

    def do_POST(self) -> None:  # noqa: N802 (http.server calls it)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.paths.append(self.path)
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
            self.server.lock.notify_all()
        try:
            if self.path in self.server.routes:
                answer = self.server.routes[self.path]
                return self.status(200, answer(body) if callable(answer) else answer)
            if "model" not in body:
                return self.status(404, {"error": {"message": "no such page"}})
            self.play(body["model"], body)
        except OSError:
            self.server.dropped.set()
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.under_way -= 1
