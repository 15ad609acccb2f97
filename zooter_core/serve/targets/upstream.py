"""A candidate behind an OpenAI-compatible server. Requests go on as they came, and bytes come back as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from zooter_core.backends.endpoint.connection import CHAT, Connection, Watcher, chat_chunk
from zooter_core.backends.endpoint.events import DONE, begins, chunk_of, payload
from zooter_core.backends.endpoint.faults import EndpointError, sent_error
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.base.strict_json import dump_json
from zooter_core.config.candidates import CandidateConfig
from zooter_core.serve.chat_request import ChatRequest
from zooter_core.serve.sessions import digests
from zooter_core.serve.targets import Progress, is_plain, is_usage, renamed, written

BEFORE = ("response.created", "response.queued", "response.in_progress")  # events without a part of the answer
FAILED = ("response.failed", "error")


class Upstream:
    """A candidate's server. Raises as `Connection`."""

    def __init__(self, candidate: CandidateConfig) -> None:
        self.name, self.model = candidate.name, candidate.model
        self.connection = Connection(candidate)
        self._member = b'"model":' + dump_json(self.name).encode()

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        answer = await self.post(CHAT, request.for_candidate(self.model, routed), progress)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            raise EndpointError("the answer has no choices")
        return answer

    async def post(self, path: str, body: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """The whole answer of a path of the server. Raises as `complete`."""
        answer = await self.connection.post(path, body, progress.patience)
        progress.id, progress.written = str(answer.get("id") or ""), written(answer)
        _note(answer, progress)
        return answer | {"model": self.name}

    async def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        body = request.for_candidate(self.model, routed)
        usage = not (body.get("stream_options") or {}).get("include_usage")  # only noted: the client has not asked
        chat = ChatWatcher(progress, self.connection.redact)
        async with aclosing(self.connection.events(CHAT, body, chat, usage, progress.patience)) as parts:
            async for events in parts:
                passed = [event for event in events if not event.startswith(DONE) and not (usage and is_usage(event))]
                if passed:
                    yield b"".join([renamed(event, self._member) for event in passed])
        if progress.finish is None:
            raise EndpointError("the stream ended in the middle of the answer")

    async def raw_stream(self, path: str, body: Mapping[str, Any], progress: Progress) -> AsyncGenerator[bytes, None]:
        """The events of the Responses API, from the first part of the answer on. Raises as `complete`."""
        watcher = ResponsesWatcher(progress, self.connection.redact)
        async with aclosing(self.connection.events(path, body, watcher, patience=progress.patience)) as parts:
            async for events in parts:
                yield b"".join([renamed(event, self._member) for event in events])


class ChatWatcher(Watcher):
    """Takes what matters from the events of chat completions."""

    def __init__(self, progress: Progress, redact: Redaction) -> None:
        self._progress, self._redact, self._begun = progress, redact, False

    def look(self, event: bytes) -> bool:
        if self._begun and is_plain(event):
            return True
        if (chunk := chat_chunk(event, self._redact)) is None:
            return False
        progress = self._progress
        progress.id = progress.id or str(chunk.get("id") or "")
        progress.created = progress.created or (created if type(created := chunk.get("created")) is int else 0)
        _note(chunk, progress)
        token = begins(chunk)
        self._begun = self._begun or token
        return token


class ResponsesWatcher(Watcher):
    """Takes id and usage from the events of the Responses API."""

    def __init__(self, progress: Progress, redact: Redaction) -> None:
        self._progress, self._redact, self._begun = progress, redact, False

    def look(self, event: bytes) -> bool:
        if not self._begun or b'"usage"' in event:
            self._begun = self._look(event) or self._begun
        return self._begun

    def _look(self, event: bytes) -> bool:
        data = payload(event)
        if not data:
            return False
        try:
            chunk = chunk_of(data)
        except ValueError:
            return True  # a client may know what it is
        response, kind = chunk.get("response"), chunk.get("type")
        if isinstance(response, dict):
            self._progress.id = self._progress.id or str(response.get("id") or "")
            if isinstance(usage := response.get("usage"), dict):
                self._progress.usage = usage
        if not self._begun and (kind in FAILED or chunk.get("error")):
            shape = response if isinstance(response, dict) else {"error": chunk.get("error") or chunk.get("message")}
            raise sent_error(shape, self._redact)
        return kind not in BEFORE


def _note(chunk: Mapping[str, Any], progress: Progress) -> None:
    if isinstance(usage := chunk.get("usage"), dict):
        progress.usage = usage
    for choice in choices if isinstance(choices := chunk.get("choices"), list) else ():
        if not isinstance(choice, dict):
            continue
        if isinstance(finish := choice.get("finish_reason"), str):
            progress.finish = finish
        if isinstance(message := choice.get("delta") or choice.get("message"), dict):
            progress.encrypted += digests(message)
