"""Which conversation gets which slot of llama.cpp. A slot keeps the tokens of its last prompt and answer computed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from zooter_core.backends.turn_queue import TurnQueue


@dataclass
class Slot:
    """A slot of the process.

    Attributes:
        adapter: the number of the adapter with which its tokens were computed.
        tokens: the prompt it has read.
        room: tokens that are reserved for its prompt and answer.
    """

    number: int
    adapter: int | None = None
    tokens: Sequence[int] = ()
    room: int = 0
    used: int = 0


class Slots:
    """The free slots, and the room for tokens that all of them share. A request that needs more waits in line."""

    def __init__(self, count: int, room: int) -> None:
        self._free = [Slot(number) for number in range(count)]
        self._count, self._room = count, room
        self._changed = threading.Condition()
        self._line = TurnQueue()
        self._uses = 0

    def take(self, adapter: int | None, tokens: Sequence[int], room: int, stop: threading.Event) -> Slot | None:
        """The free slot that has read the longest part of a prompt, else the one unused for longest.

        Args:
            room: tokens of the prompt and of the longest answer.

        Returns:
            None if `stop` was set while this call waited.
        """
        ticket = self._line.join()
        try:
            if not ticket.wait(stop):
                return None
            with self._changed:
                while not self._free or self._room < room:
                    if stop.is_set():
                        return None
                    self._changed.wait(0.1)  # a stop does not notify
                slot = max(self._free, key=lambda slot: (_common(slot, adapter, tokens), -slot.used))
                self._free.remove(slot)
                self._uses, self._room = self._uses + 1, self._room - room
                slot.adapter, slot.tokens, slot.room, slot.used = adapter, tokens, room, self._uses
                return slot
        finally:
            ticket.leave()

    @property
    def busy(self) -> bool:
        """Whether a slot is in use."""
        return len(self._free) < self._count

    def give_back(self, slot: Slot) -> None:
        """Make a slot free."""
        with self._changed:
            self._free.append(slot)
            self._room += slot.room
            self._changed.notify()


def _common(slot: Slot, adapter: int | None, tokens: Sequence[int]) -> int:
    """How many tokens of a prompt a slot has read."""
    if slot.adapter != adapter:
        return 0
    pairs = zip(slot.tokens, tokens, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(slot.tokens), len(tokens)))
