"""A request from its arrival to the end of its answer: reads the body, waits for a place, calls the handler, and sends
the answer as a JSON document or as a stream of events.

The handler is cancelled when the client disconnects.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from zooter_core.backends.endpoint.events import Event
from zooter_core.base.strict_json import dump_json
from zooter_core.serve.access import get_key, read_body, restricted
from zooter_core.serve.bodies import Sender
from zooter_core.serve.errors import MESSAGES, ApiError, is_messages, shape_at
from zooter_core.serve.exchange import GONE, Exchange
from zooter_core.serve.gateway import Gateway
from zooter_core.serve.messages import Translation, read_messages
from zooter_core.serve.server import Server
from zooter_core.serve.targets import STREAM_END, make_event

LOG = logging.getLogger("zooter.serve")
RESTART_SECONDS = 5  # Retry-After while the server stops
WRITE_SECONDS = 60.0  # for a client to take a part of an answer; then it counts as disconnected
Handler = Callable[[Gateway, dict[str, Any], "Reply"], Awaitable[None]]


class Reply(Response):
    """The answer to a request. `handle` writes it with `json`, or with `begin_events`, `write` and `end_events`.

    If the client disconnects, `handle` is cancelled at once. If the server stops, the client gets an error. In every
    case, the server's observers are called with the exchange when it has ended.
    """

    def __init__(self, server: Server, request: Request, handle: Handler) -> None:
        super().__init__()
        self._server, self._request, self._handle, self._key = server, request, handle, get_key(request)
        name = self._key.name if self._key else None
        sender = Sender(name, request.headers.get("x-session-id"))
        wants_metadata = request.headers.get("x-zooter-metadata", "").lower() == "enabled"
        self.exchange = Exchange(request.url.path, sender, server.ids.new(name), wants_metadata)
        # To the shape of the client's API; None if candidates use the same shape.
        self._translation = Translation(self.exchange) if self.exchange.path == MESSAGES else None
        self._begun, self._body_is_read = False, asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._to_client = send
        answering = asyncio.create_task(self._run())
        gone = asyncio.create_task(self._client_goes(receive))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.exchange.status = GONE
        except asyncio.CancelledError:  # by uvicorn, after the grace period of a stop
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            headers = {"retry-after": str(RESTART_SECONDS), "connection": "close"}
            stopping = ApiError(503, "The server is shutting down. Try again later.", "stopping", headers=headers)
            with suppress(ClientDisconnect):
                await self.fail(stopping)
        finally:
            for task in (answering, gone):
                task.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)
            self._end()

    def _end(self) -> None:
        exchange = self.exchange
        exchange.seconds = time.perf_counter() - exchange.started
        self._server.admission.spend(self._key, exchange.usage.prompt + exchange.usage.answer)
        for observer in self._server.observers:
            observer(exchange)

    async def _run(self) -> None:
        try:
            await self._answer()
        except ClientDisconnect:  # before the end of its body, or it no longer reads
            self.exchange.status = GONE
        except ApiError as error:
            await self.fail(error)
        except Exception:
            LOG.exception("request %s failed", self.exchange.request_id)
            await self.fail(ApiError(500, "The server failed; see its log.", "internal_error"))

    async def _answer(self) -> None:
        """Read the body, wait for a place, and let `handle` answer."""
        server, exchange = self._server, self.exchange
        body = await read_body(self._request, server.admission, server.settings.most_bytes)
        if is_messages(exchange.path):
            body, exchange.sender = read_messages(body, exchange.path, exchange.sender, server.gateway.models)
        body = restricted(body, self._key, server.gateway.fleet.pool)
        self._body_is_read.set()
        async with server.admission.place(self._key), server.gateway.used() as gateway:
            exchange.fleet, exchange.router_version = gateway.fleet, gateway.router_version
            await self._handle(gateway, body, self)

    async def _client_goes(self, receive: Receive) -> None:
        """Wait until the client disconnects. Starts after the body, since messages go to whoever calls `receive`."""
        await self._body_is_read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def json(self, shape: Mapping[str, Any]) -> None:
        await self._document(self._translation.message(shape) if self._translation else shape)

    async def begin_events(self) -> None:
        """Send the headers of a stream."""
        await self._begin(200, "text/event-stream; charset=utf-8", {"cache-control": "no-cache"})

    async def write(self, events: Sequence[Event]) -> None:
        if self._translation:
            data = b"".join(self._translation.events(event.chunk) for event in events if event.chunk is not None)
        else:
            data = b"".join(event.encode() for event in events)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_events(self) -> None:
        """End a stream, with [DONE] if the API has it."""
        last = STREAM_END if self.exchange.is_chat else b""
        await self._send({"type": "http.response.body", "body": self._translation.end() if self._translation else last})

    async def fail(self, error: ApiError) -> None:
        """Send an error: as the answer, or as the last event of an answer that has begun."""
        self.exchange.error = error.code or str(error.status)
        shape = shape_at(self.exchange.path, error)
        if not self._begun:
            await self._document(shape, error.status, error.headers)
            return
        kind, last = (b"event: error\n", b"") if self._translation else (b"", STREAM_END)
        await self._send({"type": "http.response.body", "body": kind + make_event(shape).encode() + last})

    async def _document(
        self, shape: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        data, self.exchange.status = dump_json(shape).encode(), status
        await self._begin(status, "application/json", {"content-length": str(len(data)), **(headers or {})})
        await self._send({"type": "http.response.body", "body": data})

    async def _begin(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self._begun = True
        every = {"content-type": kind, **headers, **self.exchange.headers}
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def _send(self, message: Message) -> None:
        """Send a part. Waits for a slow client, but not for one that has stopped reading.

        Raises:
            ClientDisconnect: the client has not taken the part in time.
        """
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._to_client(message)
        except TimeoutError:
            raise ClientDisconnect from None
