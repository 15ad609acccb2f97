"""A candidate behind an OpenAI-compatible server. Requests go on as they came, and bytes come back as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from zooter_core.backends.http.redaction import Redaction
from zooter_core.backends.http.retry import REFUSED, is_temporary, retry_after
from zooter_core.config.candidates import CandidateConfig
from zooter_core.errors import one_line
from zooter_core.serve.breakers import Breaker
from zooter_core.serve.chat_request import ChatRequest
from zooter_core.serve.reasoning import digests
from zooter_core.serve.targets import CHAT, Progress, TargetError
from zooter_core.serve.targets.events import (
    EventTooLongError,
    Splitter,
    begins,
    chunk_of,
    is_plain,
    payload,
    renamed,
    written,
)
from zooter_core.strict_json import dump_json, parse_json

EVENTS, JSON = "text/event-stream", "application/json"
WHOLE_SECONDS = 600.0  # for an answer that is not streamed
MOST_ERROR = 1 << 16  # bytes of a server's error that are read
BEFORE = ("response.created", "response.queued", "response.in_progress")  # events without a part of the answer
FAILED = ("response.failed", "error")
ACCOUNT = (401, 402, 403)  # about our key or account at the server: a client must not take them for its own


class Upstream:
    """A candidate's server.

    Raises:
        ZooterError: the environment lacks the key, or the key cannot be sent in a header.
    """

    def __init__(self, candidate: CandidateConfig, http: aiohttp.ClientSession) -> None:
        assert candidate.endpoint is not None  # config/candidates.py has checked it
        self.name, self.model, self.config, self._http = candidate.name, candidate.model, candidate.endpoint, http
        key = self.config.key(self.name)
        self._redact, self._key = Redaction(key), (key or "").encode()
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._member = b'"model":' + dump_json(self.name).encode()
        self._parallel = asyncio.Semaphore(self.config.parallel)
        self.breaker = Breaker(self.config.rest_after, self.config.rest_seconds)
        self._most = self.config.most_bytes

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        answer = await self.post(CHAT, request.for_candidate(self.model, routed), progress)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            raise TargetError("the answer has no choices")
        return answer

    async def post(self, path: str, body: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """The whole answer of a path of the server. Raises as `complete`."""
        async with self._place(), self._answer(path, body, JSON) as response:
            raw = await self._read(response, self._most, WHOLE_SECONDS)
            try:
                answer = parse_json(self._masked(raw))
            except ValueError:
                raise TargetError("the answer is not JSON") from None
            if not isinstance(answer, dict):
                raise TargetError("the answer is not a JSON object")
            if "error" in answer and answer["error"] and "choices" not in answer:
                raise TargetError(f"the server sent an error{self._message(answer)}")
        progress.id, progress.written = str(answer.get("id") or ""), written(answer)
        self._note(answer, progress)
        return answer | {"model": self.name}

    def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        def look(event: bytes, begun: bool) -> bool:
            return (begun and is_plain(event)) or self._look(event, progress) or begun

        return self._events(CHAT, request.for_candidate(self.model, routed), look, progress)

    def raw_stream(self, path: str, body: Mapping[str, Any], progress: Progress) -> AsyncGenerator[bytes, None]:
        """The events of the Responses API, from the first part of the answer on. Raises as `complete`."""

        def look(event: bytes, begun: bool) -> bool:
            matters = not begun or b'"usage"' in event
            return self._look_at_response(event, progress, begun) if matters else begun

        return self._events(path, body, look, progress)

    async def _events(
        self, path: str, body: Mapping[str, Any], look: Callable[[bytes, bool], bool], progress: Progress
    ) -> AsyncGenerator[bytes, None]:
        """The events of a stream from the answer's beginning on; `look` says after each event whether it has begun."""
        splitter, size, begun = Splitter(), 0, False
        buffer: list[bytes] = []  # events before the beginning
        async with self._place(), self._answer(path, body, EVENTS) as response:
            clock = asyncio.get_running_loop().time
            until = clock() + self.config.first_token_seconds
            data = b"-"
            while data:
                data = await self._next(response, until, begun)
                size += len(data)
                if size > self._most:
                    raise TargetError(f"the answer has more than {self._most:,} bytes")
                problem = None
                for event in _complete_events(splitter, data):
                    try:
                        begun = look(event, begun)
                    except TargetError as error:
                        problem = error
                        break
                    if path != CHAT or not event.startswith(b"data: [DONE]"):
                        buffer.append(renamed(self._masked(event), self._member))
                if begun and buffer:
                    yield b"".join(buffer)
                    buffer.clear()
                    until = clock() + self.config.gap_seconds
                if problem:
                    raise problem
            if not begun:
                raise TargetError("the stream ended without any text", temporary=True)
            if path == CHAT and progress.finish is None:
                raise TargetError("the stream ended in the middle of the answer")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the requests that the server gets at the same time; how it ends counts for the breaker."""
        async with self._parallel:
            with self.breaker.attempt():
                yield

    @asynccontextmanager
    async def _answer(self, path: str, body: Mapping[str, Any], kind: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with status 200 of the right type; its connection is closed if it is not read to the end."""
        url, data = self.config.base_url.rstrip("/") + path, dump_json(body).encode()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.config.connect_seconds)
        headers = self._headers | {"Accept": kind}
        try:
            async with asyncio.timeout(self.config.first_token_seconds if kind == EVENTS else WHOLE_SECONDS):
                response = await self._http.post(
                    url, data=data, headers=headers, timeout=timeout, allow_redirects=False
                )
        except TimeoutError:
            raise self._too_late() from None
        except (aiohttp.ClientError, OSError) as problem:
            raise TargetError(f"no connection ({type(problem).__name__})", temporary=True) from None
        try:
            if response.status != 200:
                raise await self._refusal(response)
            if response.headers.get("content-encoding", "identity") != "identity":
                raise TargetError("the server sent a compressed answer without being asked to")
            if response.content_type != kind:
                raise TargetError(f"the server sent {response.content_type[:60]} instead of {kind}")
            yield response
        except (aiohttp.ClientError, OSError) as problem:
            raise TargetError(f"the connection broke ({type(problem).__name__})", temporary=True) from None
        finally:
            response.close() if not response.content.at_eof() else response.release()

    async def _next(self, response: aiohttp.ClientResponse, until: float, begun: bool) -> bytes:
        """The next bytes of a stream; none at its end."""
        try:
            async with asyncio.timeout_at(until):
                data: bytes = await response.content.readany()
        except TimeoutError:
            raise self._too_late(begun) from None
        return data

    def _look(self, event: bytes, progress: Progress) -> bool:
        """Take what matters from an event. Return whether it has a token, or the end of the answer."""
        data = payload(event)
        if not data or data == b"[DONE]":
            return False
        try:
            chunk = chunk_of(data)
        except ValueError:
            raise TargetError("a line of the stream is not JSON", temporary=True) from None
        if chunk.get("error"):
            raise TargetError(f"the server sent an error{self._message(chunk)}", temporary=True)
        progress.id = progress.id or str(chunk.get("id") or "")
        progress.created = progress.created or (created if type(created := chunk.get("created")) is int else 0)
        self._note(chunk, progress)
        return begins(chunk)

    def _look_at_response(self, event: bytes, progress: Progress, begun: bool) -> bool:
        """Take id and usage from an event of the Responses API. Return whether the answer has begun."""
        data = payload(event)
        if not data:
            return begun
        try:
            chunk = chunk_of(data)
        except ValueError:
            return True  # a client may know what it is
        response, kind = chunk.get("response"), chunk.get("type")
        if isinstance(response, dict):
            progress.id = progress.id or str(response.get("id") or "")
            if isinstance(usage := response.get("usage"), dict):
                progress.usage = usage
        if not begun and (kind in FAILED or chunk.get("error")):
            shape = response if isinstance(response, dict) else {"error": chunk.get("error") or chunk.get("message")}
            raise TargetError(f"the server sent an error{self._message(shape)}", temporary=True)
        return begun or kind not in BEFORE

    def _note(self, chunk: Mapping[str, Any], progress: Progress) -> None:
        if isinstance(usage := chunk.get("usage"), dict):
            progress.usage = usage
        for choice in choices if isinstance(choices := chunk.get("choices"), list) else ():
            if not isinstance(choice, dict):
                continue
            if isinstance(finish := choice.get("finish_reason"), str):
                progress.finish = finish
            if isinstance(message := choice.get("delta") or choice.get("message"), dict):
                progress.encrypted += digests(message)

    async def _refusal(self, response: aiohttp.ClientResponse) -> TargetError:
        """The error behind another status than 200."""
        status = response.status
        try:
            raw = self._masked(await self._read(response, MOST_ERROR, self.config.gap_seconds))
            body = parse_json(raw)
        except (ValueError, TargetError):
            body = None
        body = body if isinstance(body, dict) and isinstance(body.get("error"), dict) else None
        shown = body if status not in ACCOUNT and 400 <= status < 500 else None
        wait = retry_after(response.headers) if is_temporary(status) else None
        reason = f"status {status}{': the server refuses our key' if status in ACCOUNT else self._message(body or {})}"
        return TargetError(
            reason, status if 400 <= status < 500 and status not in ACCOUNT else 502, shown, wait,
            is_temporary(status), status in REFUSED,
        )  # fmt: skip

    async def _read(self, response: aiohttp.ClientResponse, most: int, seconds: float) -> bytes:
        parts, size = [], 0
        try:
            async with asyncio.timeout(seconds):
                while data := await response.content.readany():
                    size += len(data)
                    if size > most:
                        raise TargetError(f"the answer has more than {most:,} bytes")
                    parts.append(data)
        except TimeoutError:
            raise self._too_late() from None
        return b"".join(parts)

    def _masked(self, data: bytes) -> bytes:
        return data.replace(self._key, b"***") if self._key and self._key in data else data

    def _message(self, body: Mapping[str, Any]) -> str:
        """`: the server's message`, on one short line, without the key."""
        error = body.get("error")
        text = error.get("message") if isinstance(error, dict) else error
        if not isinstance(text, str) or not text:
            return ""
        return f": {one_line(self._redact(text))}"

    def _too_late(self, begun: bool = False) -> TargetError:
        seconds = self.config.gap_seconds if begun else self.config.first_token_seconds
        return TargetError(f"no {'further' if begun else 'first'} token for {seconds:g} s", 504)


def _complete_events(splitter: Splitter, data: bytes) -> list[bytes]:
    """The events that some bytes complete. At the end (no bytes) the last one need not have its blank line."""
    try:
        return list(splitter.feed(data)) if data else [event for event in (splitter.end(),) if event]
    except EventTooLongError as problem:
        raise TargetError(str(problem)) from None
