"""Server-sent events as bytes: split, read once, and passed on as they are but for the model's name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from zooter_core.strict_json import dump_json

END = re.compile(rb"\r?\n\r?\n")
LONGEST_END = 4  # bytes
# A key, since a quote inside a string is escaped. The first one of an event is its own; those of nested objects follow.
MODEL = re.compile(rb'(?<!\\)"model"\s*:\s*(?:"(?:[^"\\]|\\.)*"|null)')
OPEN = re.compile(rb'"finish_reason"\s*:\s*null')
NOTED = re.compile(
    rb'"(?:finish_reason|usage|error|reasoning_details|thinking_blocks|encrypted_content)"\s*:(?!\s*null)'
)
LONGEST_EVENT = 1 << 24  # bytes; an event that does not end is not kept
TOKENS = ("content", "tool_calls", "function_call", "reasoning_content", "reasoning", "refusal", "audio")


class EventTooLongError(ValueError):
    """An event is longer than LONGEST_EVENT."""


class Splitter:
    """Turns parts of a stream into whole events, each with its blank line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The events that a part completes. Takes time by the length of the part, however long the event is."""
        start, look = 0, max(0, len(self._rest) - LONGEST_END + 1)  # an end may have begun before this part
        self._rest += data
        for match in END.finditer(self._rest, look):
            yield bytes(self._rest[start : match.end()])
            start = match.end()
        if start:
            self._rest = self._rest[start:]
        if len(self._rest) > LONGEST_EVENT:
            raise EventTooLongError(f"an event of more than {LONGEST_EVENT:,} bytes")

    def end(self) -> bytes:
        """The last event, if the stream ended without its blank line."""
        rest, self._rest = bytes(self._rest.strip()), bytearray()
        return rest + b"\n\n" if rest else b""


def payload(event: bytes) -> bytes:
    """The data of an event; empty for comments and for events without data."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2:  # as nearly all of them
        return event[6:].strip()
    lines = [line[5:].lstrip(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)


def chunk_of(data: bytes) -> Mapping[str, Any]:
    """The chunk in an event's data.

    Raises:
        ValueError: it is not a JSON object.
    """
    try:
        chunk = json.loads(data.decode())  # only read, never written: numbers need not be finite
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(chunk, dict):
        raise ValueError("no JSON object")
    return chunk


def renamed(event: bytes, model: bytes) -> bytes:
    """An event whose `model` is another; it is added where there is none.

    Args:
        model: the member, as in `"model":"math"`.
    """
    changed, count = MODEL.subn(lambda _: model, event, 1)
    if count or b'"choices"' not in event:
        return changed
    return event.replace(b"{", b"{" + model + b",", 1)


def begins(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk has the first token of an answer, or ends it."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        delta = choice.get("delta")
        if choice.get("finish_reason") or (isinstance(delta, dict) and any(delta.get(name) for name in TOKENS)):
            return True
    return False


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
    choices = [choice.get("message") for choice in _objects(answer.get("choices"))]
    size = 0
    for message in (*_objects(choices), *_objects(answer.get("output"))):
        texts = [message.get(name) for name in ("content", "reasoning_content", "reasoning", "refusal", "arguments")]
        texts += [part.get("text") for part in _objects(message.get("content"))]
        functions = [call.get("function") for call in _objects(message.get("tool_calls"))]
        texts += [function.get("arguments") for function in _objects(functions)]
        size += sum(len(text.encode("utf-8", "replace")) for text in texts if isinstance(text, str))
    return size


def _objects(values: object) -> list[dict[str, Any]]:
    """The objects in a list."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def event_of(shape: Mapping[str, Any]) -> bytes:
    """An event with JSON."""
    return b"data: " + dump_json(shape).encode() + b"\n\n"


def chunk_shape(id: str, created: int, model: str, **more: Any) -> dict[str, Any]:
    """A chunk in the API's shape."""
    return {"id": id, "object": "chat.completion.chunk", "created": created, "model": model, **more}
