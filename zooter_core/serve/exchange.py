"""One request from its arrival to its end: what metadata, headers, logs and metrics say about it, and its answer.

The answer is computed while the client is connected, and cancelled when it disconnects.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from zooter_core.backends.endpoint.events import Event
from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import Fleet
from zooter_core.data.prices import cost
from zooter_core.serve.bodies import ChatRequest, Sender, estimate_tokens
from zooter_core.serve.choice import Choice
from zooter_core.serve.errors import MESSAGES, ApiError, is_messages, shape_at
from zooter_core.serve.targets import STREAM_END, AnswerProgress, make_event

if TYPE_CHECKING:
    from zooter_core.serve.messages import Translation

LOG = logging.getLogger("zooter.serve")
GONE = 499  # the status, in logs, of a request whose client went away
RESTART_SECONDS = 5  # after which a client may ask a server again that stops
WRITE_SECONDS = 60.0  # for a client to take a part of an answer; then it counts as gone
METADATA_HEADER, METADATA_ON = "x-zooter-metadata", "enabled"
SESSION_HEADER = "x-session-id"
CHATS = ("/v1/chat/completions", MESSAGES)  # paths on which candidates are asked for a chat completion


@dataclass
class Outcome:
    """Who was asked for an answer, and who gives it. chat.py fills it."""

    # Candidates that failed before their first token (`Attempts.failures`).
    failures: list[tuple[str, EndpointError]] = field(default_factory=list)
    hedged: bool = False  # whether a candidate was asked beside another one that was slow
    candidate: str | None = None  # who answers; None until its first token
    first_token_seconds: float | None = None
    # Of its answer; until its first token, of the candidate that was asked last.
    progress: AnswerProgress = field(default_factory=AnswerProgress)
    # Of the candidates that answered, where the reward model chose; one of them is `progress`.
    compared: dict[str, AnswerProgress] = field(default_factory=dict)
    rewards: dict[str, float | None] = field(default_factory=dict)  # of the same


@dataclass(frozen=True, slots=True)
class Usage:
    """What answers used."""

    prompt: int
    answer: int
    # Whether the candidates' servers counted. Else these are estimates: four bytes of text a token, and in a stream one
    # an event.
    reported: bool
    dollars: float | None  # for what the candidates read and wrote; None if none of them has a price in fleet.toml
    cached: int = 0  # those of the prompt that the candidates' servers had cached, as they report
    thoughts: int = 0  # those of the answer that are thoughts; estimated where a server does not say


@dataclass
class Exchange:
    """What has happened to a request so far. Observers see it when it has ended.

    server.py fills it in up to `router_version`, when the request arrives and when a fleet takes it; what answers its
    path, up to `outcome`; `Reply`, the rest.
    """

    path: str  # of the API, such as `/v1/chat/completions`
    sender: Sender = field(default_factory=Sender)
    request_id: str = field(default_factory=lambda: f"req-{uuid.uuid4().hex}")
    wants_metadata: bool = False  # whether the client asked for the field `zooter`
    started: float = field(default_factory=time.perf_counter)
    fleet: Fleet | None = None  # which takes it; None if the body was refused before
    router_version: str | None = None  # of its router (`Gateway.router_version`)

    request: ChatRequest | None = None  # None if the body was refused, or holds many conversations
    choice: Choice | None = None
    outcome: Outcome = field(default_factory=Outcome)

    status: int = 200  # of the answer; 499 if the client went away
    error: str | None = None  # what went wrong after the answer had begun, or the error's code
    seconds: float | None = None

    @property
    def asker(self) -> str:
        """Whose turn a request takes at the router: its key's; without keys, each request has a turn of its own."""
        return self.sender.key or self.request_id

    @property
    def is_chat(self) -> bool:
        """Whether candidates are asked for a chat completion. Other APIs say nothing of a server's health."""
        return self.path in CHATS

    @property
    def routed(self) -> bool:
        """Whether the router has chosen, and not the client."""
        return self.choice is not None and self.choice.decision is not None

    @property
    def headers(self) -> dict[str, str]:
        headers = {"x-request-id": self.request_id}
        if is_messages(self.path):
            headers["request-id"] = self.request_id  # as Anthropic's clients read it
        if (candidate := self.outcome.candidate) is not None:
            headers["x-model-router-selected-model"] = candidate.encode("ascii", "backslashreplace").decode()
            headers["x-zooter-attempts"] = str(len(self.outcome.failures) + 1)
            if self.choice and self.choice.decision:
                headers["x-zooter-probability"] = f"{self.choice.decision.probabilities[candidate]:.4f}"
        return headers

    @property
    def metadata(self) -> dict[str, Any]:
        """The field `zooter` for the answer; nothing unless the client asked for it."""
        if not self.wants_metadata:
            return {}
        outcome = self.outcome
        shape: dict[str, Any] = {"request_id": self.request_id, "candidate": outcome.candidate}
        if self.choice is not None:
            shape |= self.choice.to_json()
        if outcome.rewards:
            shape["rewards"] = outcome.rewards
        shape["hedged"] = outcome.hedged
        shape["failed"] = [{"candidate": name, "reason": error.client_message} for name, error in outcome.failures]
        return {"zooter": shape}

    @cached_property
    def usage(self) -> Usage:
        """The tokens and the cost of all answers together, once they have ended. Without an answer there are none."""
        usages = list(self.usages.values())
        priced = [usage.dollars for usage in usages if usage.dollars is not None]
        return Usage(
            sum(usage.prompt for usage in usages),
            sum(usage.answer for usage in usages),
            bool(usages) and all(usage.reported for usage in usages),
            sum(priced) if priced else None,
            sum(usage.cached for usage in usages),
            sum(usage.thoughts for usage in usages),
        )

    @property
    def usages(self) -> dict[str, Usage]:
        """The same for each candidate that answers, so far, whether or not its answer is kept."""
        answers = dict(self.outcome.compared)
        if self.outcome.candidate is not None:
            answers[self.outcome.candidate] = self.outcome.progress
        return {name: self._usage(name, progress) for name, progress in answers.items()}

    def _usage(self, candidate: str, progress: AnswerProgress) -> Usage:
        assert self.request is not None
        assert self.fleet is not None
        report = progress.usage or {}
        prompt = _count(report.get("prompt_tokens", report.get("input_tokens")))
        answer = _count(report.get("completion_tokens", report.get("output_tokens")))
        tokens = progress.tokens if answer is None else answer
        reported = prompt is not None and (answer is not None or not tokens)  # embeddings have no answer to count
        prompt = self.request.prompt_tokens if prompt is None else prompt
        cached = _detail(report, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
        cached = min(cached or _count(report.get("prompt_cache_hit_tokens")) or 0, prompt)  # the latter is DeepSeek's
        dollars = cost(self.fleet.candidate(candidate), prompt, tokens, cached)
        thoughts = _detail(report, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
        thoughts = thoughts or progress.thoughts or estimate_tokens(progress.parts.thoughts)
        return Usage(prompt, tokens, reported, dollars, cached, min(thoughts, tokens))


def _detail(report: Mapping[str, Any], names: Sequence[str], part: str) -> int:
    """A part of a count, under the names of chat completions and of the Responses API; 0 where there is none."""
    details = [report.get(name) for name in names]
    return next(filter(None, (_count(one.get(part)) for one in details if isinstance(one, Mapping))), 0)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 40 else None


Observer = Callable[[Exchange], None]


class Reply(Response):
    """The answer to a request, as `handle` writes it: one JSON document, or a stream of events.

    If the client goes away first, `handle` is cancelled at once; if the server stops first, the client is told.

    Args:
        observers: called with the exchange when it has ended, however it did.
        translation: into the shape of the client's API; None where that is the one that candidates speak.

    Attributes:
        body_is_read: set when nothing more is to come of the request.
    """

    def __init__(
        self,
        exchange: Exchange,
        handle: Callable[[Reply], Awaitable[None]],
        observers: Sequence[Observer],
        translation: Translation | None,
    ) -> None:
        super().__init__()
        self.exchange, self._handle, self._observers = exchange, handle, observers
        self._translation, self._begun, self.body_is_read = translation, False, asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._to_client = send
        answering = asyncio.create_task(self._run())
        gone = asyncio.create_task(self._client_goes(receive))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.exchange.status = GONE
        except asyncio.CancelledError:  # by uvicorn, after the grace of a stop
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
            self.exchange.seconds = time.perf_counter() - self.exchange.started
            for observer in self._observers:
                observer(self.exchange)

    async def _run(self) -> None:
        try:
            await self._handle(self)
        except ClientDisconnect:  # in the middle of its body, or it no longer reads
            self.exchange.status = GONE
        except ApiError as error:
            await self.fail(error)
        except Exception:
            LOG.exception("request %s failed", self.exchange.request_id)
            await self.fail(ApiError(500, "The server failed; see its log.", "internal_error"))

    async def _client_goes(self, receive: Receive) -> None:
        """Wait until the client goes away. While the body is read, whoever reads it gets what comes."""
        await self.body_is_read.wait()
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
        """End a stream, with [DONE] where the API has it."""
        last = STREAM_END if self.exchange.is_chat else b""
        await self._send({"type": "http.response.body", "body": self._translation.end() if self._translation else last})

    async def fail(self, error: ApiError) -> None:
        """Send an error: as the answer, or as the last event of one that has begun."""
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
        """Send a part. Waits for a client that reads slowly, but not for one that has stopped.

        Raises:
            ClientDisconnect: it has not taken the part in time.
        """
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._to_client(message)
        except TimeoutError:
            raise ClientDisconnect from None
