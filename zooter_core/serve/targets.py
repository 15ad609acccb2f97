"""The candidates as the endpoint asks them: on a server (`Upstream`) or on this machine (`Local`).

Both return the API's own shapes, so that a server's events can be passed on: they are parsed, get the candidate's name,
and keep all other fields. A local candidate runs in a thread, and its text becomes chunks of the API.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.conversation import FITTING, alternating
from zooter_core.backends.endpoint.answer import content_text, extract_thoughts
from zooter_core.backends.endpoint.connection import (
    CHAT,
    USAGE,
    Connection,
    Watcher,
    chat_chunk,
    chat_error,
    thinking_fields,
)
from zooter_core.backends.endpoint.events import Event, begins, finish_word
from zooter_core.backends.endpoint.faults import (
    CUT_OFF,
    EndpointError,
    finish_error,
    finish_name,
    sent_error,
    sent_in,
)
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.backends.thoughts import Parts, split
from zooter_core.base.errors import Failure
from zooter_core.base.records import Finish, Message
from zooter_core.base.strict_json import dump_json, is_number, objects
from zooter_core.config.candidates import CandidateConfig, Thinking
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.serve.bodies import ChatRequest, LocalBody, check, estimate_tokens, read_text
from zooter_core.serve.errors import TOO_LONG
from zooter_core.serve.sessions import digests, marks

STREAM_END = b"data: [DONE]\n\n"
MOST_KEPT = 200_000  # characters of an answer, including its thoughts; the stored text is shorter
BEFORE = ("response.created", "response.queued", "response.in_progress")  # events before the first part of the answer
FAILED = ("response.failed", "error")
Shape = dict[str, Any]  # a whole answer
Events = AsyncGenerator[list[Event], None]
FINISH = {"stop": "stop", "length": "length", "stopped": "stop", "repeated": "length"}
# Fields that thinking models refuse, with their valid ranges: a client whose request is routed cannot know the model.
SPARED = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}
LOCAL_ROLES = {"developer": "system", "system": "system", "assistant": "assistant"}


@dataclass
class AnswerProgress:
    """What is known about an answer while it is passed on.

    Attributes:
        id, created: the server's, for chunks that the endpoint adds.
        usage: the server's token counts, if it sends them.
        tokens: an estimate in case the server does not count; in a stream, the events so far (most have one token).
        thoughts: the same estimate for thoughts in fields of their own.
        finish: the finish reason, as the server names it; None if the answer has not ended.
        stop_text: the stop sequence that ended a local candidate's answer, if any.
        written: hashes of the answer's encrypted reasoning, and ids of a response's items.
        calls: whether a response of the Responses API has anything but text and reasoning, e.g. tool calls.
        texts: pieces of the answer's text up to MOST_KEPT characters (`parts`).
        opened: whether the prompt opens the thoughts, as earlier answers have shown.
        unsure: whether the text may begin with thoughts: the model thinks, and no answer has shown `opened` yet.
        room: the characters that can still be kept.
        patience: seconds to wait for a place among the candidate's requests.
    """

    id: str = ""
    created: int = 0
    usage: Mapping[str, Any] | None = None
    tokens: int = 0
    thoughts: int = 0
    finish: str | None = None
    stop_text: str = ""
    written: list[str] = field(default_factory=list)
    calls: bool = False
    texts: list[str] = field(default_factory=list)
    opened: bool = False
    unsure: bool = False
    room: int = MOST_KEPT
    patience: float = 60.0

    @property
    def complete(self) -> bool:
        """Whether the answer was not cut off, as far as is known."""
        return finish_name(self.finish) not in CUT_OFF

    @property
    def parts(self) -> Parts:
        """The answer's text, and the thoughts that it has between tags."""
        return split("".join(self.texts), self.opened, self.complete)

    def add_text(self, text: str) -> None:
        """Add a piece of the answer's text, up to the limit."""
        if text and self.room > 0:
            self.texts.append(text[: self.room])
            self.room -= len(text)


def count_tokens(answer: Mapping[str, Any]) -> tuple[int, int]:
    """Estimates of the tokens of a whole answer, and of its thoughts in fields of their own."""
    choices = objects(answer.get("choices"))
    texts, thoughts = [] if choices else [text_in(answer)], list[str]()
    for message in objects([choice.get("message") for choice in choices]):
        thoughts.append(extract_thoughts(message))
        texts += [content_text(message.get("content")), *map(dump_json, objects(message.get("tool_calls")))]
    return estimate_tokens("".join(thoughts + texts)), estimate_tokens("".join(thoughts))


def text_in(shape: Mapping[str, Any]) -> str:
    """The text in an answer or an event of chat completions or of the Responses API."""
    if shape.get("type") == "response.output_text.delta":
        return shape["delta"] if isinstance(shape.get("delta"), str) else ""
    if choices := objects(shape.get("choices")):
        message = choices[0].get("message") or choices[0].get("delta")
        content = message.get("content") if isinstance(message, dict) else None
        return content_text(content)
    parts = [part for item in objects(shape.get("output")) for part in objects(item.get("content"))]
    return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def make_event(chunk: Mapping[str, Any]) -> Event:
    """An event that the endpoint makes itself."""
    return Event([], b"", dict(chunk))


def usage_shape(prompt: int, answer: int, thoughts: int = 0) -> dict[str, Any]:
    """Token counts in the API's shape. The answer's tokens include those of its thoughts."""
    shape = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    return shape | ({"completion_tokens_details": {"reasoning_tokens": thoughts}} if thoughts else {})


def added_event(progress: AnswerProgress, model: str, *choices: Mapping[str, Any], **more: Any) -> Event:
    """An event that the endpoint adds to the stream of an answer."""
    head = {"id": progress.id, "object": "chat.completion.chunk", "created": progress.created, "model": model}
    return make_event({**head, "choices": list(choices), **more})


class Upstream(Connection):
    """A candidate on a server. All methods raise EndpointError if there is no complete answer."""

    async def complete(self, request: ChatRequest, routed: bool, progress: AnswerProgress) -> Shape:
        """The whole answer. Its `model` is the candidate's name."""
        body, extra = self._fields(request, routed)
        self._expect_thoughts(request, progress)
        answer = await self.post(request.path, body, progress.patience, extra)
        progress.id = str(answer.get("id") or "")
        progress.tokens, progress.thoughts = count_tokens(answer)
        progress.add_text(text_in(answer))
        _update_progress(answer, progress)
        self._remember_opening(request, progress)
        if request.path == CHAT:
            if error := chat_error(answer):
                raise sent_error(error, self.redact, temporary=False)
            if not objects(answer.get("choices")):
                raise EndpointError("the answer has no choices")
            if progress.finish and (failure := finish_error(progress.finish, self.redact)):
                raise failure
        return answer | {"model": self.name}

    async def stream(self, request: ChatRequest, routed: bool, progress: AnswerProgress) -> Events:
        """The answer as lists of events, beginning with its first token; without a chat completion's final [DONE].

        In every chunk of a chat completion, `model` is the candidate's name and `choices` is a list.
        """
        body, extra = self._fields(request, routed)
        redact, chat = self.redact, request.path == CHAT
        self._expect_thoughts(request, progress)
        watcher = ChatWatcher(progress, redact, body.get("n")) if chat else ResponsesWatcher(progress, redact)
        async with aclosing(self.events(request.path, body, watcher, extra, progress.patience)) as parts:
            async for events in parts:
                if passed := [event for event in events if self._passes(event, request)]:
                    progress.tokens += len(passed)
                    yield passed
        if chat and (failure := finish_error(progress.finish, redact)):
            raise failure
        self._remember_opening(request, progress)
        if chat and request.wants_usage and progress.usage is None:
            yield [added_event(progress, self.name, usage=usage_shape(request.prompt_tokens, progress.tokens))]

    def _expect_thoughts(self, request: ChatRequest, progress: AnswerProgress) -> None:
        """Note what is known about thoughts in the text of an answer. There are none if the client turns them off."""
        if asked_thinking(self.candidate, request) is not False:
            progress.opened, progress.unsure = self.opens is True, self.opens is None and self.thinks

    def _remember_opening(self, request: ChatRequest, progress: AnswerProgress) -> None:
        if asked_thinking(self.candidate, request) is not False:
            self.note_opening(progress.parts, progress.finish)

    def _fields(self, request: ChatRequest, routed: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """The body, and fields that are left out in a second request if the server refuses them: the client's setting
        for thinking, unless fleet.toml has one, `stream_options`, and the SPARED fields of a routed request."""
        body = request.for_candidate(self.model, routed)
        if request.path != CHAT:
            return body, {}
        thinking = thinking_fields(asked_thinking(self.candidate, request))
        extra = {name: value for name, value in thinking.items() if name not in self.config.extra_body}
        for name, (low, high) in SPARED.items() if routed else ():
            if is_number(value := body.get(name)) and low <= value <= high:
                extra[name] = body.pop(name)
        return body, extra | (USAGE if request.stream else {})

    def _passes(self, event: Event, request: ChatRequest) -> bool:
        """Write the candidate's name into an event. Return whether the event is sent to the client."""
        chunk = event.chunk
        if request.path != CHAT:
            for shape in (chunk, chunk.get("response")) if chunk else ():
                if isinstance(shape, dict) and "model" in shape:
                    shape["model"] = self.name
        elif chunk is not None:
            chunk |= {"model": self.name, "choices": objects(chunk.get("choices"))}
            if isinstance(chunk.get("usage"), dict) and not chunk["choices"] and not request.wants_usage:
                return False  # token counts that the endpoint asked for, but the client did not
        return request.path != CHAT or not event.is_done


class ChatWatcher(Watcher):
    """Updates an answer's progress from the events of a chat completion.

    Args:
        choices: the request's `n`, which counts only if it is an integer.
    """

    def __init__(self, progress: AnswerProgress, redact: Redaction, choices: object) -> None:
        self._choices = choices if type(choices) is int else 1
        self._progress, self._redact, self._begun, self._ended = progress, redact, False, set[str]()

    @property
    def complete(self) -> bool:
        return len(self._ended) >= self._choices

    def look(self, event: Event) -> bool:
        if (chunk := chat_chunk(event, self._redact)) is None:
            return False
        progress = self._progress
        progress.id = progress.id or str(chunk.get("id") or "")
        progress.created = progress.created or (created if type(created := chunk.get("created")) is int else 0)
        progress.add_text(text_in(chunk))
        choices = objects(chunk.get("choices"))
        self._ended.update(str(choice.get("index")) for choice in choices if finish_word(choice))
        deltas = objects([choice.get("delta") for choice in choices])
        progress.thoughts += sum(bool(extract_thoughts(delta)) for delta in deltas)
        _update_progress(chunk, progress)
        if not self._begun and progress.finish and (failure := finish_error(progress.finish, self._redact)):
            raise failure
        token = begins(chunk)
        self._begun = self._begun or token
        return token


class ResponsesWatcher(Watcher):
    """Updates an answer's progress from the events of the Responses API."""

    def __init__(self, progress: AnswerProgress, redact: Redaction) -> None:
        self._progress, self._redact, self._begun = progress, redact, False

    def look(self, event: Event) -> bool:
        if event.is_empty:
            return False
        if (chunk := event.chunk) is None:
            self._begun = True  # not JSON, but the client may understand it
            return True
        response, kind = chunk.get("response"), chunk.get("type")
        self._progress.add_text(text_in(chunk))
        if isinstance(response, dict):
            self._progress.id = self._progress.id or str(response.get("id") or "")
            _update_progress(response, self._progress)
        if isinstance(item := chunk.get("item"), dict):
            self._progress.written += marks(item)
        if not self._begun and (kind in FAILED or event.kind == b"error" or sent_in(chunk)):
            raise sent_error(response if isinstance(response, dict) else chunk, self._redact)
        self._begun = self._begun or kind not in BEFORE
        return self._begun


def _update_progress(chunk: Mapping[str, Any], progress: AnswerProgress) -> None:
    if isinstance(usage := chunk.get("usage"), dict):
        progress.usage = usage
    for choice in objects(chunk.get("choices")):
        if finish := finish_word(choice):
            progress.finish = finish
        if isinstance(message := choice.get("delta") or choice.get("message"), dict):
            progress.written += digests(message)
    for item in objects(chunk.get("output")):
        progress.written += marks(item)
        progress.calls = progress.calls or item.get("type") not in ("message", "reasoning")
    if isinstance(details := chunk.get("incomplete_details"), dict) and isinstance(details.get("reason"), str):
        progress.finish = details["reason"]


class Local:
    """A candidate that an ensemble runs. It has the methods of `Upstream`."""

    def __init__(self, candidate: CandidateConfig, ensemble: Ensemble) -> None:
        self.name, self.candidate, self._ensemble = candidate.name, candidate, ensemble

    async def complete(self, request: ChatRequest, routed: bool, progress: AnswerProgress) -> Shape:
        pieces = [piece async for piece in self._pieces(request, progress)]
        text, thoughts = "".join(piece.text for piece in pieces), "".join(piece.thoughts for piece in pieces)
        message = {"role": "assistant", "content": text, "refusal": None}
        message |= {"reasoning_content": thoughts} if thoughts else {}
        choice = {"index": 0, "message": message, "logprobs": None, **_ending(progress)}
        shape = {"id": progress.id, "object": "chat.completion", "created": progress.created, "model": self.name}
        return shape | {"choices": [choice], "usage": progress.usage}

    async def stream(self, request: ChatRequest, routed: bool, progress: AnswerProgress) -> Events:
        role = {"role": "assistant"}
        async for piece in self._pieces(request, progress):
            parts = {"reasoning_content": piece.thoughts, "content": piece.text}
            if delta := {name: text for name, text in parts.items() if text}:
                yield [self._event(progress, role | delta)]
                role = {}
        yield [self._event(progress, role)]
        if request.wants_usage:
            yield [added_event(progress, self.name, usage=progress.usage)]

    async def _pieces(self, request: ChatRequest, progress: AnswerProgress) -> AsyncGenerator[Piece, None]:
        """The pieces of the answer. Generation stops when the generator is closed."""
        progress.id, progress.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        sent = check(LocalBody, request.body)
        settings = replace(self._ensemble.fleet.generation, **{"seed": random.getrandbits(32)} | sent.settings)
        ask = self._request(request, sent)
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | BaseException | None]()
        stop = threading.Event()

        def put(item: Piece | BaseException | None) -> None:
            if not stop.is_set():
                loop.call_soon_threadsafe(pieces.put_nowait, item)

        def run() -> None:
            try:
                for piece in self._ensemble.run_requests([ask], stop, settings):
                    put(piece)
            except Exception as problem:  # only a bug in a backend raises
                put(problem)
            put(None)

        threading.Thread(target=run, name="answer", daemon=True).start()
        try:
            while (item := await pieces.get()) is not None:
                if isinstance(item, BaseException):
                    raise EndpointError(type(item).__name__, own_status=500)
                response = item.response
                if response and response.error:
                    raise _local_error(response.finish, response.error)
                progress.add_text(item.text)
                progress.tokens += 1
                yield item
                if response:
                    progress.finish, progress.stop_text = FINISH.get(response.finish, "stop"), item.stop_text
                    progress.usage = usage_shape(request.prompt_tokens, response.tokens, response.thought_tokens)
        finally:
            stop.set()

    def _request(self, request: ChatRequest, sent: LocalBody) -> Request:
        messages = [  # all parts are text (choice.unsupported)
            Message(LOCAL_ROLES.get(message["role"], "user"), read_text(message.get("content")))  # type: ignore[arg-type]
            for message in request.messages
        ]
        candidate = self.candidate
        if (thinking := asked_thinking(candidate, request)) is not None:
            candidate = replace(candidate, thinking=thinking)
        return Request(candidate, alternating(messages), top_p=sent.top_p or 1.0, stop=sent.stops)

    def _event(self, progress: AnswerProgress, delta: Mapping[str, Any]) -> Event:
        return added_event(progress, self.name, {"index": 0, "delta": delta, "logprobs": None, **_ending(progress)})


def _local_error(finish: Finish, failure: Failure) -> EndpointError:
    """Why a local candidate gave no complete answer."""
    if failure.expected.startswith(FITTING):
        return EndpointError(f"{TOO_LONG[0]}: {failure.reason}", own_status=500, subject="context")
    return EndpointError(failure.reason, own_status=500, subject="request" if finish == "refused" else None)


def _ending(progress: AnswerProgress) -> dict[str, Any]:
    """The finish reason of a local candidate's answer, None while it runs; a stop sequence under vLLM's name."""
    return {"finish_reason": progress.finish} | ({"stop_reason": progress.stop_text} if progress.stop_text else {})


def asked_thinking(candidate: CandidateConfig, request: ChatRequest) -> Thinking | None:
    """How much a client wants a candidate to think; None if it does not say, or if fleet.toml decides."""
    return request.sender.thinking if candidate.thinking in (None, "auto") else None
