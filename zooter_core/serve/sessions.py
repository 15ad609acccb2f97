"""Which candidate a conversation has, so that it does not change in the middle without a reason.

Each API key has conversations of its own, and an id of another key's finds nothing. Encrypted reasoning goes back only
to the model that wrote it, since no other can read it. Servers return it in fields of the message,
`reasoning_details` (OpenRouter), `thinking_blocks` (Anthropic's, as LiteLLM names them) or `encrypted_content`
(OpenAI), and its hash says which candidate wrote it.
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
MOST_REMEMBERED = 100_000  # of conversations, and of writers
LISTS, ENCRYPTED = ("reasoning_details", "thinking_blocks"), "encrypted_content"
SECRETS = ("data", "signature", ENCRYPTED)


class Sessions:
    """The candidates of recent conversations, and the writers of encrypted reasoning. Used by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._owner = clock, ""
        self._pins: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()  # who answered, and when
        self._writers: OrderedDict[tuple[str, str], tuple[str, str | None]] = OrderedDict()

    def of(self, owner: str | None) -> Sessions:
        """The part of an API key; None is the part of those without one."""
        part = copy.copy(self)  # which shares the memory
        part._owner = owner or ""
        return part

    def pin(self, session: str, candidate: str) -> None:
        """Remember who answered."""
        _remember(self._pins, (self._owner, session), (candidate, self._clock()))

    def pinned(self, session: str) -> tuple[str | None, float]:
        """The candidate that answered last, and how many seconds ago; infinitely many for an unknown conversation."""
        candidate, at = self._pins.get((self._owner, session), (None, -math.inf))
        return candidate, self._clock() - at

    def wrote(self, written: str, candidate: str, request_id: str | None = None) -> None:
        """Remember who wrote a piece of encrypted reasoning (its hash), or gave a response or an item of one (its id).

        Args:
            request_id: of the request whose text is the whole response.
        """
        _remember(self._writers, (self._owner, written), (candidate, request_id))

    def writer(self, written: str) -> str | None:
        """Who wrote it; None if that is not known."""
        return self._writers.get((self._owner, written), (None, None))[0]

    def request(self, response_id: str) -> str | None:
        """The request whose text is a whole response; None if there is none."""
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
    """What an item of a response is known by when it comes back: the hashes of its encrypted parts, and its id."""
    yield from digests(item)
    if isinstance(id := item.get("id"), str):
        yield id


def find_writer(messages: Sequence[Mapping[str, Any]], sessions: Sessions) -> str | None:
    """Who wrote the newest encrypted reasoning in a conversation; None if there is none, or its writer is not known."""
    writers = (sessions.writer(digest) for message in reversed(messages) for digest in digests(message))
    return next(filter(None, writers), None)


def readable_by(
    candidate: str, parts: Sequence[Mapping[str, Any]], sessions: Sessions, unknown: bool = False
) -> list[Mapping[str, Any]]:
    """The messages without the encrypted reasoning of others than a candidate, or the items of the Responses API's
    input without those that hold any.

    Args:
        unknown: keep that whose writer is not known.
    """
    writers, readable = {candidate, None} if unknown else {candidate}, list[Mapping[str, Any]]()
    for part in parts:
        if all(sessions.writer(digest) in writers for digest in digests(part)):
            readable.append(part)
        elif "role" in part:
            readable.append({name: value for name, value in part.items() if name not in (ENCRYPTED, *LISTS)})
    return readable
