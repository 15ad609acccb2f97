"""The parts of a scripted server's answers: a status, an event, a hang, a reset."""

from __future__ import annotations

import json
import socket
import struct
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.patience import NEVER

LONGEST = NEVER  # seconds that anything here may last
TEXT = ("Hello", ",", " I am", " a", " scripted", " model", ".")
USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}


class Parts(BaseHTTPRequestHandler):
    """Writes parts of answers to the client."""

    server: Any
    protocol_version = "HTTP/1.1"
    timeout = LONGEST

    def status(self, code: int, shape: Any, **headers: str) -> None:
        content = shape if isinstance(shape, bytes) else json.dumps(shape).encode()
        self.send_response(code)
        for name, value in {"Content_Type": "application/json", **headers}.items():
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

    def completion(self, text: str, usage: Any = USAGE) -> None:
        """An answer that is not streamed."""
        message = {"role": "assistant", "content": text}
        shape = {"id": "1", "object": "chat.completion", "created": 1, "model": "scripted", "system_fingerprint": "fp"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        self.status(200, {**shape, "choices": choices, "usage": usage})

    def stream_text(self, words: Any = TEXT, between: str = "", finish: str | None = "stop", usage: Any = None) -> None:
        self.begin()
        self.words(words, between, finish)
        if usage:
            self.raw("data: " + json.dumps({"id": "1", "choices": [], "usage": usage}))
        self.raw("data: [DONE]")

    def words(self, words: Any = TEXT, between: str = "", finish: str | None = "stop") -> None:
        """The events of an answer that has begun, to the last one with a finish reason."""
        for number, word in enumerate(words):
            self.event((between if number else "") + word)
        if finish:
            self.event(finish=finish)

    def wants_usage(self, body: Any) -> bool:
        return bool(body.get("stream_options", {}).get("include_usage"))

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

    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")
