"""Server-sent events as bytes: split where they end, and read once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from zooter_core.base.strict_json import objects

END = re.compile(rb"\r?\n\r?\n")
DONE = b"[DONE]"  # the data of the last event
LONGEST_END = 4  # bytes
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


def is_done(event: bytes) -> bool:
    """Whether an event says that the answer is complete."""
    return DONE in event and payload(event) == DONE


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


def is_whole(event: bytes) -> bool:
    """Whether the last event of a stream is complete, and not cut off in the middle."""
    data = payload(event)
    try:
        return data == DONE or bool(data and chunk_of(data))
    except ValueError:
        return False


def with_chunk(event: bytes, chunk: Mapping[str, Any]) -> bytes:
    """An event with another chunk; its other lines stay."""
    others = [line for line in event.splitlines() if line and not line.startswith(b"data:")]
    return b"\n".join([*others, b"data: " + json.dumps(chunk).encode()]) + b"\n\n"


def begins(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk has the first token of an answer, or ends it."""
    for choice in objects(chunk.get("choices")):
        delta = choice.get("delta")
        if choice.get("finish_reason") or (isinstance(delta, dict) and any(delta.get(name) for name in TOKENS)):
            return True
    return False
