"""Which candidate a conversation has, so that it does not change in the middle without a reason.

Each API key has conversations of its own, and an id of another key's finds nothing. Encrypted reasoning goes back only
to the model that wrote it, since no other can read it. Servers return it in fields of the message,
`reasoning_details` (OpenRouter), `thinking_blocks` (Anthropic's, as LiteLLM names them) or `encrypted_content`
(OpenAI), and its hash says which candidate wrote it.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from zooter_core.base.strict_json import objects

Value = TypeVar("Value")
MOST_SESSIONS = 100_000
MOST_WRITERS = 100_000
LISTS = ("reasoning_details", "thinking_blocks")
SECRETS = ("data", "signature", "encrypted_content")


@dataclass(frozen=True, slots=True)
class Pin:
    """The candidate of a conversation, and when it was last asked."""

    candidate: str
    at: float


class Sessions:
    """The candidates of recent conversations, and the writers of encrypted reasoning. Used by one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._owner = clock, ""
        self._pins: OrderedDict[tuple[str, str], Pin] = OrderedDict()
        self._writers: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._requests: OrderedDict[tuple[str, str], str | None] = OrderedDict()

    def of(self, owner: str | None) -> Sessions:
        """The part of an API key; None is the part of those without one."""
        part = copy.copy(self)  # which shares the memory
        part._owner = owner or ""
        return part

    def pin(self, session: str, candidate: str) -> None:
        """Remember who answered."""
        _remember(self._pins, (self._owner, session), Pin(candidate, self._clock()), MOST_SESSIONS)

    def candidate(self, session: str) -> str | None:
        """The candidate that answered last, however long ago."""
        pin = self._pins.get((self._owner, session))
        return pin.candidate if pin else None

    def age(self, session: str) -> float:
        """Seconds since the conversation's last turn; infinite for an unknown one."""
        pin = self._pins.get((self._owner, session))
        return self._clock() - pin.at if pin else float("inf")

    def wrote(self, digest: str, candidate: str) -> None:
        """Remember who wrote a piece of encrypted reasoning."""
        _remember(self._writers, (self._owner, digest), candidate, MOST_WRITERS)

    def writer(self, digest: str) -> str | None:
        """Who wrote a piece of encrypted reasoning; None if that is not known."""
        return self._writers.get((self._owner, digest))

    def responded(self, response_id: str, candidate: str, request_id: str | None) -> None:
        """Remember who gave a response of the Responses API, and to which request, if the text is all of it."""
        self.wrote(response_id, candidate)
        _remember(self._requests, (self._owner, response_id), request_id, MOST_WRITERS)

    def request(self, response_id: str) -> str | None:
        """The request whose text is a whole response; None if there is none."""
        return self._requests.get((self._owner, response_id))


def _remember(entries: OrderedDict[tuple[str, str], Value], key: tuple[str, str], value: Value, most: int) -> None:
    """Add the newest entry, and forget the oldest one if there are too many."""
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > most:
        entries.popitem(last=False)


def digests(message: Mapping[str, Any]) -> Iterator[str]:
    """The hashes of the encrypted parts of a message, or of a chunk's delta."""
    if any(message.get(name) for name in (*LISTS, "encrypted_content")):
        for entry in _entries(message):
            yield from _of(entry)


def find_writer(messages: Sequence[Mapping[str, Any]], sessions: Sessions) -> str | None:
    """Who wrote the newest encrypted reasoning in a conversation; None if there is none, or its writer is not known."""
    for message in reversed(messages):
        for digest in digests(message):
            if writer := sessions.writer(digest):
                return writer
    return None


def readable_by(
    candidate: str, messages: Sequence[Mapping[str, Any]], sessions: Sessions, unknown: bool = False
) -> list[Mapping[str, Any]]:
    """The messages without the encrypted reasoning that another candidate wrote.

    Args:
        unknown: keep that whose writer is not known.
    """
    return [_readable(message, _writers(candidate, unknown), sessions) for message in messages]


def written_by(candidate: str, items: Sequence[Any], sessions: Sessions, unknown: bool = False) -> list[Any]:
    """The items of the Responses API's input without the encrypted reasoning of others, as `readable_by`."""
    writers = _writers(candidate, unknown)
    return [item for item in items if all(sessions.writer(digest) in writers for digest in digests(item))]


def _writers(candidate: str, unknown: bool) -> Collection[str | None]:
    return {candidate, None} if unknown else {candidate}


def _readable(message: Mapping[str, Any], writers: Collection[str | None], sessions: Sessions) -> Mapping[str, Any]:
    def is_candidates(entry: Mapping[str, Any]) -> bool:
        return all(sessions.writer(digest) in writers for digest in _of(entry))

    if not any(True for _ in digests(message)):
        return message
    shape = dict(message)
    for name in LISTS:
        if isinstance(entries := shape.get(name), list):
            shape[name] = [entry for entry in entries if not isinstance(entry, dict) or is_candidates(entry)]
            if not shape[name]:
                del shape[name]
    if not is_candidates({"encrypted_content": shape.get("encrypted_content")}):
        del shape["encrypted_content"]
    return shape


def _entries(message: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield {"encrypted_content": message.get("encrypted_content")}
    for name in LISTS:
        yield from objects(message.get(name))


def _of(entry: Mapping[str, Any]) -> Iterator[str]:
    for name in SECRETS:
        if isinstance(value := entry.get(name), str) and value:
            yield hashlib.sha256(value.encode()).hexdigest()
