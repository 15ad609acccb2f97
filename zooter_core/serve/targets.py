"""Who answers: a candidate behind a server (`Upstream`), or one on this machine (`Local`).

Both speak the API's own shapes, so that what a server sends can be passed on as it is: its events get the candidate's
name, and are parsed only where something in them is noted. A candidate on this machine runs in a thread, and its text
becomes chunks of the API.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.endpoint.connection import CHAT, Connection, Watcher, chat_chunk
from zooter_core.backends.endpoint.events import begins, chunk_of, is_done, payload
from zooter_core.backends.endpoint.faults import EndpointError, sent_error
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.base.strict_json import dump_json, objects
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.serve.chat_request import ChatRequest, text_of
from zooter_core.serve.errors import bad_request
from zooter_core.serve.sessions import digests

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

STREAM_END = b"data: [DONE]\n\n"
BEFORE = ("response.created", "response.queued", "response.in_progress")  # events without a part of the answer
FAILED = ("response.failed", "error")
FINISH = {"stop": "stop", "length": "length", "stopped": "stop", "repeated": "length"}
SETTINGS = {  # by the field of a request, the later one of two counts: the fleet's name, and what it must be
    "max_tokens": ("max_new_tokens", "a whole number above 0"),
    "max_completion_tokens": ("max_new_tokens", "a whole number above 0"),
    "temperature": ("temperature", "a number of at least 0"),
    "seed": ("seed", "a whole number"),
}
ROLES = {"developer": "system", "system": "system", "assistant": "assistant"}
# A key, since a quote inside a string is escaped. The first one of an event is its own; those of nested objects follow.
MODEL = re.compile(rb'(?<!\\)"model"\s*:\s*(?:"(?:[^"\\]|\\.)*"|null)')
OPEN = re.compile(rb'"finish_reason"\s*:\s*null')
NOTED = re.compile(
    rb'"(?:finish_reason|usage|error|reasoning_details|thinking_blocks|encrypted_content)"\s*:(?!\s*null)'
)


@dataclass
class Progress:
    """What is known of an answer while it passes through.

    Attributes:
        id, created: the server's, for chunks that are added.
        usage: the server's count of tokens, if it sends one.
        written: bytes of text in a whole answer, by which tokens are estimated if it does not.
        finish: the reason, as the server names it; None if the answer has not ended.
        ended: which of several answers have ended.
        encrypted: hashes of encrypted reasoning in it.
        patience: seconds to wait for a place among the candidate's requests.
    """

    id: str = ""
    created: int = 0
    usage: Mapping[str, Any] | None = None
    written: int = 0
    finish: str | None = None
    ended: set[str] = field(default_factory=set)
    encrypted: list[str] = field(default_factory=list)
    patience: float = 60.0


def renamed(event: bytes, model: bytes) -> bytes:
    """An event whose `model` is another; it is added where there is none.

    Args:
        model: the member, as in `"model":"math"`.
    """
    changed, count = MODEL.subn(lambda _: model, event, 1)
    if count or b'"choices"' not in event:
        return changed
    return event.replace(b"{", b"{" + model + b",", 1)


def is_plain(event: bytes) -> bool:
    """Whether an event is one of the many in the middle of an answer, with text and nothing else that is noted.

    It is not parsed: a quote inside a string is escaped, so what looks like a key is one.
    """
    return OPEN.search(event) is not None and NOTED.search(event) is None


def is_usage(event: bytes) -> bool:
    """Whether an event is the count of tokens that `include_usage` adds, without any part of the answer."""
    if b'"usage"' not in event:
        return False
    chunk = chunk_of(payload(event))
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)


def written(answer: Mapping[str, Any]) -> int:
    """Bytes of text in a whole answer of chat completions or the Responses API."""
    choices = [choice.get("message") for choice in objects(answer.get("choices"))]
    size = 0
    for message in (*objects(choices), *objects(answer.get("output"))):
        texts = [message.get(name) for name in ("content", "reasoning_content", "reasoning", "refusal", "arguments")]
        texts += [part.get("text") for part in objects(message.get("content"))]
        functions = [call.get("function") for call in objects(message.get("tool_calls"))]
        texts += [function.get("arguments") for function in objects(functions)]
        size += sum(len(text.encode("utf-8", "replace")) for text in texts if isinstance(text, str))
    return size


def text_in(shape: Mapping[str, Any]) -> str:
    """The text in an answer, or in one of its events, of chat completions or the Responses API."""
    if shape.get("type") == "response.output_text.delta":
        return shape["delta"] if isinstance(shape.get("delta"), str) else ""
    if choices := objects(shape.get("choices")):
        message = choices[0].get("message") or choices[0].get("delta")
        content = message.get("content") if isinstance(message, dict) else None
        return content if isinstance(content, str) else ""
    parts = [part for item in objects(shape.get("output")) for part in objects(item.get("content"))]
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def event_of(shape: Mapping[str, Any]) -> bytes:
    """An event with JSON."""
    return b"data: " + dump_json(shape).encode() + b"\n\n"


def chunk_shape(id: str, created: int, model: str, **more: Any) -> dict[str, Any]:
    """A chunk in the API's shape."""
    return {"id": id, "object": "chat.completion.chunk", "created": created, "model": model, **more}


def usage_shape(prompt: int, answer: int) -> dict[str, int]:
    """A count of tokens in the API's shape."""
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def usage_event(progress: Progress, model: str, usage: Mapping[str, Any] | None) -> bytes:
    """The event that `include_usage` adds."""
    return event_of(chunk_shape(progress.id, progress.created, model, choices=[], usage=usage))


class Upstream:
    """A candidate's server. All of its methods raise an EndpointError where there is no answer, or none to the end."""

    def __init__(self, candidate: CandidateConfig) -> None:
        self.name, self.model = candidate.name, candidate.model
        self.connection = Connection(candidate)
        self._member = b'"model":' + dump_json(self.name).encode()

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        """The whole answer, whose `model` is the candidate's name."""
        answer = await self.post(CHAT, request.for_candidate(self.model, routed), progress)
        choices = answer.get("choices")
        if not isinstance(choices, list) or not choices:
            raise EndpointError("the answer has no choices")
        return answer

    async def post(self, path: str, body: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """The same for a path of the server."""
        answer = await self.connection.post(path, body, progress.patience)
        progress.id, progress.written = str(answer.get("id") or ""), written(answer)
        _note(answer, progress)
        return answer | {"model": self.name}

    async def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        """The answer as events, one or more whole ones at a time, from its first token on, without the final [DONE].

        In every chunk `model` is the candidate's name.
        """
        body, sent = request.for_candidate(self.model, routed), 0
        choices = body["n"] if type(body.get("n")) is int else 1
        chat = ChatWatcher(progress, self.connection.redact, choices)
        async with aclosing(self.connection.events(CHAT, body, chat, True, progress.patience)) as parts:
            async for events in parts:
                passed = [e for e in events if not is_done(e) and (request.wants_usage or not is_usage(e))]
                sent += len(passed)
                if passed:
                    yield b"".join([renamed(event, self._member) for event in passed])
        if progress.finish is None:
            raise EndpointError("the stream ended in the middle of the answer")
        if request.wants_usage and progress.usage is None:
            yield usage_event(progress, self.name, usage_shape(request.prompt_tokens, sent))

    async def raw_stream(self, path: str, body: Mapping[str, Any], progress: Progress) -> AsyncGenerator[bytes, None]:
        """The events of the Responses API, from the first part of the answer on."""
        watcher = ResponsesWatcher(progress, self.connection.redact)
        async with aclosing(self.connection.events(path, body, watcher, patience=progress.patience)) as parts:
            async for events in parts:
                yield b"".join([renamed(event, self._member) for event in events])


class ChatWatcher(Watcher):
    """Takes what matters from the events of chat completions.

    Args:
        choices: how many answers were asked for.
    """

    def __init__(self, progress: Progress, redact: Redaction, choices: int = 1) -> None:
        self._progress, self._redact, self._choices, self._begun = progress, redact, choices, False

    @property
    def complete(self) -> bool:
        return len(self._progress.ended) >= self._choices

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
    """Takes id, usage and encrypted reasoning from the events of the Responses API."""

    def __init__(self, progress: Progress, redact: Redaction) -> None:
        self._progress, self._redact, self._begun = progress, redact, False

    def look(self, event: bytes) -> bool:
        if not self._begun or b'"usage"' in event or b'"encrypted_content"' in event:
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
            _note(response, self._progress)
        if isinstance(item := chunk.get("item"), dict):
            self._progress.encrypted += digests(item)
        if not self._begun and (kind in FAILED or chunk.get("error")):
            shape = response if isinstance(response, dict) else {"error": chunk.get("error") or chunk.get("message")}
            raise sent_error(shape, self._redact)
        return kind not in BEFORE


def _note(chunk: Mapping[str, Any], progress: Progress) -> None:
    if isinstance(usage := chunk.get("usage"), dict):
        progress.usage = usage
    for choice in objects(chunk.get("choices")):
        if isinstance(finish := choice.get("finish_reason"), str):
            progress.finish = finish
            progress.ended.add(str(choice.get("index")))
        if isinstance(message := choice.get("delta") or choice.get("message"), dict):
            progress.encrypted += digests(message)
    for item in objects(chunk.get("output")):
        progress.encrypted += digests(item)


class Local:
    """A candidate that an ensemble runs. Answers as `Upstream`."""

    def __init__(self, candidate: CandidateConfig, ensemble: Ensemble) -> None:
        self.name, self.candidate, self._ensemble = candidate.name, candidate, ensemble

    async def complete(self, request: ChatRequest, routed: bool, progress: Progress) -> dict[str, Any]:
        text = "".join([piece.text async for piece in self._pieces(request, progress)])
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": progress.finish}
        shape = {"id": progress.id, "object": "chat.completion", "created": progress.created, "model": self.name}
        return shape | {"choices": [choice], "usage": progress.usage}

    async def stream(self, request: ChatRequest, routed: bool, progress: Progress) -> AsyncGenerator[bytes, None]:
        role = {"role": "assistant"}
        async for piece in self._pieces(request, progress):
            if piece.text:
                yield self._chunk(progress, role | {"content": piece.text})
                role = {}
        yield self._chunk(progress, role, progress.finish)
        if request.wants_usage:
            yield usage_event(progress, self.name, progress.usage)

    async def _pieces(self, request: ChatRequest, progress: Progress) -> AsyncGenerator[Piece, None]:
        """The pieces of the answer. Generation stops when the reader goes away."""
        progress.id, progress.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        messages = messages_of(request)
        settings = generation_of(request.body, self._ensemble.fleet.generation)
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | BaseException | None]()
        stop = threading.Event()

        def put(item: Piece | BaseException | None) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, item)

        def run() -> None:
            try:
                for piece in self._ensemble.run_requests([Request(self.candidate, messages)], stop, settings):
                    put(piece)
            except Exception as problem:  # only after a bug of a backend
                put(problem)
            put(None)

        threading.Thread(target=run, name="answer", daemon=True).start()
        try:
            while (item := await pieces.get()) is not None:
                if isinstance(item, BaseException):
                    raise EndpointError(type(item).__name__, own_status=500)
                if item.response is not None:
                    self._end(item.response, request, progress)
                yield item
        finally:
            stop.set()

    def _end(self, response: Response, request: ChatRequest, progress: Progress) -> None:
        if response.error is not None:
            refused = response.finish == "refused"
            raise EndpointError(response.error.reason, own_status=500, subject="request" if refused else None)
        progress.finish = FINISH.get(response.finish, "stop")
        progress.usage = usage_shape(request.prompt_tokens, response.tokens)

    def _chunk(self, progress: Progress, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event_of(chunk_shape(progress.id, progress.created, self.name, choices=[choice]))


def messages_of(request: ChatRequest) -> tuple[Message, ...]:
    """The messages of a request whose parts are all text (capabilities.unsupported)."""
    return tuple(
        Message(ROLES.get(message["role"], "user"), text_of(message.get("content")))  # type: ignore[arg-type]
        for message in request.messages
    )


def generation_of(body: Mapping[str, Any], default: GenerationConfig) -> GenerationConfig:
    """The fleet's generation settings with those that a request has.

    Raises:
        ApiError: a setting has the wrong type or range.
    """
    settings = default
    for name, (setting, expected) in SETTINGS.items():
        if (value := body.get(name)) is not None:
            try:
                settings = replace(settings, **{setting: value})
            except ZooterError:
                raise bad_request(f"`{name}` must be {expected}.", name) from None
    return settings
