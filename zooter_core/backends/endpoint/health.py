"""What a connection knows about its server: how many requests it can take, its circuit breaker, and what it refuses.

The pace: a server gets at most `parallel` concurrent requests, and fewer while it cannot keep up. This is additive
increase, multiplicative decrease, as in TCP's congestion control (Chiu and Jain, 1989): a refusal for too many requests
(429) or a timeout halves the limit, and as many answers as the limit raise it by one. Work with thousands of waiting
requests begins with few, and until the first cut each answer raises the limit (slow start), so that a server that
answers one request at a time is not flooded. Interactive requests begin with the full limit: they come one by one, and
a slow start would only delay them.

The circuit breaker: a server that keeps failing is not asked for a while, then a tiny request tests it. Only failures
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
REMEMBERED_SECONDS = 600.0  # after which a server is asked again for what it refused, as its options may have changed


class Places:
    """A semaphore whose size, `most`, can change. Places are given in order of arrival, by `enter` or `async with`. For
    one event loop."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most, self._waiting = most, deque[asyncio.Future[None]]()
        self.taken = self.peak = 0  # the current number, and the highest so far

    @property
    def waiting(self) -> int:
        """The number of requests that wait for a place."""
        return sum(not turn.done() for turn in self._waiting)

    async def enter(self) -> None:
        """Wait for a place and take it. The caller must `leave` it."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.fill()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a place at the same time
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
        """Give free places to waiting requests."""
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
        """Seconds left of the pause that the server has asked for."""
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
        """Note that a request that started then was refused or timed out. Those from before the last cut count once."""
        if started > self._cut_at:
            self.limit = max(min(self.limit, self._places.peak) / 2, 1.0)
            self._cut_at, self._places.peak = monotonic(), self._places.taken

    def pause(self, seconds: float) -> None:
        """Start no request for some seconds, as the server asks (Retry-After)."""
        self._paused_until = max(self._paused_until, monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._places.fill)


class Breaker:
    """A circuit breaker. Closed: the server is asked. Open: it is not. Half-open: a trial decides (`Connection`).

    Args:
        after: the number of consecutive failed requests that opens it.
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
        """Seconds until it is half-open."""
        return max(self._until - monotonic(), 0.0)

    @property
    def reason(self) -> str:
        """Why it is open."""
        return f"{self._failures} failures in a row, the last: {self._reason}"

    def failed(self, reason: str) -> None:
        """Count a request on which the server failed."""
        self._failures += 1
        self._until, self._reason = monotonic() + self._seconds, reason

    def answered(self) -> None:
        """Close it: the server works."""
        self._failures = 0


class Refusals:
    """What a server has recently refused. After REMEMBERED_SECONDS, it is asked for it again."""

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
