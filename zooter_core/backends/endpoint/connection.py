"""One candidate behind an OpenAI-compatible server: complete answers and streams, for one event loop.

The endpoint passes them on; the backend `openai` (answer.py) turns them into texts. Closing a stream also ends it at
the server.
"""

from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from zooter_core.backends.endpoint.client import EVENTS, Client
from zooter_core.backends.endpoint.events import Event, EventSplitter
from zooter_core.backends.endpoint.faults import (
    ACCOUNT,
    ENDED,
    TRY_AGAIN,
    EndpointError,
    connection_error,
    finish_name,
    no_text,
    read_message,
    sent_error,
    sent_in,
    too_late,
)
from zooter_core.backends.endpoint.health import Breaker, Pace, Refusals
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.backends.endpoint.retry import LONGEST_WAIT
from zooter_core.backends.thoughts import Parts
from zooter_core.base.progress import Tell, silent
from zooter_core.base.strict_json import objects, parse_json, replace_surrogates
from zooter_core.config.candidates import CandidateConfig

CHAT = "/chat/completions"
LIST_SECONDS = 30.0  # for the list of models, as the server may be busy or may have to wake up
BUSY_SECONDS = 1.0  # after which a client may ask again for a place
CLOSE_SECONDS = 0.1  # for a server to end a stream after its last event
MOST_AT_ONCE = 4 << 10  # bytes of a stream that are read before other tasks run: half a millisecond of work
MOST_IDLE = 1 << 20  # bytes of a stream without a token; more is a flood
LIMIT, OTHER_LIMIT = "max_tokens", "max_completion_tokens"  # the second is for servers that refuse the usual name
USAGE = {"stream_options": {"include_usage": True}}  # requests the count of tokens
Fields = Mapping[str, Any]
PROBE = [{"role": "user", "content": "Hi"}]


class Watcher:
    """Observes the events of a stream."""

    @property
    def complete(self) -> bool:
        """Whether nothing of the answer can be missing if the connection breaks now."""
        return False

    def sent(self) -> None:
        """Called when the request has a place and is sent."""

    def opened(self, headers: Mapping[str, str]) -> None:
        """Called when the stream's headers have arrived."""

    @abstractmethod
    def look(self, event: Event) -> bool:
        """Look at an event, from which the key was removed. Return whether it has a token or ends the answer.

        Raises:
            EndpointError: it is not part of an answer.
        """


def chat_chunk(event: Event, redact: Redaction) -> Mapping[str, Any] | None:
    """The chunk of a chat completion in an event; None if there is none.

    Raises:
        EndpointError: the event is not JSON, or is an error of the server.
    """
    if event.kind == b"error" and not event.is_empty:
        raise sent_error(event.chunk or {"error": event.data.decode("utf-8", "replace")}, redact)
    if event.is_empty:
        return None
    if (chunk := event.chunk) is None:
        raise EndpointError("a line of the stream is not JSON", TRY_AGAIN, temporary=True)
    if error := chat_error(chunk):
        raise sent_error(error, redact)
    return chunk


def chat_error(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error in a chunk or in a complete chat completion; without `choices`, this may be a bare message."""
    return sent_in(body) or (body if "choices" not in body and read_message(body) else None)


def thinking_fields(thinking: bool | str | None) -> dict[str, Any]:
    """The fields that switch thinking on or off, under the names of all known servers."""
    if thinking is None or thinking == "auto":
        return {}
    kwargs = {"enable_thinking": bool(thinking), "thinking": bool(thinking)}  # vLLM, SGLang, llama.cpp
    effort = thinking if isinstance(thinking, str) else None if thinking else "none"
    switch = {"type": "enabled" if thinking else "disabled"}  # DeepSeek, GLM, Kimi
    fields = {"chat_template_kwargs": kwargs, "thinking": switch, "think": thinking}
    return fields | ({"reasoning_effort": effort} if effort else {})  # OpenAI, Ollama, Mistral, gpt-oss


class Connection:
    """A candidate's server.

    Args:
        begin: the number of concurrent requests at the start; None for as many as fleet.toml allows.
        log: called with a line when the circuit breaker opens and closes.

    Attributes:
        thinks: whether the model thinks before it answers, according to fleet.toml or to an earlier answer.
        opens: whether prompts open the thoughts, so that the text has only their end, according to an earlier answer.

    Raises:
        ZooterError: the key is not in the environment, or cannot be sent in a header.
    """

    def __init__(self, candidate: CandidateConfig, begin: int | None = None, log: Tell = silent) -> None:
        assert candidate.endpoint is not None  # config/candidates.py has checked it
        self.name, self.model, self.config = candidate.name, candidate.model, candidate.endpoint
        self.candidate, self.thinks, self.opens = candidate, candidate.thinking not in (None, False), False
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
        self._retired, self._log = False, log

    def note_opening(self, parts: Parts, finish: str | None) -> None:
        """Note whether prompts open the thoughts, as far as an answer that has ended shows."""
        if parts.opened or finish_name(finish) in ENDED:
            self.opens = parts.opened

    async def post(
        self, path: str, body: Mapping[str, Any], patience: float | None = None, ours: Fields | None = None
    ) -> dict[str, Any]:
        """The whole answer of a path of the server.

        Args:
            patience: seconds to wait for a place among the candidate's requests; None waits forever.
            ours: fields besides the body's own (`events`).

        Raises:
            EndpointError: there is no answer.
        """
        async with self._turn(patience):
            answer = await self.ask_model(path, body, ours or {}, self.config.answer_seconds)
            self.pace.answered()  # the time of its first token is not known
            return answer

    async def ask_model(self, path: str, body: Mapping[str, Any], ours: Fields, seconds: float) -> dict[str, Any]:
        """Like `post`, without waiting for a place."""
        learned = set[str]()
        while True:
            sent = self._with_ours(path, body, ours)
            try:
                return await self.ask(path, sent, seconds)
            except EndpointError as error:
                if not self._learns(error, sent, body, learned):
                    raise

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, seconds: float = LIST_SECONDS) -> Any:
        """The JSON object at a path, or at another address of the server, without waiting for a place."""
        data = await self.client.fetch("GET" if body is None else "POST", path, body, seconds)
        try:
            answer = parse_json(data)
            answer = self.redact.shape(answer) if b"\\" in data else answer
        except (ValueError, RecursionError):
            raise EndpointError("the answer is not JSON") from None
        if isinstance(answer, list):  # Together's list of models
            answer = {"data": answer}
        if not isinstance(answer, dict):
            raise EndpointError("the answer is not a JSON object")
        if error := sent_in(answer):
            raise sent_error(error, self.redact, temporary=False)
        return answer

    async def events(
        self,
        path: str,
        body: Mapping[str, Any],
        watcher: Watcher,
        ours: Fields | None = None,
        patience: float | None = None,
    ) -> AsyncGenerator[list[Event], None]:
        """The events of a stream, without the key, from the first token on; all that have arrived at a time.

        Args:
            watcher: sees every event when it arrives.
            ours: fields besides the body's own, which are omitted if the server does not know them.

        Raises:
            EndpointError: before the first event, or in the middle of the answer.
        """
        async with self._turn(patience) as started, self._stream(path, body, ours or {}, watcher) as response:
            watcher.opened(response.headers)
            reader = _StreamReader(self.redact, watcher, self.client.most_bytes)
            now, config, soon = asyncio.get_running_loop().time, self.config, True
            until, end = started + config.first_token_seconds, started + config.answer_seconds
            while not reader.at_end:
                begun, problem = reader.begun, None
                try:
                    reader.read(await self._next(response, until, end, reader))
                except EndpointError as error:
                    problem = error  # raised after the events that came before it
                if reader.token:
                    until = now() + config.gap_seconds
                    soon = soon if begun else now() - started < config.first_token_seconds / 4
                if reader.done:
                    until = min(until, now() + CLOSE_SECONDS)
                if reader.begun and reader.events:
                    since = now()
                    yield reader.events
                    until += now() - since  # the client may be slow
                    reader.events = []
                if problem:
                    raise problem
            if not reader.begun:
                raise no_text()
            self.pace.answered(soon)

    async def models(self) -> list[str]:
        """The names in the server's list of models, without the key."""
        names = [entry.get("id") for entry in objects((await self.ask("/models")).get("data"))]
        return [self.redact(replace_surrogates(name)) for name in names if isinstance(name, str)]

    def resting(self) -> EndpointError | None:
        """Why the server is not asked now; None if it may be."""
        if self.breaker.state == "closed":
            return None
        left, reason = self.breaker.seconds_left, f"it rests after {self.breaker.reason}"
        next_step = f"Fix the server. It is asked again in {left:.0f} s."
        return EndpointError(reason, next_step, own_status=503, retry_after=max(left, 1.0), not_sent=True)

    def failed(self, reason: str) -> None:
        """Count a request on which the server failed. If that opens the breaker, a trial follows."""
        self.breaker.failed(reason)
        if self.breaker.state != "closed" and (self._trial is None or self._trial.done()) and not self._retired:
            self._trial = asyncio.create_task(self._try_again())
            self._log(f"{self.name} rests for {self.config.rest_seconds:g} s after {self.breaker.reason}")

    async def retire(self) -> None:
        """Cancel a waiting or running trial, as no new requests will come. Running requests continue."""
        self._retired = True
        if self._trial:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)

    async def close(self) -> None:
        """End all running requests."""
        await self.retire()
        await self.client.close()

    async def _try_again(self) -> None:
        while self.breaker.state != "closed":
            await asyncio.sleep(self.breaker.seconds_left)
            if self.breaker.state == "half-open":
                await self._probe()
        self._log(f"{self.name} answers again")

    async def _probe(self) -> None:
        """Close the breaker if the server answers a tiny request or refuses its content; otherwise open it again."""
        body = {"model": self.model, "messages": PROBE}
        try:
            await self.ask_model(CHAT, body, {LIMIT: 1}, self.config.first_token_seconds)
        except EndpointError as error:
            if not error.refused:
                self.breaker.failed(error.reason)
                return
        self.breaker.answered()

    @asynccontextmanager
    async def _turn(self, patience: float | None) -> AsyncIterator[float]:
        """One of the requests that the server gets at the same time, unless it rests or wants a pause.

        It begins at the time that is yielded, on the loop's clock.
        """
        if resting := self.resting():
            raise resting
        left = self.pace.seconds_left
        if patience is not None and left > patience:
            reason = f"it asked for a pause, of which {left:.0f} s are left"
            raise EndpointError(reason, own_status=429, retry_after=left, not_sent=True)
        try:
            started = await self.pace.enter(patience)
        except TimeoutError:
            reason = f"none of its {self.config.parallel} places became free within {patience:g} s"
            raise EndpointError(reason, own_status=503, retry_after=BUSY_SECONDS, not_sent=True) from None
        try:
            if resting := self.resting():  # because other requests have failed
                raise resting
            yield asyncio.get_running_loop().time()
        except EndpointError as error:
            if error.overload:
                self.pace.overloaded(started)
            if error.temporary and error.retry_after and error.retry_after <= LONGEST_WAIT:
                self.pace.pause(error.retry_after)
            raise
        finally:
            self.pace.leave()

    @asynccontextmanager
    async def _stream(
        self, path: str, body: Mapping[str, Any], ours: Fields, watcher: Watcher
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response with a stream. A server that refuses one of our fields is asked again without it."""
        watcher.sent()
        opened, learned = False, set[str]()
        while True:
            sent = self._with_ours(path, body, ours)
            try:
                async with self.client.open("POST", path, sent, EVENTS, self.config.first_token_seconds) as reply:
                    opened = True
                    yield reply
                    return
            except EndpointError as error:
                if opened or not self._learns(error, sent, body, learned):
                    raise

    def _with_ours(self, path: str, body: Mapping[str, Any], ours: Fields) -> dict[str, Any]:
        """A body with our own fields added: those of the candidate's table in fleet.toml, and those of the request.

        The body's own fields take precedence. Fields of ours that the server has recently refused are omitted or
        renamed; the client's limit of tokens is renamed, too.
        """
        if path == CHAT:
            ours = {**thinking_fields(self.candidate.thinking), **self.config.extra_body, **ours}
        limit = OTHER_LIMIT if LIMIT in self.refusals else LIMIT
        if limit not in body and limit not in self.refusals:
            body = {limit if name == LIMIT else name: value for name, value in body.items()}
        ours = {limit if name == LIMIT else name: value for name, value in ours.items()}
        fields = {**{name: value for name, value in ours.items() if name not in self.refusals}, **body}
        if isinstance(options := body.get("stream_options"), dict):
            del fields["stream_options"]
            if "stream_options" not in self.refusals:
                fields["stream_options"] = {**options, **ours.get("stream_options", {})}
        return fields

    def _learns(self, error: EndpointError, sent: Fields, body: Fields, learned: set[str]) -> bool:
        """Whether the server refused one of our fields, or wants it under its other name; this is remembered.

        Args:
            learned: what it has refused in this request. A concurrent request may have learned it before.
        """
        if error.server_status is None or error.server_status in ACCOUNT or error.subject == "context":
            return False
        for name in sent:
            ours = name == "stream_options" or (name not in body and name not in self.config.extra_body)
            ours = ours or (name == LIMIT and OTHER_LIMIT in error.words)
            if ours and name not in learned and re.search(rf"\b{name}\b", error.words):
                learned.add(name)
                self.refusals.note(name)
                return True
        return False

    async def _next(self, response: aiohttp.ClientResponse, until: float, end: float, reader: _StreamReader) -> bytes:
        """The next bytes of a stream; none at its end."""
        try:
            async with asyncio.timeout_at(min(until, end)):
                await asyncio.sleep(0)  # other tasks and the timeout must run, even if more data is there already
                data: bytes = await response.content.read(MOST_AT_ONCE)
        except (TimeoutError, aiohttp.ClientError, OSError) as problem:
            if reader.complete:
                return b""
            if not isinstance(problem, TimeoutError):
                raise connection_error(problem, self.config.connect_seconds, self.redact) from None
            if end < until:
                raise too_late(self.config.answer_seconds, "end of the answer") from None
            if reader.begun:
                raise too_late(self.config.gap_seconds, "further token") from None
            raise too_late(self.config.first_token_seconds, "first token") from None
        return data


class _StreamReader:
    """The events in the bytes of one stream, without the key.

    Attributes:
        events: events that the reader has not taken yet.
        begun, token: whether the first token has arrived, and whether the last bytes had one.
        done: whether the server has sent the end of the answer.
        at_end: whether the stream has ended.
    """

    def __init__(self, redact: Redaction, watcher: Watcher, most_bytes: int) -> None:
        self._redact, self._watcher, self._most = redact, watcher, most_bytes
        self._splitter, self._size, self._idle = EventSplitter(), 0, 0
        self.events: list[Event] = []
        self.begun = self.token = self.done = self.at_end = False

    @property
    def complete(self) -> bool:
        """Whether nothing of the answer can be missing if the stream ends now."""
        return self.done or self._watcher.complete

    def read(self, data: bytes) -> None:
        """Take the events that some bytes complete; empty bytes mean the end of the stream."""
        self.token = False
        self._size += len(data)
        if self._size > self._most:
            raise EndpointError(f"the answer has more than {self._most:,} bytes")
        if not data:
            self.at_end = True
            last = self._event(self._splitter.end())
            if last.chunk is not None or last.is_done:  # otherwise it is cut off
                self._add(last)
            return
        for raw in self._splitter.feed(data):
            self._add(self._event(raw))
        self._idle = 0 if self.token else self._idle + len(data)
        if self._idle > MOST_IDLE:
            raise EndpointError(f"the server sent more than {MOST_IDLE:,} bytes without a token")

    def _event(self, raw: bytes) -> Event:
        event = Event.of(self._redact.data(raw))
        if event.chunk is not None and b"\\" in raw:  # an escape may hide the key
            event.chunk = self._redact.shape(event.chunk)
        return event

    def _add(self, event: Event) -> None:
        self.done = self.done or event.is_done
        token = self._watcher.look(event)
        self.token, self.begun = self.token or token, self.begun or token
        if event.is_done or not event.is_empty or (self.begun and event.others):
            self.events.append(event)
