"""Remembers each conversation's candidate, so that it does not change midway without a reason.

Each API key has its own conversations; the id of another key's conversation finds nothing. Encrypted reasoning is sent
only to the model that wrote it, since no other can read it. Servers return it in fields of the message,
`reasoning_details` (OpenRouter), `thinking_blocks` (Anthropic's, as LiteLLM names them) or `encrypted_content`
(OpenAI). Its hash tells which candidate wrote it.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from zooter_core.base.strict_json import objects

Value = TypeVar("Value")
MOST_REMEMBERED = 100_000  # conversations, and as many writers
LISTS, ENCRYPTED = ("reasoning_details", "thinking_blocks"), "encrypted_content"
SECRETS = ("data", "signature", ENCRYPTED)


class Sessions:
    """The candidates of recent conversations, and the writers of encrypted reasoning. Used by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._owner = clock, ""
        self._pins: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()  # who answered, and when
        self._writers: OrderedDict[tuple[str, str], tuple[str, str | None]] = OrderedDict()

    def of(self, owner: str | None) -> Sessions:
        """The view for an API key; None is the view for requests without a key."""
        part = copy.copy(self)  # shares the entries
        part._owner = owner or ""
        return part

    def pin(self, session: str, candidate: str) -> None:
        """Remember which candidate answered."""
        _remember(self._pins, (self._owner, session), (candidate, self._clock()))

    def pinned(self, session: str) -> tuple[str | None, float]:
        """The candidate that answered last, and how many seconds ago; (None, infinity) for an unknown conversation."""
        candidate, at = self._pins.get((self._owner, session), (None, -math.inf))
        return candidate, self._clock() - at

    def wrote(self, written: str, candidate: str, request_id: str | None = None) -> None:
        """Remember who wrote encrypted reasoning (given its hash), or a response or one of its items (given its id).

        Args:
            request_id: the request's id, if the response consists of text alone.
        """
        _remember(self._writers, (self._owner, written), (candidate, request_id))

    def writer(self, written: str) -> str | None:
        """The candidate that wrote it; None if unknown."""
        return self._writers.get((self._owner, written), (None, None))[0]

    def request(self, response_id: str) -> str | None:
        """The id of a response's request, if the response consists of text alone; otherwise None."""
        return self._writers.get((self._owner, response_id), (None, None))[1]


def _remember(entries: OrderedDict[tuple[str, str], Value], key: tuple[str, str], value: Value) -> None:
    """Add the newest entry, and forget the oldest one if there are too many."""
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > MOST_REMEMBERED:
        entries.popitem(last=False)


def digests(message: Mapping[str, Any]) -> Iterator[str]:
    """The hashes of the encrypted parts of a message, of a chunk's delta, or of an item of a response."""
    entries = [{ENCRYPTED: message.get(ENCRYPTED)}, *(entry for name in LISTS for entry in objects(message.get(name)))]
    for value in (entry.get(name) for entry in entries for name in SECRETS):
        if isinstance(value, str) and value:
            yield hashlib.sha256(value.encode()).hexdigest()


def marks(item: Mapping[str, Any]) -> Iterator[str]:
    """What identifies an item of a response when a client sends it back: the hashes of its encrypted parts, its id."""
    yield from digests(item)
    if isinstance(id := item.get("id"), str):
        yield id


def find_writer(messages: Sequence[Mapping[str, Any]], sessions: Sessions) -> str | None:
    """The candidate that wrote the newest encrypted reasoning with a known writer; None if there is none."""
    writers = (sessions.writer(digest) for message in reversed(messages) for digest in digests(message))
    return next(filter(None, writers), None)


def readable_by(
    candidate: str, parts: Sequence[Mapping[str, Any]], sessions: Sessions, unknown: bool = False
) -> list[Mapping[str, Any]]:
    """The parts of a conversation without encrypted reasoning that a candidate did not write.

    Messages lose their encrypted fields; other items of the Responses API's input are left out.

    Args:
        unknown: keep reasoning whose writer is unknown.
    """
    writers, readable = {candidate, None} if unknown else {candidate}, list[Mapping[str, Any]]()
    for part in parts:
        if all(sessions.writer(digest) in writers for digest in digests(part)):
            readable.append(part)
        elif "role" in part:
            readable.append({name: value for name, value in part.items() if name not in (ENCRYPTED, *LISTS)})
    return readable
