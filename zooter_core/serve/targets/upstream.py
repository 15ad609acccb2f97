"""A candidate behind an OpenAI-compatible server. Requests go on as they came, and bytes come back as they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from zooter_core.backends.http.breaker import Breaker
from zooter_core.backends.http.pace import Places
from zooter_core.backends.http.redaction import Redaction
from zooter_core.backends.http.refusals import UNAVAILABLE, Refusals, limit_of, message_of, subject_of
from zooter_core.backends.http.retry import is_temporary, retry_after
from zooter_core.config.candidates import CandidateConfig
from zooter_core.errors import one_line
from zooter_core.serve.chat_request import ChatRequest
from zooter_core.serve.reasoning import digests
from zooter_core.serve.targets import CHAT, Progress, TargetError
from zooter_core.serve.targets.events import (
    EventTooLongError,
    Splitter,
    begins,
    chunk_of,
    is_plain,
    is_usage,
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
BUSY_SECONDS = 1.0  # after which a client may ask again for a place
NOT_FOUND = 404  # no such API or model, which says nothing about the others
INCLUDE_USAGE = {"include_usage": True}
PROBE = [{"role": "user", "content": "Hi"}]


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
        self._places = Places(lambda: self.config.parallel)
        self.breaker = Breaker(self.config.rest_after, self.config.rest_seconds)
        self.refusals = Refusals()
        self._most = self.config.most_bytes
        self._trial: asyncio.Task[None] | None = None

    def failed(self, reason: str) -> None:
        """Count a request that the server failed. If that opens the breaker, a tiny request tries it after the rest."""
        self.breaker.failed(reason)
        if self.breaker.state != "closed" and (self._trial is None or self._trial.done()):
            self._trial = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        while self.breaker.state != "closed":
            await asyncio.sleep(self.breaker.seconds_left)
            await self.breaker.try_again(self._probe)

    async def _probe(self) -> str | None:
        """Why a tiny request fails; None if the server answers it, or refuses what is in it."""
        try:
            body = {"model": self.model, "messages": PROBE, self.config.token_limit: 1}
            async with asyncio.timeout(self.config.first_token_seconds):
                await self._send(CHAT, body, Progress())
        except TimeoutError:
            return self._too_late().reason
        except TargetError as error:
            return error.reason if error.counts else None
        return None

    async def close(self) -> None:
        """End the trial, if one waits or runs."""
        if self._trial:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        answer = await self.post(CHAT, request.for_candidate(self.model, routed), progress)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            raise TargetError("the answer has no choices")
        return answer

    async def post(self, path: str, body: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """The whole answer of a path of the server. Raises as `complete`."""
        async with self._place(progress.patience):
            return await self._send(path, body, progress)

    async def _send(self, path: str, body: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        async with self._answer(path, body, JSON) as response:
            raw = await self._read(response, self._most, WHOLE_SECONDS)
            try:
                answer = parse_json(self._masked(raw))
            except ValueError:
                raise TargetError("the answer is not JSON") from None
            if not isinstance(answer, dict):
                raise TargetError("the answer is not a JSON object")
            if "error" in answer and answer["error"] and "choices" not in answer:
                raise self._sent_error(answer, temporary=False)
        progress.id, progress.written = str(answer.get("id") or ""), written(answer)
        self._note(answer, progress)
        return answer | {"model": self.name}

    def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        def look(event: bytes, begun: bool) -> bool:
            return (begun and is_plain(event)) or self._look(event, progress) or begun

        body = request.for_candidate(self.model, routed)
        options = body.get("stream_options") or {}
        return self._events(CHAT, body, look, progress, usage=not options.get("include_usage"))

    def raw_stream(self, path: str, body: Mapping[str, Any], progress: Progress) -> AsyncGenerator[bytes, None]:
        """The events of the Responses API, from the first part of the answer on. Raises as `complete`."""

        def look(event: bytes, begun: bool) -> bool:
            matters = not begun or b'"usage"' in event
            return self._look_at_response(event, progress, begun) if matters else begun

        return self._events(path, body, look, progress)

    async def _events(
        self,
        path: str,
        body: Mapping[str, Any],
        look: Callable[[bytes, bool], bool],
        progress: Progress,
        usage: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """The events of a stream from the answer's beginning on; `look` says after each event whether it has begun.

        Args:
            usage: asks for the count of tokens, which is only noted: the client has not asked for it.
        """
        splitter, size, begun = Splitter(), 0, False
        buffer: list[bytes] = []  # events before the beginning
        async with self._place(progress.patience), self._answer(path, body, EVENTS, usage) as response:
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
                    dropped = event.startswith(b"data: [DONE]") or (usage and is_usage(event))
                    if path != CHAT or not dropped:
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
    async def _place(self, patience: float) -> AsyncIterator[None]:
        """One of the requests that the server gets at the same time; waits so many seconds for it."""
        try:
            async with asyncio.timeout(patience):
                await self._places.enter()
        except TimeoutError:
            reason = f"none of its {self.config.parallel} places became free within {patience:g} s"
            raise TargetError(reason, 503, retry_after=BUSY_SECONDS, counts=False) from None
        try:
            yield
        finally:
            self._places.leave()

    @asynccontextmanager
    async def _answer(
        self, path: str, body: Mapping[str, Any], kind: str, usage: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with status 200 of the right type; its connection is closed if it is not read to the end.

        Args:
            usage: asks for the count of tokens too, if the server knows how.
        """
        usage = usage and "stream_options" not in self.refusals
        response = await self._post(
            path,
            {**body, "stream_options": {**(body.get("stream_options") or {}), **INCLUDE_USAGE}} if usage else body,
            kind,
        )
        try:
            if response.status != 200:
                error = await self._refusal(response)
                if not usage or error.subject != "stream_options":
                    raise error
                self.refusals.note("stream_options")
                response.close()
                response = await self._post(path, body, kind)
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

    async def _post(self, path: str, body: Mapping[str, Any], kind: str) -> aiohttp.ClientResponse:
        """The beginning of a response, whatever its status."""
        url, data = self.config.base_url.rstrip("/") + path, dump_json(body).encode()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.config.connect_seconds)
        headers = self._headers | {"Accept": kind}
        try:
            async with asyncio.timeout(self.config.first_token_seconds if kind == EVENTS else WHOLE_SECONDS):
                return await self._http.post(url, data=data, headers=headers, timeout=timeout, allow_redirects=False)
        except TimeoutError:
            raise self._too_late() from None
        except (aiohttp.ClientError, OSError) as problem:
            raise TargetError(f"no connection ({type(problem).__name__})", temporary=True) from None

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
            raise self._sent_error(chunk)
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
            raise self._sent_error(shape)
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
        message = message_of(body)
        subject = subject_of(status, message)
        temporary = is_temporary(status) and subject is None
        reason = f"status {status}{': the server refuses our key' if status in ACCOUNT else self._quoted(message)}"
        error = TargetError(reason, temporary=temporary, subject=subject, server_status=status)
        error.counts = subject is None and status != NOT_FOUND
        if 400 <= status < 500 and status not in ACCOUNT:
            error.status = status
            error.body = body if isinstance(body, dict) and isinstance(body.get("error"), dict) else None
        elif subject is not None:
            error.status = 400  # whoever sends the request again will fail again
        elif status >= 500 and status not in UNAVAILABLE:
            error.same_as = f"status {status}"
        if subject == "context":
            error.context_tokens = limit_of(message)
        if temporary:
            error.retry_after = retry_after(response.headers)
        return error

    def _sent_error(self, body: Mapping[str, Any], temporary: bool = True) -> TargetError:
        """The error in the body of an answer with status 200."""
        message = message_of(body)
        reason, subject = f"the server sent an error{self._quoted(message)}", subject_of(500, message)
        status = 502 if subject is None else 400
        return TargetError(reason, status, None, None, temporary and subject is None, subject, counts=subject is None)

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

    def _quoted(self, message: str) -> str:
        """`: the server's message`, on one short line, without the key."""
        return f": {one_line(self._redact(message))}" if message else ""

    def _too_late(self, begun: bool = False) -> TargetError:
        seconds = self.config.gap_seconds if begun else self.config.first_token_seconds
        return TargetError(f"no {'further' if begun else 'first'} token for {seconds:g} s", 504)


def _complete_events(splitter: Splitter, data: bytes) -> list[bytes]:
    """The events that some bytes complete. At the end (no bytes) the last one need not have its blank line."""
    try:
        return list(splitter.feed(data)) if data else [event for event in (splitter.end(),) if event]
    except EventTooLongError as problem:
        raise TargetError(str(problem)) from None
