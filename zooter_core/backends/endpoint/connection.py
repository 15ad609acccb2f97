"""One candidate behind an OpenAI-compatible server: whole answers and streams as they come, for one event loop.

The endpoint passes on what comes out here; the backend `openai` (answer.py) makes texts of it. A stream that is closed
ends at the server too.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from zooter_core.backends.endpoint.client import EVENTS, Client
from zooter_core.backends.endpoint.events import EventTooLongError, Splitter, chunk_of, is_done, is_whole, payload
from zooter_core.backends.endpoint.faults import (
    TRY_AGAIN,
    EndpointError,
    connection_error,
    no_text,
    sent_error,
    too_late,
)
from zooter_core.backends.endpoint.health import Breaker, Pace, Refusals
from zooter_core.backends.endpoint.redaction import RedactedEvents, Redaction
from zooter_core.backends.endpoint.retry import LONGEST_WAIT
from zooter_core.base.strict_json import objects, parse_json, replace_surrogates
from zooter_core.config.candidates import CandidateConfig

CHAT = "/chat/completions"
WHOLE_SECONDS = 600.0  # for an answer that is not streamed
LIST_SECONDS = 30.0  # for the list of models of a server that may be busy, or wake up first
BUSY_SECONDS = 1.0  # after which a client may ask again for a place
CLOSE_SECONDS = 0.1  # for a server to end a stream after its last event
MOST_AT_ONCE = 16 << 10  # bytes that are read of a stream before others have their turn
PROBE = [{"role": "user", "content": "Hi"}]


class Watcher:
    """Who reads a stream looks at it with this."""

    @property
    def complete(self) -> bool:
        """Whether nothing of the answer can be missing if the connection breaks now."""
        return False

    def sent(self) -> None:
        """The request has a place, and is sent now."""

    def opened(self, headers: Mapping[str, str]) -> None:
        """The stream's headers have come."""

    @abstractmethod
    def look(self, event: bytes) -> bool:
        """Look at an event, without the key. Return whether it has a token, or ends the answer.

        Raises:
            EndpointError: it is no part of an answer.
        """


def chat_chunk(event: bytes, redact: Redaction) -> Mapping[str, Any] | None:
    """The chunk of chat completions in an event; None in one without.

    Raises:
        EndpointError: it is not JSON, or an error of the server's.
    """
    data = payload(event)
    if not data or data == b"[DONE]":
        return None
    try:
        chunk = chunk_of(data)
    except ValueError:
        raise EndpointError("a line of the stream is not JSON", TRY_AGAIN, temporary=True) from None
    if chunk.get("error"):
        raise sent_error(chunk, redact)
    return chunk


@dataclass
class Turn:
    """One request under way: when it began, on the loop's clock, and whether its first token came soon."""

    started: float
    soon: bool = True


class Connection:
    """A candidate's server.

    Args:
        begin: requests at the same time at first; all that fleet.toml allows if None.

    Raises:
        ZooterError: the environment lacks the key, or the key cannot be sent in a header.
    """

    def __init__(self, candidate: CandidateConfig, begin: int | None = None) -> None:
        assert candidate.endpoint is not None  # config/candidates.py has checked it
        self.name, self.model, self.config = candidate.name, candidate.model, candidate.endpoint
        config, variable = self.config, self.config.api_key_env
        self.key = config.key(self.name)
        self.client = Client(
            config.base_url, self.key, variable, config.local, config.connect_seconds, config.most_bytes
        )
        self.redact = self.client.redact
        self.pace = Pace(config.parallel, begin=begin)
        self.breaker = Breaker(config.rest_after, config.rest_seconds)
        self.refusals = Refusals()
        self._trial: asyncio.Task[None] | None = None
        self._retired = False

    async def post(self, path: str, body: Mapping[str, Any], patience: float | None = None) -> dict[str, Any]:
        """The whole answer of a path of the server.

        Args:
            patience: seconds to wait for a place among the candidate's requests; None waits for ever.

        Raises:
            EndpointError: there is none.
        """
        async with self._turn(patience):  # when its first token came is not known
            return await self.ask(path, body, WHOLE_SECONDS)

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, seconds: float = LIST_SECONDS) -> Any:
        """The JSON object at a path, or at another address of the server, without waiting for a place."""
        data = await self.client.fetch("GET" if body is None else "POST", path, body, seconds)
        try:
            answer = parse_json(data)
        except ValueError:
            raise EndpointError("the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise EndpointError("the answer is not a JSON object")
        if answer.get("error") and "choices" not in answer:
            raise sent_error(answer, self.redact, temporary=False)
        return self.redact.shape(answer) if b"\\" in data else answer

    async def events(
        self,
        path: str,
        body: Mapping[str, Any],
        watcher: Watcher,
        usage: bool = False,
        patience: float | None = None,
    ) -> AsyncGenerator[list[bytes], None]:
        """The events of a stream, without the key, from the first token on: as many at a time as have come.

        Args:
            watcher: sees every event as it comes.
            usage: asks for the count of tokens too, if the server knows `stream_options`; else the body's are left out.

        Raises:
            EndpointError: before the first event, or in the middle of the answer.
        """
        async with self._turn(patience) as turn, self._stream(path, body, usage, watcher) as response:
            watcher.opened(response.headers)
            reader = _Reader(self.redact.events(), watcher, self.client.most_bytes)
            now, until = asyncio.get_running_loop().time, turn.started + self.config.first_token_seconds
            while not reader.at_end:
                begun, problem = reader.begun, None
                try:
                    reader.read(await self._next(response, until, reader, watcher))
                except EndpointError as error:
                    problem = error
                    reader.end()
                if reader.token:
                    until = now() + self.config.gap_seconds
                    turn.soon = turn.soon if begun else now() - turn.started < self.config.first_token_seconds / 4
                if reader.done:
                    until = min(until, now() + CLOSE_SECONDS)
                if reader.begun and reader.events:
                    yield reader.events
                    reader.events = []
                if problem:
                    raise problem
                if reader.full:
                    await asyncio.sleep(0)  # more has come already, and reading it would not wait
            if not reader.begun:
                raise no_text()

    async def models(self) -> list[str]:
        """The names in the server's list of models, without the key."""
        names = [entry.get("id") for entry in objects((await self.ask("/models")).get("data"))]
        return [self.redact(replace_surrogates(name)) for name in names if isinstance(name, str)]

    def resting(self) -> EndpointError | None:
        """Why the server is not asked now; None if it may be."""
        if self.breaker.state == "closed":
            return None
        left = self.breaker.seconds_left
        next_step = f"Fix the server. It is asked again in {left:.0f} s."
        reason = f"it rests after {self.breaker.reason}"
        return EndpointError(reason, next_step, own_status=503, retry_after=max(left, 1.0), not_sent=True)

    def failed(self, reason: str) -> None:
        """Count a request that the server failed. If that opens the breaker, a tiny request tries it after the rest."""
        self.breaker.failed(reason)
        if self.breaker.state != "closed" and (self._trial is None or self._trial.done()) and not self._retired:
            self._trial = asyncio.create_task(self._try_again())

    async def retire(self) -> None:
        """End the trial, if one waits or runs: no new request comes. Requests that are under way go on."""
        self._retired = True
        if self._trial:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)

    async def close(self) -> None:
        """End all that is under way."""
        await self.retire()
        await self.client.close()

    async def _try_again(self) -> None:
        while self.breaker.state != "closed":
            await asyncio.sleep(self.breaker.seconds_left)
            await self.breaker.try_again(self._probe)

    async def _probe(self) -> str | None:
        """Why a tiny request fails; None if the server answers it, or refuses what is in it."""
        body = {"model": self.model, "messages": PROBE, self.config.token_limit: 1}
        try:
            await self.ask(CHAT, body, self.config.first_token_seconds)
        except EndpointError as error:
            return None if error.refused else error.reason
        return None

    @asynccontextmanager
    async def _turn(self, patience: float | None) -> AsyncIterator[Turn]:
        """One of the requests that the server gets at the same time, unless it rests or wants a pause."""
        left = self.pace.seconds_left
        if patience is not None and left > patience:
            reason = f"it asked for a pause, of which {left:.0f} s are left"
            raise EndpointError(reason, own_status=429, retry_after=left, not_sent=True)
        began = False
        try:
            async with self.pace.place(patience) as started:
                began = True
                await self.breaker.try_again(self._probe)
                if resting := self.resting():
                    raise resting
                turn = Turn(asyncio.get_running_loop().time())
                try:
                    yield turn
                except EndpointError as error:
                    if error.overload:
                        self.pace.overloaded(started)
                    if error.temporary and error.retry_after and error.retry_after <= LONGEST_WAIT:
                        self.pace.pause(error.retry_after)
                    raise
                self.pace.answered(turn.soon)
        except TimeoutError:
            if began:
                raise
            reason = f"none of its {self.config.parallel} places became free within {patience:g} s"
            raise EndpointError(reason, own_status=503, retry_after=BUSY_SECONDS, not_sent=True) from None

    @asynccontextmanager
    async def _stream(
        self, path: str, body: Mapping[str, Any], usage: bool, watcher: Watcher
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response with a stream. A server that does not know `stream_options` is asked again without them."""
        watcher.sent()
        seconds = self.config.first_token_seconds
        if usage and "stream_options" not in self.refusals:
            options = {**(body.get("stream_options") or {}), "include_usage": True}
            opened = False
            try:
                async with self.client.open(
                    "POST", path, {**body, "stream_options": options}, EVENTS, seconds
                ) as reply:
                    opened = True
                    yield reply
                    return
            except EndpointError as error:
                if opened or error.subject != "stream_options":
                    raise
                self.refusals.note("stream_options")
        if usage:
            body = {name: value for name, value in body.items() if name != "stream_options"}
        async with self.client.open("POST", path, body, EVENTS, seconds) as response:
            yield response

    async def _next(self, response: aiohttp.ClientResponse, until: float, reader: _Reader, watcher: Watcher) -> bytes:
        """The next bytes of a stream; none at its end."""
        try:
            async with asyncio.timeout_at(until):
                data: bytes = await response.content.read(MOST_AT_ONCE)
        except (TimeoutError, aiohttp.ClientError, OSError) as problem:
            if reader.done or watcher.complete:
                return b""
            if not isinstance(problem, TimeoutError):
                raise connection_error(problem, self.config.connect_seconds, self.redact) from None
            if reader.begun:
                raise too_late(self.config.gap_seconds, "further token") from None
            raise too_late(self.config.first_token_seconds, "first token") from None
        return data


class _Reader:
    """The events in the bytes of one stream.

    Attributes:
        events: those that have come and that nobody has taken.
        begun, token: whether the first token has come, and any with the last bytes.
        done: whether the server has said that the answer is complete.
        full: whether more may have come than was read.
        at_end: whether the stream has ended.
    """

    def __init__(self, mask: RedactedEvents | None, watcher: Watcher, most_bytes: int) -> None:
        self._mask, self._look, self._most = mask, watcher.look, most_bytes
        self._splitter, self._size = Splitter(), 0
        self.events: list[bytes] = []
        self.begun = self.token = self.done = self.full = self.at_end = False

    def read(self, data: bytes) -> None:
        """Take the events that some bytes complete; no bytes are the end of the stream."""
        self.token, self.full = False, len(data) == MOST_AT_ONCE
        self._size += len(data)
        if self._size > self._most:
            raise EndpointError(f"the answer has more than {self._most:,} bytes")
        if not data:
            if is_whole(last := self._splitter.end()):
                self._add(last)
            self.end()
            return
        try:
            for event in self._splitter.feed(data):
                self._add(event)
        except EventTooLongError as problem:
            raise EndpointError(str(problem)) from None

    def end(self) -> None:
        """Take what the mask holds back, and no more."""
        self.at_end = True
        for event in self._mask.end() if self._mask else ():
            self._show(event)

    def _add(self, event: bytes) -> None:
        self.done = self.done or is_done(event)
        if self._mask is None:
            self._show(event)
            return
        for masked in self._mask.feed(event):
            self._show(masked)

    def _show(self, event: bytes) -> None:
        token = self._look(event)
        self.token = self.token or token
        self.begun = self.begun or token
        self.events.append(event)
