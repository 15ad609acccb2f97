"""What a connection knows of its server: how many requests it can take, whether it rests, what it refuses.

The pace: a server has its `parallel` requests at the same time at most, and fewer while it cannot keep up. Additive
increase, multiplicative decrease, as in TCP's congestion control (Chiu and Jain, 1989): a refusal for too many requests
(429) or a time-out halves the most that have been under way, and as many answers as are allowed at once raise it by
one. Work that has thousands of requests ready begins with few, and until the first cut each answer raises the number
(slow start), so that a server that answers one request at a time is not flooded. Interactive requests begin with all
places: they come one by one, and a slow start would only delay them.

The circuit breaker: a server that keeps failing is left alone for a while, then a tiny request tries it. Only failures
of the server itself count (`faults.find_subject`), and each request counts once, however often it was sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Literal

State = Literal["closed", "open", "half-open"]
STATES: tuple[State, ...] = ("closed", "open", "half-open")
REMEMBERED_SECONDS = 600.0  # after which a server is asked again for what it refused: it may have other options now


class Places:
    """As many places as `most` says now. Requests take them in order of arrival, here or with `async with`. For one
    event loop."""

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
        self.taken -= 1
        self.fill()

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(self, *_: object) -> None:
        self.leave()

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

    def __init__(self, most: int, begin: int | None = None) -> None:
        self.most, self.limit = most, float(min(most, begin or most))
        self._places = Places(lambda: 0 if self.seconds_left else int(self.limit))
        self._cut_at, self._paused_until = float("-inf"), float("-inf")

    @property
    def seconds_left(self) -> float:
        """Of the pause that the server has asked for."""
        return max(self._paused_until - monotonic(), 0.0)

    async def enter(self, patience: float | None = None) -> float:
        """Wait for a place and take it; the caller must `leave` it. Returns the time at which the request starts.

        Raises:
            TimeoutError: no place became free in that time.
        """
        async with asyncio.timeout(patience):
            await self._places.enter()
        return monotonic()

    def leave(self) -> None:
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
            self._cut_at, self._places.peak = monotonic(), self._places.taken

    def pause(self, seconds: float) -> None:
        """Start no request for some seconds, as the server asks (Retry-After)."""
        self._paused_until = max(self._paused_until, monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._places.fill)


class Breaker:
    """Closed: ask the server. Open: it rests. Half-open: its rest is over, and a trial decides (`Connection`).

    Args:
        after: failed requests in a row that open it.
        seconds: how long it stays open; 0 never opens it.
    """

    def __init__(self, after: int, seconds: float) -> None:
        self._after, self._seconds = after, seconds
        self._failures, self._until, self._reason = 0, 0.0, ""

    @property
    def state(self) -> State:
        if self._failures < self._after or not self._seconds:
            return "closed"
        return "open" if self.seconds_left > 0 else "half-open"

    @property
    def seconds_left(self) -> float:
        """Until the rest is over."""
        return max(self._until - monotonic(), 0.0)

    @property
    def reason(self) -> str:
        """Why the server rests."""
        return f"{self._failures} failures in a row, the last: {self._reason}"

    def failed(self, reason: str) -> None:
        """Count a request that the server failed."""
        self._failures += 1
        self._until, self._reason = monotonic() + self._seconds, reason

    def answered(self) -> None:
        """Close it: the server works."""
        self._failures = 0


class Refusals:
    """What a server has refused lately. It is asked for it again after REMEMBERED_SECONDS."""

    def __init__(self) -> None:
        self._until = dict[str, float]()
        self._limit: int | None = None

    def note(self, subject: str, context_tokens: int | None = None) -> None:
        """Remember a refusal, of a `Subject` or a field, with the longest context if the server has named it."""
        self._limit = context_tokens or self._limit
        self._until[subject] = monotonic() + REMEMBERED_SECONDS

    def __contains__(self, subject: Any) -> bool:
        return monotonic() < self._until.get(subject, 0.0)

    @property
    def context_tokens(self) -> int | None:
        """The longest context; None if no refusal has named it."""
        return self._limit if "context" in self else None
