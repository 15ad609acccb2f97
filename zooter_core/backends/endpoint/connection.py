"""The connection to a candidate's OpenAI-compatible server: requests complete answers and streams, in one event loop.

Zooter's endpoint forwards them; the backend `openai` (answer.py) extracts their texts. Closing a stream also ends the
request at the server.
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
LIST_SECONDS = 30.0  # timeout of the list of models; the server may be busy or have to start first
BUSY_SECONDS = 1.0  # Retry-After if there is no place for a request
CLOSE_SECONDS = 0.1  # how long to wait for the end of a stream after its last event
MOST_AT_ONCE = 4 << 10  # bytes of a stream that are read before other tasks run: half a millisecond of work
MOST_IDLE = 1 << 20  # bytes of a stream without a token; more is an error
LIMIT, OTHER_LIMIT = "max_tokens", "max_completion_tokens"  # the second is for servers that refuse the first
USAGE = {"stream_options": {"include_usage": True}}  # requests the token counts
Fields = Mapping[str, Any]
PROBE = [{"role": "user", "content": "Hi"}]


class Watcher:
    """Observes the events of a stream."""

    @property
    def complete(self) -> bool:
        """Whether the answer is complete even if the connection breaks now."""
        return False

    def sent(self) -> None:
        """Called when the request is sent, after it has waited for a place."""

    def opened(self, headers: Mapping[str, str]) -> None:
        """Called when the stream's headers have arrived."""

    @abstractmethod
    def look(self, event: Event) -> bool:
        """Called with each event, in which the key is masked. Return whether it has a token or ends the answer.

        Raises:
            EndpointError: the event is not part of an answer.
        """


def chat_chunk(event: Event, redact: Redaction) -> Mapping[str, Any] | None:
    """The chunk of a chat completion in an event; None if the event has no data.

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
    """The error in a chunk or in a complete chat completion; None if there is none. Without `choices`, a bare message
    is also an error."""
    return sent_in(body) or (body if "choices" not in body and read_message(body) else None)


def thinking_fields(thinking: bool | str | None) -> dict[str, Any]:
    """The fields of a request that turn thinking on or off, under the names of all supported servers."""
    if thinking is None or thinking == "auto":
        return {}
    kwargs = {"enable_thinking": bool(thinking), "thinking": bool(thinking)}  # vLLM, SGLang, llama.cpp
    effort = thinking if isinstance(thinking, str) else None if thinking else "none"
    switch = {"type": "enabled" if thinking else "disabled"}  # DeepSeek, GLM, Kimi
    fields = {"chat_template_kwargs": kwargs, "thinking": switch, "think": thinking}
    return fields | ({"reasoning_effort": effort} if effort else {})  # OpenAI, Ollama, Mistral, gpt-oss


class Connection:
    """A connection to a candidate's server.

    Args:
        begin: the number of concurrent requests at the start; None for as many as fleet.toml allows.
        log: called with a line when the circuit breaker opens and closes.

    Attributes:
        thinks: whether the model thinks before it answers, according to fleet.toml or to an earlier answer.
        opens: whether the prompt contains the opening tag of thoughts, according to an earlier answer; None before one.

    Raises:
        ZooterError: the key is not in the environment, or cannot be sent in a header.
    """

    def __init__(self, candidate: CandidateConfig, begin: int | None = None, log: Tell = silent) -> None:
        assert candidate.endpoint is not None  # config/candidates.py has checked it
        self.name, self.model, self.config = candidate.name, candidate.model, candidate.endpoint
        self.candidate, self.thinks = candidate, candidate.thinking not in (None, False)
        self.opens: bool | None = None
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
        """Record whether prompts open the thoughts, if the parts of an answer show it."""
        if parts.opened or finish_name(finish) in ENDED:
            self.opens = parts.opened

    async def post(
        self, path: str, body: Mapping[str, Any], patience: float | None = None, extra: Fields | None = None
    ) -> dict[str, Any]:
        """The complete answer to a POST request to a path of the server.

        Args:
            patience: seconds to wait for a place among the candidate's requests; None waits forever.
            extra: fields to add to the body (`events`).

        Raises:
            EndpointError: the request fails.
        """
        async with self._turn(patience):
            answer = await self.ask_model(path, body, extra or {}, self.config.answer_seconds)
            self.pace.answered()  # the time to the first token is unknown
            return answer

    async def ask_model(self, path: str, body: Mapping[str, Any], extra: Fields, seconds: float) -> dict[str, Any]:
        """Do the same as `post`, without waiting for a place."""
        refused = set[str]()
        while True:
            sent = self._with_extra(path, body, extra)
            try:
                return await self.ask(path, sent, seconds)
            except EndpointError as error:
                if not self._note_refused_field(error, sent, body, refused):
                    raise

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, seconds: float = LIST_SECONDS) -> Any:
        """The JSON object at a path or URL of the server, without waiting for a place."""
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
        extra: Fields | None = None,
        patience: float | None = None,
    ) -> AsyncGenerator[list[Event], None]:
        """Yield the events of a stream from the first token on, with the key masked, in lists as they arrive.

        Args:
            watcher: sees every event when it arrives.
            extra: fields to add to the body. They are omitted if the server does not know them.

        Raises:
            EndpointError: the request fails, before the first event or in the middle of the answer.
        """
        async with self._turn(patience) as started, self._stream(path, body, extra or {}, watcher) as response:
            watcher.opened(response.headers)
            reader = _StreamReader(self.redact, watcher, self.client.most_bytes)
            now, config, soon = asyncio.get_running_loop().time, self.config, True
            until, end = started + config.first_token_seconds, started + config.answer_seconds
            while not reader.at_end:
                begun, problem = reader.begun, None
                try:
                    reader.read(await self._next(response, until, end, reader))
                except EndpointError as error:
                    problem = error  # raised after the earlier events are yielded
                if reader.token:
                    until = now() + config.gap_seconds
                    soon = soon if begun else now() - started < config.first_token_seconds / 4
                if reader.done:
                    until = min(until, now() + CLOSE_SECONDS)
                if reader.begun and reader.events:
                    since = now()
                    yield reader.events
                    until += now() - since  # the time that a slow client takes does not count
                    reader.events = []
                if problem:
                    raise problem
            if not reader.begun:
                raise no_text()
            self.pace.answered(soon)

    async def models(self) -> list[str]:
        """The names in the server's list of models, with the key masked."""
        names = [entry.get("id") for entry in objects((await self.ask("/models")).get("data"))]
        return [self.redact(replace_surrogates(name)) for name in names if isinstance(name, str)]

    def resting(self) -> EndpointError | None:
        """The error for requests while the circuit breaker is open; None if it is closed."""
        if self.breaker.state == "closed":
            return None
        left, reason = self.breaker.seconds_left, f"its circuit breaker is open after {self.breaker.reason}"
        next_step = f"Fix the server. The next attempt is in {left:.0f} s."
        return EndpointError(reason, next_step, own_status=503, retry_after=max(left, 1.0), not_sent=True)

    def failed(self, reason: str) -> None:
        """Count a failure of the server. If the breaker opens, start trial requests."""
        self.breaker.failed(reason)
        if self.breaker.state != "closed" and (self._trial is None or self._trial.done()) and not self._retired:
            self._trial = asyncio.create_task(self._try_again())
            seconds = f"{self.config.rest_seconds:g} s"
            self._log(f"{self.name} gets no requests for {seconds}, after {self.breaker.reason}")

    async def retire(self) -> None:
        """Cancel trial requests, since there will be no new requests. Running requests continue."""
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
        """Send a tiny request. Close the breaker if the server answers or refuses the content; otherwise reopen it."""
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
        """Hold a place among the server's concurrent requests. Yield the time at which the request begins, on the
        loop's clock.

        Raises:
            EndpointError: the circuit breaker is open, the server asked for a pause, or no place is free in time.
        """
        if resting := self.resting():
            raise resting
        left = self.pace.seconds_left
        if patience is not None and left > patience:
            reason = f"it asked for a pause, which ends in {left:.0f} s"
            raise EndpointError(reason, own_status=429, retry_after=left, not_sent=True)
        try:
            started = await self.pace.enter(patience)
        except TimeoutError:
            reason = f"no place became free within {patience:g} s (parallel = {self.config.parallel})"
            raise EndpointError(reason, own_status=503, retry_after=BUSY_SECONDS, not_sent=True) from None
        try:
            if resting := self.resting():  # other requests may have failed meanwhile
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
        self, path: str, body: Mapping[str, Any], extra: Fields, watcher: Watcher
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the response with a stream. If the server refuses an extra field, send the request again without it."""
        watcher.sent()
        opened, refused = False, set[str]()
        while True:
            sent = self._with_extra(path, body, extra)
            try:
                async with self.client.open("POST", path, sent, EVENTS, self.config.first_token_seconds) as reply:
                    opened = True
                    yield reply
                    return
            except EndpointError as error:
                if opened or not self._note_refused_field(error, sent, body, refused):
                    raise

    def _with_extra(self, path: str, body: Mapping[str, Any], extra: Fields) -> dict[str, Any]:
        """The body with extra fields: those of the candidate's table in fleet.toml, and those of the caller.

        The body's own fields take precedence. Extra fields that the server has recently refused are omitted or renamed;
        the body's token limit is renamed, too.
        """
        if path == CHAT:
            extra = {**thinking_fields(self.candidate.thinking), **self.config.extra_body, **extra}
        limit = OTHER_LIMIT if LIMIT in self.refusals else LIMIT
        if limit not in body and limit not in self.refusals:
            body = {limit if name == LIMIT else name: value for name, value in body.items()}
        extra = {limit if name == LIMIT else name: value for name, value in extra.items()}
        fields = {**{name: value for name, value in extra.items() if name not in self.refusals}, **body}
        if isinstance(options := body.get("stream_options"), dict):
            del fields["stream_options"]
            if "stream_options" not in self.refusals:
                fields["stream_options"] = {**options, **extra.get("stream_options", {})}
        return fields

    def _note_refused_field(self, error: EndpointError, sent: Fields, body: Fields, refused: set[str]) -> bool:
        """Remember that the server refused an extra field, or expects its other name. Return whether it did.

        Args:
            refused: fields that the server has refused in this request. A concurrent request may have noted them too.
        """
        if error.server_status is None or error.server_status in ACCOUNT or error.subject == "context":
            return False
        for name in sent:
            is_extra = name == "stream_options" or (name not in body and name not in self.config.extra_body)
            is_extra = is_extra or (name == LIMIT and OTHER_LIMIT in error.words)
            if is_extra and name not in refused and re.search(rf"\b{name}\b", error.words):
                refused.add(name)
                self.refusals.note(name)
                return True
        return False

    async def _next(self, response: aiohttp.ClientResponse, until: float, end: float, reader: _StreamReader) -> bytes:
        """The next bytes of a stream; empty at its end."""
        try:
            async with asyncio.timeout_at(min(until, end)):
                await asyncio.sleep(0)  # lets other tasks and the timeout run even if more data has arrived
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
    """Parses the events in the bytes of one stream, and masks the key.

    Attributes:
        events: events that have not been yielded yet.
        begun, token: whether the first token has arrived, and whether the last bytes contained a token.
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
        """Whether the answer is complete even if the stream ends now."""
        return self.done or self._watcher.complete

    def read(self, data: bytes) -> None:
        """Add the events that these bytes complete. Empty bytes mean the end of the stream."""
        self.token = False
        self._size += len(data)
        if self._size > self._most:
            raise EndpointError(f"the answer has more than {self._most:,} bytes")
        if not data:
            self.at_end = True
            last = self._event(self._splitter.end())
            if last.chunk is not None or last.is_done:  # otherwise the event is incomplete
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
