"""Requests answers as texts, for the backend `openai`: streams them, retries after errors, and removes the key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.endpoint.abilities import get_nested, read_count
from zooter_core.backends.endpoint.connection import CHAT, LIMIT, USAGE, Connection, Watcher, chat_chunk
from zooter_core.backends.endpoint.events import Event, finish_word
from zooter_core.backends.endpoint.faults import (
    CUT_OFF,
    ENDED,
    KEY_REFUSED,
    NOT_FOUND,
    EndpointError,
    finish_name,
    read_finish,
)
from zooter_core.backends.endpoint.retry import retry_pause
from zooter_core.backends.merge_streams import Put
from zooter_core.backends.thoughts import ROOM, Splitter, most_tokens, still_thinking
from zooter_core.base.errors import Failure, WorkError, did_you_mean
from zooter_core.base.records import Finish, Response
from zooter_core.base.strict_json import objects
from zooter_core.config.fleet import GenerationConfig

LONGEST_ID = 200  # characters of a request's id
THOUGHTS = ("reasoning_content", "reasoning", "thinking")  # fields of a delta at vLLM, OpenRouter and Ollama


def extract_thoughts(message: Mapping[str, Any]) -> str:
    """The thoughts in a message or a delta, if the server separates them from the text."""
    parts = "".join(content_text(part.get("thinking")) for part in objects(message.get("content")))
    return next((part for name in THOUGHTS if isinstance(part := message.get(name), str) and part), parts)


def content_text(content: object) -> str:
    """The text of a message's content: a string, or a list of parts, which Mistral's reasoning models send."""
    parts = [part.get("text") for part in objects(content)]
    return content if isinstance(content, str) else "".join(part for part in parts if isinstance(part, str))


class PartialAnswer(Watcher):
    """An answer while it arrives as a stream.

    Args:
        put: called with each piece as it arrives, except for the last one.

    Attributes:
        most_tokens: the token limit in the request.
        started: when the request was first sent (`time.perf_counter`); None if it has not been sent.
        request_id: the server's id of the request, if it has one.
        text, thoughts: the text and the thoughts so far. Some servers send only the count of thought tokens.
        apart: the thoughts that the server separates from the text.
        parts, thought_parts: how many pieces of text and of thoughts the server has sent.
        usage: the server's token counts, not validated.
        finish_reason: the finish reason in the server's words; None before the end.
    """

    def __init__(self, connection: Connection, request: Request, put: Put[Piece]) -> None:
        self.connection, self.request, self.put, self.most_tokens = connection, request, put, 0
        self.started: float | None = None
        self.first_token_seconds: float | None = None
        self.request_id: str | None = None
        self.begin_again()

    def begin_again(self) -> None:
        """Discard what has arrived, before the request is sent again."""
        self.text = self.thoughts = self.apart = ""
        self.splitter = Splitter(self.connection.opens is True)
        self.parts = self.thought_parts = 0
        self.usage: object = None
        self.tool_call = False
        self.finish_reason: str | None = None

    @property
    def has_begun(self) -> bool:
        """Whether any text or thoughts have arrived."""
        return bool(self.parts or self.thought_parts)

    @property
    def ends_in_thoughts(self) -> bool:
        """Whether the answer has thoughts but no text. The server may hide the thoughts."""
        thinks = bool(self.thoughts or self.thought_tokens or finish_name(self.finish_reason) in CUT_OFF)
        return thinks and not self.text and not self.tool_call

    @property
    def complete(self) -> bool:
        return self.finish_reason is not None

    @property
    def is_full(self) -> bool:
        """Whether the text has reached the limit of characters."""
        return len(self.text) >= self.connection.config.most_characters

    @property
    def tokens(self) -> int:
        """The server's token count if it is valid, otherwise the number of parts: most servers send single tokens."""
        return read_count(get_nested(self.usage, "completion_tokens")) or self.parts + self.thought_parts

    @property
    def thought_tokens(self) -> int:
        """The tokens of the thoughts: the server's count if it is valid, otherwise the number of parts."""
        count = read_count(get_nested(self.usage, "completion_tokens_details", "reasoning_tokens"))
        return min(count or self.thought_parts, self.tokens)

    def sent(self) -> None:
        self.started = self.started or time.perf_counter()

    def opened(self, headers: Mapping[str, str]) -> None:
        self.request_id = self.connection.redact(headers.get("x-request-id", "")[:LONGEST_ID]) or None

    def look(self, event: Event) -> bool:
        """Add the content of an event. Return whether it has a token or ends the answer."""
        if (chunk := chat_chunk(event, self.connection.redact)) is None:
            return False
        self.usage = chunk.get("usage") or self.usage
        choice = next(iter(objects(chunk.get("choices"))), {})
        finish, delta = finish_word(choice), next(iter(objects([choice.get("delta")])), {})
        self.finish_reason = finish or self.finish_reason
        text, thoughts = content_text(delta.get("content")), extract_thoughts(delta)
        self.apart += thoughts
        tool_call = any(delta.get(name) for name in ("tool_calls", "function_call"))
        self.tool_call |= tool_call
        if text:
            written, text = self.splitter.feed(text)
            self.parts += not written
            thoughts += written
        self.thought_parts += bool(thoughts)
        self._show(thoughts, text)
        return bool(finish or delta.get("content") or thoughts or tool_call)

    def end(self) -> None:
        """Show text that was held back (half a character, part of a tag), and correct thoughts that were shown as text
        and vice versa."""
        parts = self.splitter.end(finish_name(self.finish_reason) in ENDED)
        self.connection.note_opening(parts, self.finish_reason)
        self.thoughts = self.apart + parts.thoughts
        text = parts.text.lstrip() if self.thoughts else parts.text
        if not self.thoughts:  # text may have been shown as thoughts
            self.parts, self.thought_parts = self.parts + self.thought_parts, 0
        if text.startswith(self.text):
            self._show("", text[len(self.text) :])
        else:  # thoughts were shown as text
            moved = round(self.parts * len(parts.thoughts) / max(1, len(parts.thoughts + text)))
            self.text, self.parts, self.thought_parts = text, self.parts - moved, self.thought_parts + moved

    def _show(self, thoughts: str, text: str) -> None:
        if self.thoughts and not self.text:
            text = text.lstrip()
        shown = text[: self.connection.config.most_characters - len(self.text)]
        if shown:
            self.first_token_seconds = self.first_token_seconds or self._seconds()
        self.text, self.thoughts = self.text + shown, self.thoughts + thoughts
        if shown or thoughts:
            self.put(Piece(self.request, shown, thoughts=thoughts))

    def response(self, finish: Finish, error: Failure | None = None) -> Response:
        """The response with the text so far."""
        return Response(
            self.connection.name,
            self.text,
            self.tokens,
            self._seconds(),
            self.first_token_seconds,
            finish,
            error,
            self.request_id,
            self.thoughts.strip(),
            self.thought_tokens,
        )

    def _seconds(self) -> float:
        return 0.0 if self.started is None else time.perf_counter() - self.started


async def respond(connection: Connection, request: Request, generation: GenerationConfig, put: Put[Piece]) -> Response:
    """The response to a request. Its pieces are passed to `put` as they arrive. Raises no error, except for bugs.

    For a model that thinks, the token limit includes room for thoughts: ROOM, or half of the context if that is too
    small. If an answer ends in the middle of thoughts and the limit had no room for them, the request is sent again
    with it.
    """
    answer = PartialAnswer(connection, request, put)
    attempt, room = 0, ROOM
    try:
        while True:
            extra = room if connection.thinks else 0
            answer.most_tokens = most_tokens(connection.candidate, generation, False) + extra
            try:
                finish = await _attempt(connection, generation, answer)
            except EndpointError as error:
                if answer.ends_in_thoughts and not extra and room:  # the limit cut the thoughts off
                    answer.begin_again()
                    continue
                if extra and error.subject == "context" and not answer.has_begun:
                    room = min(ROOM, error.context_tokens or 0) // 2 if room == ROOM else 0
                    continue
                retries = connection.config.retries if error.temporary and not answer.has_begun else 0
                pause = retry_pause(attempt, retries, error.retry_after)
                attempt += 1
                if pause is None:
                    failure = await _explain(connection, error, answer, attempt)
                    return answer.response("refused" if error.refused else "error", failure)
                await asyncio.sleep(pause)
            else:
                connection.breaker.answered()
                return answer.response(finish)
    except asyncio.CancelledError:
        return answer.response("stopped")


async def _attempt(connection: Connection, generation: GenerationConfig, answer: PartialAnswer) -> Finish:
    """Send the request once and read the answer to the end."""
    messages = [message.to_json() for message in answer.request.messages]
    body = {"model": connection.model, "messages": messages, "stream": True}
    extra = {  # omitted if the server does not know a field
        "temperature": generation.temperature,
        "seed": generation.seed,
        LIMIT: answer.most_tokens,
        **USAGE,
    }
    events = connection.events(CHAT, body, answer, extra)
    try:
        async with aclosing(events):
            async for _ in events:
                if answer.is_full:
                    return "length"
    finally:
        answer.end()
        thinks = bool(answer.thoughts or answer.thought_tokens) or answer.ends_in_thoughts
        connection.thinks = connection.thinks or thinks
    if answer.ends_in_thoughts and answer.finish_reason is not None:
        read_finish(answer.finish_reason, True, False, connection.redact)  # raises if it explains the missing answer
        failure = still_thinking(connection.name, answer.tokens).failure
        raise EndpointError(failure.found, failure.next_step, subject="request")
    return read_finish(answer.finish_reason, bool(answer.parts), answer.tool_call, connection.redact)


async def check_server(connection: Connection) -> None:
    """Request the list of models to detect a wrong address or key. Servers without such a list pass.

    Raises:
        WorkError: there is no connection, or the server refuses the key.
    """
    try:
        await connection.models()
    except EndpointError as error:  # other errors appear with the first answer
        if error.server_status in KEY_REFUSED or error.timed_out or error.unreachable:
            failure = _make_failure(connection, error.message, error.next_step)
            raise WorkError.because(failure, failure.expected) from None


def _make_failure(connection: Connection, message: str, next_step: str) -> Failure:
    """The failure of a candidate's response."""
    name, host = connection.name, connection.config.host
    sentence = f"{name} at {host} failed: {message}."
    return WorkError(f"an answer of {name} from {host}", message, next_step, sentence=sentence).failure


async def _explain(connection: Connection, error: EndpointError, answer: PartialAnswer, attempts: int) -> Failure:
    """The failure for an error. If the server caused the error, the circuit breaker counts it."""
    message, next_step = error.message, error.next_step
    if error.server_status == NOT_FOUND:
        next_step = await _suggest_model(connection) or next_step
    if answer.text:
        message += f", after {len(answer.text):,} characters"
    if attempts > 1:
        message += f", in the last of {attempts} attempts"
    if error.counts:
        connection.failed(error.reason)
    return _make_failure(connection, message, next_step)


async def _suggest_model(connection: Connection) -> str | None:
    """How to fix `model` in fleet.toml; None if the server lists the model or has no list."""
    with suppress(EndpointError):  # the list only improves the message
        names = await connection.models()
        if names and connection.model not in names:
            return f'Fix model = "{connection.model}" in fleet.toml. {did_you_mean(connection.model, names[:50])}'
    return None
