"""Which candidate a conversation has, so that it does not change in the middle without a reason.

Each API key has conversations of its own: what another key knows them by finds nothing.
"""

from __future__ import annotations

import copy
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")
MOST_SESSIONS = 100_000
MOST_WRITERS = 100_000


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


def _remember(entries: OrderedDict[tuple[str, str], Value], key: tuple[str, str], value: Value, most: int) -> None:
    """Add the newest entry, and forget the oldest one if there are too many."""
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > most:
        entries.popitem(last=False)
