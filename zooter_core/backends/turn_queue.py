"""A first-come, first-served queue for sessions that need the same model one at a time."""

from __future__ import annotations

import threading

POLL_SECONDS = 0.1  # between looks at a stop event, which does not wake a waiting thread


class TurnQueue:
    """A queue of tickets. The first ticket has its turn."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._changed = threading.Condition()

    def join(self) -> Ticket:
        """Return a new ticket at the end of the queue."""
        with self._changed:
            ticket = Ticket(self)
            self._tickets.append(ticket)
            return ticket

    def ahead(self, ticket: Ticket) -> int:
        """How many tickets come before this one; 0 if it has its turn or has left."""
        with self._changed:
            return self._tickets.index(ticket) if ticket in self._tickets else 0

    def wait(self, ticket: Ticket, stop: threading.Event) -> bool:
        """Wait for the ticket's turn. Return False if `stop` is set first; the ticket has then left the queue."""
        with self._changed:
            while self._tickets[0] is not ticket:
                if stop.is_set():
                    self._tickets.remove(ticket)
                    self._changed.notify_all()
                    return False
                self._changed.wait(POLL_SECONDS)
            return True

    def leave(self, ticket: Ticket) -> None:
        """End the ticket's turn, or give up its place."""
        with self._changed:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
            self._changed.notify_all()


class Ticket:
    """A place in a turn queue."""

    def __init__(self, queue: TurnQueue) -> None:
        self.queue = queue

    @property
    def ahead(self) -> int:
        """How many tickets come before this one."""
        return self.queue.ahead(self)

    def wait(self, stop: threading.Event) -> bool:
        """Wait for the turn. Return False if `stop` is set first."""
        return self.queue.wait(self, stop)

    def leave(self) -> None:
        """End the turn, or give up the place."""
        self.queue.leave(self)
