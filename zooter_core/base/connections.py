"""Connections of the endpoint and the demo, with limits that uvicorn with httptools does not have.

The limits bound the size of a request's headers, the time for headers and body, and the number of connections. Two
faults of uvicorn are worked around: it stops reading after a request to upgrade the protocol, and it sends chunked
answers to HTTP/1.0 clients.

If there are too many connections, one on which the server waits for the client is closed to make room.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEADER_BYTES = 64 << 10  # for the request line and the headers, and for anything else outside the body
HEADER_SECONDS = 10.0
BODY_SECONDS, BODY_BYTES_A_SECOND = 20.0, 16 << 10  # a body may take 20 s plus 1 s for each 16 KiB
BUFFER_BYTES = 128 << 10  # send buffer of a socket; by default, the system buffers megabytes for a slow client
OTHER_FILES, MOST_FILES = 64, 1 << 16
OFFERS = (b"upgrade", b"http2-settings")  # headers of a request to upgrade the protocol
REASONS = {
    408: "The request did not arrive in time.",
    431: f"The request line and the headers have more than {HEADER_BYTES:,} bytes.",
    503: "There are too many connections.",
}


def most_connections() -> int:
    """The limit on open connections: half of the files that this process may open, less a reserve.

    The other half is for connections to the models' servers.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return MOST_FILES
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if files == resource.RLIM_INFINITY else min(files, MOST_FILES)
    return max(16, (files - OTHER_FILES) // 2)


def raise_file_limit() -> None:
    """Raise this process's limit on open files as far as allowed: the usual 1,024 are too few for a full queue."""
    try:
        import resource
    except ImportError:
        return
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if files != resource.RLIM_INFINITY and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class OldCycle(RequestResponseCycle):
    """An HTTP/1.0 request: the end of the connection ends an answer of unknown length."""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message.get("headers", ())):
                self.chunked_encoding = False
        elif self.chunked_encoding is False and not self.expected_content_length:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


class BoundedConnection(HttpToolsProtocol):
    """A uvicorn connection with limits.

    Args:
        most_of: the limit on connections for a client's address; 0 for no separate limit.
    """

    def __init__(self, *arguments: Any, most_of: Callable[[str], int] = lambda address: 0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._most_of = most_of
        self._unread = 0  # bytes received since the last part of a body, or since the end of a request
        self._body = 0  # bytes received of the body
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_since: float | None = None  # None while the server does not wait for the client

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if connection := transport.get_extra_info("socket"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._wait(HEADER_SECONDS)
        address = _address(self)
        if address and (most := self._most_of(address)):
            self._make_room([other for other in self.connections if _address(other) == address], most)
        self._make_room(self.connections, most_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait(HEADER_SECONDS)  # the next request begins
        self._unread += len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._unread > HEADER_BYTES:
            self._refuse(431)

    def _feed(self, data: bytes) -> None:
        """Parse received data. A request to upgrade the protocol is ignored if it is not accepted (RFC 9110, 7.8).

        After such a request, the parser takes everything for the other protocol. Therefore a new parser gets the
        request without the headers of the upgrade.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return
            version = self.parser.get_http_version().encode()
            head = [self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
            for name, value in self.headers:
                if name not in OFFERS:
                    head += [name, b": ", value, b"\r\n"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(b"".join([*head, b"\r\n"]))

    @property
    def _is_offer(self) -> bool:
        """Whether the headers request an upgrade that is not accepted. They are then parsed again without it."""
        offered = self.parser.should_upgrade() and any(name == b"upgrade" for name, _ in self.headers)
        return offered and not self._should_upgrade()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEADER_BYTES:
            self._unread = size
            raise ValueError(REASONS[431])  # the parser stops, and calls `send_400_response`
        if self._is_offer:
            return
        self._unread = self._body = 0
        super().on_headers_complete()
        if self.cycle is not None and self.scope["http_version"] < "1.1":
            self.cycle.__class__ = OldCycle  # uvicorn has no other way to choose it
        self._wait(BODY_SECONDS, self._check_body)

    def on_body(self, body: bytes) -> None:
        self._unread, self._body = 0, self._body + len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_offer:
            return
        self._unread = 0
        self._stop_waiting()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:  # answered before the end of the request
            self._wait(HEADER_SECONDS)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.waiting_since is None and not self.pipeline:
            self.waiting_since = self.loop.time()  # for the next request, for which uvicorn has a timer

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self._unread > HEADER_BYTES:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def _wait(self, seconds: float, then: Callable[[], None] | None = None) -> None:
        """Start to wait for the client. After the given seconds, call `then`, or else close the connection."""
        self._stop_waiting()
        self.waiting_since = self.loop.time()
        self._timer = self.loop.call_later(seconds, then or (lambda: self._refuse(408)))

    def _stop_waiting(self) -> None:
        self.waiting_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_body(self) -> None:
        """Close the connection if the body arrives too slowly, unless it is the app that does not read it."""
        if self.flow.read_paused or self.waiting_since is None:
            self._body = 0
            self._wait(BODY_SECONDS, self._check_body)
            return
        left = self.waiting_since + BODY_SECONDS + self._body / BODY_BYTES_A_SECOND - self.loop.time()
        if left <= 0:
            self._refuse(408)
        else:
            self._timer = self.loop.call_later(left, self._check_body)

    def _refuse(self, status: int) -> None:
        """Close the connection. Send the error first, unless an answer has begun."""
        if self.transport.is_closing():
            return
        text = REASONS[status].encode()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            headers = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(text)
            self.transport.write(STATUS_LINE[status] + headers + text)
        self.transport.close()

    def _make_room(self, connections: Iterable[Any], most: int) -> None:
        """If there are more than `most` connections, close the one on which the server has waited longest."""
        connections = list(connections)
        if len(connections) <= most:
            return
        waiting = [other for other in connections if other is not self and getattr(other, "waiting_since", None)]
        if waiting:
            oldest = min(waiting, key=lambda other: other.waiting_since)
            self.connections.discard(oldest)
            oldest.transport.abort()
        else:
            self._refuse(503)


def _address(connection: Any) -> str:
    client = getattr(connection, "client", None)
    return client[0] if client else ""
