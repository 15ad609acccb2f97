"""First come, first served: those who need one model one at a time, and how many are ahead of each."""

from __future__ import annotations

import threading


class Line:
    """A queue of tickets; the first one is being served."""

    def __init__(self) -> None:
        self._tickets: list[Ticket] = []
        self._moved = threading.Condition()

    def join(self) -> Ticket:
        """A place at the end."""
        with self._moved:
            ticket = Ticket(self)
            self._tickets.append(ticket)
            return ticket

    def ahead(self, ticket: Ticket) -> int:
        """How many are served before this one; 0 when it is being served, or has left."""
        with self._moved:
            return self._tickets.index(ticket) if ticket in self._tickets else 0

    def wait(self, ticket: Ticket, stop: threading.Event) -> bool:
        """Wait until it is this one's turn; False if `stop` came first, and its place is given up."""
        with self._moved:
            while self._tickets[0] is not ticket:
                if stop.is_set():
                    self._tickets.remove(ticket)
                    self._moved.notify_all()
                    return False
                self._moved.wait(0.1)  # a stop does not notify
            return True

    def leave(self, ticket: Ticket) -> None:
        """Let the next one come."""
        with self._moved:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
            self._moved.notify_all()


class Ticket:
    """One place in a line."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def ahead(self) -> int:
        return self.line.ahead(self)

    def wait(self, stop: threading.Event) -> bool:
        return self.line.wait(self, stop)

    def leave(self) -> None:
        self.line.leave(self)
