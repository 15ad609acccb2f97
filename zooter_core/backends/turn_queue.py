"""A first-come, first-served queue for sessions that need the same model one at a time."""

from __future__ import annotations

import threading

POLL_SECONDS = 0.1  # between looks at a stop event, which does not wake a waiting thread


class TurnQueue:
    """A queue of tickets. The first ticket has its turn."""

    def __init__(self) -> None:
        self.tickets: list[Ticket] = []
        self.changed = threading.Condition()  # also guards the list

    def join(self) -> Ticket:
        """Return a new ticket at the end of the queue."""
        with self.changed:
            self.tickets.append(Ticket(self))
            return self.tickets[-1]


class Ticket:
    """A place in a turn queue."""

    def __init__(self, queue: TurnQueue) -> None:
        self.queue = queue

    @property
    def ahead(self) -> int:
        """How many tickets come before this one; 0 if it has its turn or has left."""
        with self.queue.changed:
            return self.queue.tickets.index(self) if self in self.queue.tickets else 0

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the turn. Return False if `stop` is set first; the ticket has then left the queue."""
        with self.queue.changed:
            while self.queue.tickets[0] is not self:
                if stop.is_set():
                    self.leave()
                    return False
                self.queue.changed.wait(POLL_SECONDS)
            return True

    def leave(self) -> None:
        """End the turn, or give up the place."""
        with self.queue.changed:
            if self in self.queue.tickets:
                self.queue.tickets.remove(self)
            self.queue.changed.notify_all()
