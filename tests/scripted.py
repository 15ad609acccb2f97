"""A server on loopback that speaks chat completions and can fail in every way that a real one does.

The name of the model says what happens: `good`, `http-503`, `reset-in-the-middle` ... `bodies` has the requests.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST = 20.0  # seconds that anything here may last
NARROW = 1000  # characters that `narrow` takes
TEXT = ("Hello", ",", " I am", " a", " scripted", " model", ".")


class Scripted(ThreadingHTTPServer):
    """The server. It records the bodies, headers and paths of all requests."""

    daemon_threads = True

    def __init__(self, certificate: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.dropped = threading.Event()  # set when a client has gone away in the middle
        self.closing = threading.Event()
        self.under_way, self.most_under_way = 0, 0
        self.lock = threading.Condition()
        self.models = ["good", "llama3.1:8b"]
        self.elsewhere = ""  # where `redirect` points to
        self.replies: dict[str, Callable[[str], str]] = {}  # model -> its answer to a query
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
        return sum(body["model"] == model for body in self.bodies)

    def wait_for(self, model: str, count: int) -> None:
        """Wait until a model has been asked so often."""
        with self.lock:
            assert self.lock.wait_for(lambda: self.count(model) >= count, LONGEST)


@contextmanager
def serving(certificate: str | None = None) -> Iterator[Scripted]:
    server = Scripted(certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


class Handler(BaseHTTPRequestHandler):
    server: Scripted
    protocol_version = "HTTP/1.1"
    timeout = LONGEST

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.path != "/v1/models":
            return self.status(404, {"error": {"message": "no such page"}})
        if "bad-key" in self.headers.get("authorization", ""):
            return self.status(401, {"error": {"message": f"Incorrect API key: {self.key()}"}})
        return self.status(200, {"object": "list", "data": [{"id": name} for name in self.server.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.paths.append(self.path)
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.server.times.append(time.monotonic())
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
            self.server.lock.notify_all()
        try:
            self.play(body["model"], body)
        except OSError:
            self.server.dropped.set()
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def play(self, model: str, body: dict[str, Any]) -> None:
        if model in self.server.replies:
            return self.say(self.server.replies[model](body["messages"][-1]["content"]).split(" "), " ")
        if model.startswith("counts "):
            return self.counts(json.loads(model.removeprefix("counts ")))
        if model.startswith("ends "):
            return self.say(finish=json.loads(model.removeprefix("ends ")))
        if model.startswith("ends-empty "):
            return self.say([], finish=json.loads(model.removeprefix("ends-empty ")))
        if model.startswith("waits "):
            return self.waits(body, model.removeprefix("waits "))
        if model.startswith("http-"):
            return self.status(int(model.split("-")[1]), {"error": {"message": f"scripted {model}"}})
        play = getattr(self, model.replace("-", "_"), None)
        if play is None:
            return self.status(404, {"error": {"message": f'model "{model}" not found'}})
        return play(body)

    # The parts of an answer

    def status(self, code: int, shape: Any, **headers: str) -> None:
        content = json.dumps(shape).encode()
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin(self, kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, text: str | None = None, finish: str | None = None, **more: Any) -> None:
        delta = {} if text is None else {"content": text}
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        self.raw("data: " + json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": choices, **more}))

    def raw(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\n\n")
        self.wfile.flush()

    def say(self, words: Any = TEXT, between: str = "", finish: str | None = "stop") -> None:
        self.begin()
        words = list(words)
        for number, word in enumerate(words):
            self.event(word + (between if number < len(words) - 1 else ""))
        if finish:
            self.event(finish=finish)
        self.raw("data: [DONE]")

    def hang(self) -> None:
        """Nothing more, until the client goes away or the test ends."""
        self.connection.settimeout(0.05)
        until = time.monotonic() + LONGEST
        while not self.server.closing.is_set() and time.monotonic() < until:
            try:
                if self.connection.recv(1) == b"":
                    self.server.dropped.set()
                    return
            except TimeoutError:
                pass

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    # The models

    def good(self, body: Any) -> None:
        self.begin()
        self.raw(": a comment")
        self.event("", role="assistant")
        for word in TEXT:
            self.event(word)
        self.event(finish="stop")
        if body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
            self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": usage}))
        self.raw("data: [DONE]")

    def narrow(self, body: Any) -> None:
        if len(body["messages"][-1]["content"]) > NARROW:
            return self.status(400, {"error": {"message": "This model's maximum context length is 300 tokens."}})
        return self.good(body)

    def slow(self, body: Any) -> None:
        self.begin()
        for number in range(200):
            self.event(f"{number} ")
            if self.server.closing.wait(0.05):
                return
        self.event(finish="stop")

    def echo(self, body: Any) -> None:
        self.say([json.dumps(body["messages"])])

    def seeded(self, body: Any) -> None:
        self.say([f"seed {body['seed']}"])

    def halves(self, body: Any) -> None:
        """Half characters: two that make one over two events, and two that stand alone."""
        self.say(["a\ud83d", "\ude00b\ud800", "c\udfff", "d\ud83d"])

    def hang_first(self, body: Any) -> None:
        self.hang()

    def hang_headers(self, body: Any) -> None:
        self.begin()
        for _ in range(int(LONGEST / 0.1)):  # alive, but no token
            self.raw(": keep-alive")
            self.event("", role="assistant")
            if self.server.closing.wait(0.1):
                return

    def hang_in_the_middle(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.hang()

    def think(self, body: Any) -> None:
        """Reasoning for longer than the first token may take, then text."""
        self.begin()
        for _ in range(10):
            choices = [{"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": None}]
            self.raw("data: " + json.dumps({"choices": choices}))
            time.sleep(0.1)
        self.event("42")
        self.event(finish="stop")

    def reset_first(self, body: Any) -> None:
        self.reset()

    def reset_in_the_middle(self, body: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        data = b'data: {"choices": [{"index": 0, "delta": {"content": "Half of"}}]}\n\n'
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
        time.sleep(0.1)  # else the reset may overtake the text
        self.reset()

    def mends(self, body: Any) -> None:
        """A reset in the middle of the first answer, and no fault after that."""
        return self.reset_in_the_middle(body) if self.server.count("mends") == 1 else self.good(body)

    def twice_503(self, body: Any) -> None:
        if self.server.count("twice-503") <= 2:
            return self.status(503, {"error": {"message": "loading the model"}})
        return self.good(body)

    def wait_429(self, body: Any) -> None:
        if self.server.count("wait-429") == 1:
            return self.status(429, {"error": {"message": "slow down"}}, Retry_After="1")
        return self.good(body)

    def long_429(self, body: Any) -> None:
        self.status(429, {"error": {"message": "quota"}}, Retry_After="3600")

    def html(self, body: Any) -> None:
        self.begin("text/html; charset=utf-8")
        self.raw("<html><body>Welcome!</body></html>")

    def html_404(self, body: Any) -> None:
        content = b"<html><h1>Not Found</h1></html>"
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def plain_json(self, body: Any) -> None:
        self.status(200, {"choices": [{"message": {"role": "assistant", "content": "whole"}}]})

    def broken_line(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw('data: {"choices": [{"delta": ')

    def half_line(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.wfile.write(b'data: {"choices": [{"delta": {"content": " it')

    def not_utf8(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.wfile.write(b"data: \xff\xfe\n\n")

    def no_choices(self, body: Any) -> None:
        self.begin()
        self.raw("data: [1, 2]")
        self.raw('data: {"choices": "many"}')

    def number(self, body: Any) -> None:
        self.begin()
        self.raw('data: {"choices": [{"index": 0, "delta": {"content": 7}}]}')

    def error_event(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw('data: {"error": {"message": "the model\\u001b[31m ran\\nout of memory"}}')

    def empty(self, body: Any) -> None:
        self.say([], finish="stop")

    def nothing(self, body: Any) -> None:
        self.begin()

    def unfinished(self, body: Any) -> None:
        self.say(finish=None)

    def length(self, body: Any) -> None:
        self.say(finish="length")

    def filtered(self, body: Any) -> None:
        self.say(["Half of"], finish="content_filter")

    def ten_megabytes(self, body: Any) -> None:
        self.begin()
        for _ in range(640):
            self.event("x" * 16_384)
        self.event(finish="stop")

    def endless_line(self, body: Any) -> None:
        self.begin()
        self.wfile.write(b"data: ")
        while not self.server.closing.is_set():
            self.wfile.write(b"x" * 65_536)

    def zipped(self, body: Any) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"\x1f\x8b\x08\x00")

    def redirect(self, body: Any) -> None:
        self.status(307, {}, Location=self.server.elsewhere)

    def wrong_key(self, body: Any) -> None:
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.status(401, {"error": {"message": f"Incorrect API key provided: {key}."}})

    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def echo_key(self, body: Any) -> None:
        """The key as one token, then letter by letter, then as part of a word."""
        self.say(["Your key is ", self.key(), ", or ", *self.key(), f", so x{self.key()}x."])

    def echo_key_cut(self, body: Any) -> None:
        """All but the end of the key, and no further word."""
        self.say(["Your key is ", self.key()[:-2]])

    def echo_key_start(self, body: Any) -> None:
        """What only looks like the key."""
        self.say(["Keys begin like ", self.key()[:3], " or end so: ", self.key()[:3]])

    def echo_key_reset(self, body: Any) -> None:
        self.begin()
        self.event(f"{self.key()} and {self.key()[:2]}")
        time.sleep(0.1)
        self.reset()

    def echo_key_error(self, body: Any) -> None:
        self.status(500, {"error": {"message": "x" * 190 + self.key()}})

    def echo_key_redirect(self, body: Any) -> None:
        self.status(307, {}, Location=f"http://{self.key()}.example.test/v1")

    def counts(self, tokens: Any) -> None:
        """A good answer with that count of tokens."""
        self.begin()
        for word in TEXT:
            self.event(word)
        self.event(finish="stop")
        self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": {"completion_tokens": tokens}}))
        self.raw("data: [DONE]")

    def waits(self, body: Any, wait: str) -> None:
        """One refusal with that Retry-After, then an answer."""
        if self.server.count(body["model"]) == 1:
            return self.status(503, {"error": {"message": "loading"}}, Retry_After=wait)
        return self.good(body)

    def call(self, text: str | None, finish: str, name: str = "tool_calls") -> None:
        """A tool call in two parts, after a text."""
        self.begin()
        if text:
            self.event(text)
        for part in ('{"city": ', '"Berlin"}'):
            function = {"name": "weather", "arguments": part}
            delta = {name: [{"index": 0, "id": "1", "type": "function", "function": function}]}
            if name == "function_call":
                delta = {name: function}
            choices = [{"index": 0, "delta": {"content": None, **delta}, "finish_reason": None}]
            self.raw("data: " + json.dumps({"id": "1", "object": "chat.completion.chunk", "choices": choices}))
        self.event(finish=finish)
        self.raw("data: [DONE]")

    def tool(self, body: Any) -> None:
        self.call(None, "tool_calls")

    def tool_after_text(self, body: Any) -> None:
        self.call("Half of", "tool_calls")

    def tool_stop(self, body: Any) -> None:
        self.call(None, "stop")

    def tool_info(self, body: Any) -> None:
        self.call("Half of", "stop")

    def old_tool(self, body: Any) -> None:
        self.call(None, "function_call", "function_call")

    def plain_tool(self, body: Any) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        self.status(200, {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})

    def deep_json(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw("data: " + "[" * 100_000)

    def long_number(self, body: Any) -> None:
        self.begin()
        self.event("Half of")
        self.raw('data: {"choices": [], "usage": {"completion_tokens": ' + "9" * 5000 + "}}")
