"""Splits and parses server-sent events.

As in WHATWG's HTML, 9.2, a line ends with CR, LF or both, and an event ends with an empty line. Some servers send
errors as a field `error:` or as bare JSON. Standard parsers ignore these; here they become events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zooter_core.base.strict_json import objects

END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2,}")
COMMENT = re.compile(rb":[^\r\n]*")
DONE = b"[DONE]"  # the data of the last event
NOTHING = (b"", b"null", DONE)  # data that is not part of an answer
LONGEST_END = 4  # bytes of the longest separator between events
TOKENS = ("content", "tool_calls", "function_call", "reasoning_content", "reasoning", "refusal", "audio", "images")
PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class EventSplitter:
    """Splits a stream into complete events, each without its empty line. Comments are skipped."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the events that a part of the stream completes. The time depends on the part's length only."""
        start, look = 0, max(0, len(self._rest) - LONGEST_END + 1)  # a separator may have begun before this part
        self._rest += data
        for match in END.finditer(self._rest, look):
            event = bytes(self._rest[start : match.start()])
            event = event.lstrip(b"\r\n")  # the second part of a separator that was split
            if event and not COMMENT.fullmatch(event):
                yield event
            start = match.end()
        if start:
            self._rest = self._rest[start:]

    def end(self) -> bytes:
        """The last event if the stream ended without an empty line; otherwise empty."""
        rest, self._rest = bytes(self._rest.strip()), bytearray()
        return rest


@dataclass(slots=True)
class Event:
    """An event. `encode` includes changes to the chunk."""

    others: list[bytes]  # the lines besides the data, such as `event: ...`
    data: bytes  # the data lines, joined
    chunk: dict[str, Any] | None  # the JSON object in the data; None if the data is not a JSON object

    @classmethod
    def of(cls, raw: bytes) -> Event:
        if raw.startswith(b"data: {") and b"\n" not in raw and b"\r" not in raw:  # the usual case
            return cls([], raw[6:], _object(raw[6:]))
        if raw.startswith(b"{"):  # a JSON error instead of a stream
            return cls([], raw, _object(raw))
        lines = raw.splitlines()
        data = b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")).strip()
        others = [line for line in lines if line and not line.startswith(b"data:")]
        if error := next((line[6:].strip() for line in others if line.startswith(b"error:")), b""):  # llama.cpp
            words = _object(error) or error.decode("utf-8", "replace")
            return cls([], error, {"error": words})
        return cls(others, data, _object(data))

    @property
    def kind(self) -> bytes:
        """The value of the field `event`."""
        return next((line[6:].strip() for line in self.others if line.startswith(b"event:")), b"")

    @property
    def is_done(self) -> bool:
        """Whether the event marks the end of the answer."""
        return self.data == DONE

    @property
    def is_empty(self) -> bool:
        """Whether the event has no part of an answer."""
        return self.data in NOTHING

    def encode(self) -> bytes:
        """The event as bytes, with its empty line."""
        data = self.data
        if self.chunk is not None:  # lone surrogates stay escaped
            data = PLAIN.encode(self.chunk).encode(errors="backslashreplace")
        lines = [*self.others, *(b"data: " + line for line in data.split(b"\n") if line)]
        return b"\n".join(lines) + b"\n\n"


def _object(data: bytes) -> dict[str, Any] | None:
    if not data.startswith(b"{"):
        return None
    try:
        chunk = json.loads(data.decode())  # only forwarded, so numbers need not be finite
    except (ValueError, RecursionError):
        return None
    return chunk if isinstance(chunk, dict) else None


def begins(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk contains a token or ends the answer."""
    for choice in objects(chunk.get("choices")):
        delta = choice.get("delta")
        if finish_word(choice) or (isinstance(delta, dict) and any(delta.get(name) for name in TOKENS)):
            return True
    return False


def finish_word(choice: Mapping[str, Any]) -> str | None:
    """A choice's finish reason in the server's words; None before the end, when some servers send ""."""
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str) and reason.strip() else None
