"""How many requests one server has at the same time: its `parallel` at most, fewer while it cannot keep up.

Additive increase, multiplicative decrease, as in TCP's congestion control (Chiu and Jain, 1989): a refusal for too many
requests (429) or a time-out halves the most that have been under way, and as many answers as are allowed at once raise
it by one. Work that has thousands of requests ready begins with few, and until the first cut each answer raises the
number (slow start), so that a server that answers one request at a time is not flooded. Requests that people wait for
begin with all places: they come one by one, and each that waited for a slow start would be late for nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Places:
    """As many places as `most` says now. Requests take them in order of arrival. For one event loop."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most, self._waiting = most, deque[asyncio.Future[None]]()
        self.taken = self.peak = 0  # now, and the most at the same time

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(not turn.done() for turn in self._waiting)

    async def enter(self) -> None:
        """Wait for a place and take it. The caller must `leave` it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.fill()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had been given a place
                self.leave()
            raise

    def leave(self) -> None:
        """Give a place back."""
        self.taken -= 1
        self.fill()

    def fill(self) -> None:
        """Give the free places to those who wait."""
        while self._waiting and self.taken < self._most():
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                self.taken += 1
                self.peak = max(self.peak, self.taken)
                turn.set_result(None)


class Pace:
    """The places that one server's requests take. For one event loop.

    Args:
        most, begin: requests at the same time, at most and at first.

    Attributes:
        limit: requests at the same time, a fraction between two whole numbers while it grows.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic, begin: int | None = None) -> None:
        self.most, self.limit = most, float(min(most, begin or most))
        self._clock = clock
        self._places = Places(lambda: 0 if self.seconds_left else int(self.limit))
        self._cut_at, self._paused_until = float("-inf"), float("-inf")

    @property
    def seconds_left(self) -> float:
        """Of the pause that the server has asked for."""
        return max(self._paused_until - self._clock(), 0.0)

    @asynccontextmanager
    async def place(self, patience: float | None = None) -> AsyncIterator[float]:
        """Wait for a place and take it. Yields the time at which the request starts.

        Raises:
            TimeoutError: there is none within so many seconds.
        """
        async with asyncio.timeout(patience):
            await self._places.enter()
        try:
            yield self._clock()
        finally:
            self._places.leave()

    def answered(self, soon: bool = True) -> None:
        """An answer has come to its end; `soon` says that it did not wait long for its first token."""
        step = 1.0 if self._cut_at == float("-inf") else 1 / self.limit
        self.limit = min(self.limit + step * soon, float(self.most))
        self._places.fill()

    def overloaded(self, started: float) -> None:
        """A request that started then was refused or timed out. Those that started before the last cut count once."""
        if started > self._cut_at:
            self.limit = max(min(self.limit, self._places.peak) / 2, 1.0)
            self._cut_at, self._places.peak = self._clock(), self._places.taken

    def pause(self, seconds: float) -> None:
        """Start no request for so long, as the server asks (Retry-After)."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._places.fill)
