"""The text of an answer that Zooter asks for itself: streamed, asked for again after a fault, without the key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

from zooter_core.backends.endpoint.connection import CHAT, Connection, Watcher, chat_chunk
from zooter_core.backends.endpoint.faults import (
    KEY_REFUSED,
    NOT_FOUND,
    EndpointError,
    finish_of,
)
from zooter_core.backends.endpoint.retry import RetryPolicy
from zooter_core.base.errors import Failure, WorkError, did_you_mean
from zooter_core.base.records import Finish, Message, Response
from zooter_core.base.strict_json import Joiner, objects
from zooter_core.config.fleet import GenerationConfig

LONGEST_ID = 200  # characters of a request's id
MOST_BYTES = 4  # of a character; no token is shorter than a byte
Put = Callable[[str], None]


@dataclass
class PartialAnswer(Watcher):
    """An answer while it streams in.

    Attributes:
        put: gets the text as it comes.
        most_tokens: the limit in the request.
        parts: how many pieces of text the server sent.
        reported_tokens: the server's count of tokens, which may be anything.
        reasoning_characters: length of the reasoning, which is not part of the text.
        finish_reason: as the server names it.
        request_id: the server's, if it has one.
        attempts: how often the request was sent.
    """

    connection: Connection
    put: Put
    most_tokens: int
    started: float = field(default_factory=time.perf_counter)
    first_token_seconds: float | None = None
    texts: list[str] = field(default_factory=list)
    joiner: Joiner = field(default_factory=Joiner)
    characters: int = 0
    parts: int = 0
    reported_tokens: object = None
    reasoning_characters: int = 0
    tool_call: bool = False
    finish_reason: str | None = None
    request_id: str | None = None
    attempts: int = 0

    @property
    def has_begun(self) -> bool:
        """Whether any text or reasoning has come."""
        return bool(self.parts or self.reasoning_characters)

    @property
    def complete(self) -> bool:
        return self.finish_reason is not None

    @property
    def is_full(self) -> bool:
        """Whether it is as long as it may be."""
        return self.characters >= self.connection.config.most_characters

    @property
    def tokens(self) -> int:
        """The server's count if it is possible, else the number of parts, since most servers send single tokens."""
        most = max(self.most_tokens, MOST_BYTES * (self.characters + self.reasoning_characters))
        if type(self.reported_tokens) is int and bool(self.parts) <= self.reported_tokens <= most:
            return self.reported_tokens
        return self.parts

    def sent(self) -> None:
        if not self.attempts:
            self.started = time.perf_counter()
        self.attempts += 1

    def opened(self, headers: Mapping[str, str]) -> None:
        self.request_id = self.connection.redact(headers.get("x-request-id", "")[:LONGEST_ID]) or None

    def look(self, event: bytes) -> bool:
        """Add what an event has. Return whether that is a token, or the end."""
        if (chunk := chat_chunk(event, self.connection.redact)) is None:
            return False
        if isinstance(usage := chunk.get("usage"), dict):
            self.reported_tokens = usage.get("completion_tokens")
        choices = objects(chunk.get("choices"))
        return bool(choices) and self._add(choices[0])

    def _add(self, choice: Mapping[str, Any]) -> bool:
        if finish := choice.get("finish_reason"):
            self.finish_reason = str(finish)
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        text = delta.get("content")
        if text is not None and not isinstance(text, str):
            raise EndpointError("the text of the answer is not a string")
        tool_call = any(delta.get(name) for name in ("tool_calls", "function_call"))
        self.tool_call |= tool_call
        if text:
            if self.first_token_seconds is None:
                self.first_token_seconds = time.perf_counter() - self.started
            self.parts += 1
            self._show(self.joiner.add(text))
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        self.reasoning_characters += len(str(reasoning))
        return bool(finish or text or reasoning or tool_call)

    def end(self) -> None:
        """Show the half of a character that still waits."""
        self._show(self.joiner.close())

    def _show(self, text: str) -> None:
        shown = text[: self.connection.config.most_characters - self.characters]
        if shown:
            self.texts.append(shown)
            self.characters += len(shown)
            self.put(shown)

    def response(self, finish: Finish, error: Failure | None = None) -> Response:
        """The response with the text so far."""
        seconds, first = time.perf_counter() - self.started, self.first_token_seconds
        text, name = "".join(self.texts), self.connection.name
        return Response(name, text, self.tokens, seconds, first, finish, error, self.request_id)


async def respond(
    connection: Connection, messages: Sequence[Message], generation: GenerationConfig, put: Put
) -> Response:
    """The response to a conversation. Its text goes to `put` as it comes. Never raises, except after a bug."""
    answer = PartialAnswer(connection, put, generation.max_new_tokens)
    policy, attempt = RetryPolicy(connection.config.retries), 0
    body = _body(connection, messages, generation)
    while True:
        try:
            finish = await _attempt(connection, body, answer)
        except asyncio.CancelledError:
            return answer.response("stopped")
        except EndpointError as error:
            attempt += 1
            again = error.temporary and not answer.has_begun
            pause = policy.pause(attempt - 1, error.retry_after) if again else None
            try:
                if pause is None:  # the reason may be looked up at the server
                    failure = await _failure(connection, error, answer, attempt)
                    return answer.response("refused" if error.refused else "error", failure)
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                return answer.response("stopped")
        else:
            connection.breaker.answered()
            return answer.response(finish)


async def _attempt(connection: Connection, body: Mapping[str, Any], answer: PartialAnswer) -> Finish:
    """Send one request and read its answer to the end."""
    events = connection.events(CHAT, body, answer, usage=True)
    try:
        async with aclosing(events):
            async for _ in events:
                if answer.is_full:
                    return "length"
    finally:
        answer.end()
    return finish_of(answer.finish_reason, bool(answer.parts), answer.tool_call, connection.redact)


def _body(connection: Connection, messages: Sequence[Message], generation: GenerationConfig) -> dict[str, Any]:
    return {
        "model": connection.model,
        "messages": [message.to_json() for message in messages],
        "temperature": generation.temperature,
        "seed": generation.seed,
        connection.config.token_limit: generation.max_new_tokens,
        "stream": True,
    }


async def connect(connection: Connection) -> None:
    """Ask for the list of models, which shows a wrong address or key. A server need not have such a list.

    Raises:
        WorkError: there is no connection, or the server refuses the key.
    """
    try:
        await connection.models()
    except EndpointError as error:  # other faults show with the first answer
        if error.server_status in KEY_REFUSED or error.timed_out or error.unreachable:
            failure = _failure_of(connection, error.message, error.next_step)
            raise WorkError.because(failure, failure.expected) from None


def _failure_of(connection: Connection, message: str, next_step: str) -> Failure:
    """The error of a candidate's response."""
    name, host = connection.name, connection.config.host
    sentence = f"{name} at {host} failed: {message}."
    return WorkError(f"an answer of {name} from {host}", message, next_step, sentence).failure


async def _failure(connection: Connection, error: EndpointError, answer: PartialAnswer, attempts: int) -> Failure:
    """The message of a failure; one that is not the request's fault counts towards a rest."""
    message, next_step = error.message, error.next_step
    if error.server_status == NOT_FOUND:
        next_step = await _which_model(connection) or next_step
    if answer.characters:
        message += f", after {answer.characters:,} characters"
    if attempts > 1:
        message += f", in the last of {attempts} attempts"
    if error.counts:
        connection.failed(error.reason)
    return _failure_of(connection, message, next_step)


async def _which_model(connection: Connection) -> str | None:
    """How to fix `model`, from the server's list of models; None if it has none."""
    with suppress(EndpointError):  # it only improves the message
        names = await connection.models()
        if names and connection.model not in names:
            return f'Fix model = "{connection.model}" in fleet.toml. {did_you_mean(connection.model, names[:50])}'
    return None
