"""How many requests one server has at the same time: its `parallel` at most, fewer while it cannot keep up.

Additive increase, multiplicative decrease, as in TCP's congestion control (Chiu and Jain, 1989): a refusal for too many
requests (429) or a time-out halves the number, and as many answers as are allowed at once raise it by one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Pace:
    """The places that one server's requests take, first come, first served. For one event loop.

    Attributes:
        limit: requests at the same time, a fraction between two whole numbers while it grows.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.limit = most, float(most)
        self._clock = clock
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = self._paused_until = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[float]:
        """Wait for a place and take it. Yields the time at which the request starts."""
        await self._enter()
        try:
            yield self._clock()
        finally:
            self._running -= 1
            self._wake()

    def answered(self) -> None:
        """An answer has come to its end."""
        self.limit = min(self.limit + 1 / self.limit, float(self.most))
        self._wake()

    def overloaded(self, started: float) -> None:
        """A request that started then was refused or timed out. Those that started before the last cut count once."""
        if started > self._cut_at:
            self.limit = max(self.limit / 2, 1.0)
            self._cut_at = self._clock()

    def pause(self, seconds: float) -> None:
        """Start no request for so long, as the server asks (Retry-After)."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    async def _enter(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had been given a place
                self._running -= 1
                self._wake()
            raise

    def _wake(self) -> None:
        """Give the free places to those who wait; during a pause, at its end."""
        pause = self._paused_until - self._clock()
        if pause > 0:
            if self._timer is None and self._waiting:
                self._timer = asyncio.get_running_loop().call_later(pause, self._end_pause)
            return
        while self._waiting and self._running < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                self._running += 1
                turn.set_result(None)

    def _end_pause(self) -> None:
        self._timer = None
        self._wake()
