"""The answer to a request: computed while the client is connected, and cancelled when it disconnects."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from zooter_core.base.strict_json import dump_json
from zooter_core.config.serve import ServeConfig
from zooter_core.serve.errors import SERVER, ApiError
from zooter_core.serve.exchange import Exchange
from zooter_core.serve.targets import DONE, event_of

LOG = logging.getLogger("zooter.serve")
GONE = 499  # the status, in logs, of a request whose client went away
Observer = Callable[[Exchange], None]


class GoneError(Exception):
    """The client takes nothing of its answer any more."""


class Out:
    """Where an answer is written to: one JSON document, or a stream of events.

    Attributes:
        body_is_read: set when nothing more is to come of the request.
    """

    def __init__(self, send: Send, exchange: Exchange) -> None:
        self._to_client, self._exchange, self.started = send, exchange, False
        self.body_is_read = asyncio.Event()

    async def _send(self, message: Message) -> None:
        """Send a part. Waits for a client that reads slowly, but not for one that has stopped.

        Raises:
            GoneError: it has not taken the part in time.
        """
        config = self._exchange.fleet.serve if self._exchange.fleet else ServeConfig()
        try:
            async with asyncio.timeout(config.write_seconds):
                await self._to_client(message)
        except TimeoutError:
            raise GoneError from None

    async def json(self, shape: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self._exchange.status = status
        data = dump_json(shape).encode()
        await self._begin(status, "application/json", {"content-length": str(len(data))} | dict(headers or {}))
        await self._send({"type": "http.response.body", "body": data})

    async def begin_events(self) -> None:
        """Send the headers of a stream."""
        await self._begin(200, "text/event-stream; charset=utf-8", {"cache-control": "no-cache"})

    async def write(self, data: bytes) -> None:
        """Send some whole events."""
        self._exchange.events += data.count(b"\n\n")
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_events(self, done: bool = True) -> None:
        """End a stream, with [DONE] where the API has it."""
        await self._send({"type": "http.response.body", "body": DONE if done else b""})

    async def _begin(self, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.started = True
        every = {"content-type": kind, **headers, **self._exchange.headers}
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})


class Reply(Response):
    """Runs `handle` and sends what it writes. If the client goes away first, `handle` is cancelled at once.

    Args:
        observers: called with the exchange when it has ended, however it did.
    """

    def __init__(
        self, exchange: Exchange, handle: Callable[[Out], Awaitable[None]], observers: Sequence[Observer] = ()
    ) -> None:
        super().__init__()
        self._exchange, self._handle, self._observers = exchange, handle, observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        out = Out(send, self._exchange)
        answering = asyncio.create_task(self._run(out))
        gone = asyncio.create_task(_gone(receive, out))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self._exchange.status = GONE
        finally:
            for task in (answering, gone):
                task.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)
            self._exchange.seconds = time.perf_counter() - self._exchange.started
            for observer in self._observers:
                observer(self._exchange)

    async def _run(self, out: Out) -> None:
        try:
            await self._handle(out)
        except GoneError:
            self._exchange.status = GONE
        except ApiError as error:
            await self._fail(out, error)
        except ClientDisconnect:  # in the middle of its body
            self._exchange.status = GONE
        except Exception:
            LOG.exception("request %s failed", self._exchange.request_id)
            await self._fail(out, ApiError(500, "The server failed; see its log.", "internal_error", kind=SERVER))

    async def _fail(self, out: Out, error: ApiError) -> None:
        """Send an error: as the answer, or as the last event of one that has begun."""
        self._exchange.error = error.code or str(error.status)
        if not out.started:
            await out.json(error.shape, error.status, error.headers)
            return
        await out.write(event_of(error.shape))
        await out.end_events()


async def _gone(receive: Receive, out: Out) -> None:
    """Wait until the client goes away. While the body is read, whoever reads it gets what comes."""
    await out.body_is_read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass
