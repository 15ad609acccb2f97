"""The state of a server as its connection sees it: the limit on concurrent requests, the circuit breaker, and refusals.

The pace: a server gets at most `parallel` concurrent requests, and fewer while it cannot keep up. This is additive
increase, multiplicative decrease, as in TCP's congestion control (Chiu and Jain, 1989): a refusal for too many requests
(429) or a timeout halves the limit, and as many answers as the limit raise it by one. Jobs with thousands of requests
begin with a low limit, and until it is first halved, each answer raises it by one (slow start), so that a server that
answers one request at a time is not flooded. Interactive requests begin with the full limit: they come one by one, and
a slow start would only delay them.

The circuit breaker: after repeated failures, a server gets no requests for a while, then a tiny request tests it. Only
failures of the server itself count (`faults.find_subject`), and each request counts once, even if it was retried.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Literal

State = Literal["closed", "open", "half-open"]
STATES: tuple[State, ...] = ("closed", "open", "half-open")
REMEMBERED_SECONDS = 600.0  # how long a refusal is remembered; the server's options may change


class Places:
    """A semaphore whose size can change, for one event loop. `enter` or `async with` takes a place, first come, first
    served.

    Args:
        most: returns the current size.

    Attributes:
        taken, peak: the current number of places that are taken, and the highest number so far.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most, self._waiting = most, deque[asyncio.Future[None]]()
        self.taken = self.peak = 0

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
            if not turn.cancelled():  # the request got a place at the same time
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
            if not turn.done():  # done if the request was cancelled
                self.taken += 1
                self.peak = max(self.peak, self.taken)
                turn.set_result(None)


class Pace:
    """The limit on one server's concurrent requests, for one event loop.

    Args:
        most, begin: the highest limit, and the first one.

    Attributes:
        limit: the current limit. While it grows, it can be a fraction.
    """

    def __init__(self, most: int, begin: int | None = None) -> None:
        self.most, self.limit = most, float(min(most, begin or most))
        self._places = Places(lambda: 0 if self.seconds_left else int(self.limit))
        self._cut_at, self._paused_until = float("-inf"), float("-inf")

    @property
    def seconds_left(self) -> float:
        """Seconds until the pause ends that the server has asked for; 0 if there is none."""
        return max(self._paused_until - monotonic(), 0.0)

    async def enter(self, patience: float | None = None) -> float:
        """Wait for a place and take it. The caller must `leave` it. Return the time at which the request starts.

        Args:
            patience: seconds to wait; None waits forever.

        Raises:
            TimeoutError: no place became free in time.
        """
        async with asyncio.timeout(patience):
            await self._places.enter()
        return monotonic()

    def leave(self) -> None:
        self._places.leave()

    def answered(self, soon: bool = True) -> None:
        """Record a complete answer. Raise the limit if the first token came soon."""
        step = 1.0 if self._cut_at == float("-inf") else 1 / self.limit
        self.limit = min(self.limit + step * soon, float(self.most))
        self._places.fill()

    def overloaded(self, started: float) -> None:
        """Record a request that was refused or timed out. Halve the limit, unless this was done since it started."""
        if started > self._cut_at:
            self.limit = max(min(self.limit, self._places.peak) / 2, 1.0)
            self._cut_at, self._places.peak = monotonic(), self._places.taken

    def pause(self, seconds: float) -> None:
        """Start no requests for some seconds, which the server asked for (Retry-After)."""
        self._paused_until = max(self._paused_until, monotonic() + seconds)
        asyncio.get_running_loop().call_later(seconds + 0.001, self._places.fill)


class Breaker:
    """A circuit breaker. While it is closed, the server gets requests; while it is open, none. When it is half-open,
    `Connection` sends a trial request.

    Args:
        after: the number of consecutive failed requests that opens the breaker.
        seconds: how long the breaker stays open. With 0, it never opens.
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
        """Seconds until the breaker is half-open."""
        return max(self._until - monotonic(), 0.0)

    @property
    def reason(self) -> str:
        """Why the breaker is open."""
        return f"{self._failures} failures in a row, the last: {self._reason}"

    def failed(self, reason: str) -> None:
        """Count a failure of the server."""
        self._failures += 1
        self._until, self._reason = monotonic() + self._seconds, reason

    def answered(self) -> None:
        """Close the breaker after an answer."""
        self._failures = 0


class Refusals:
    """Fields and kinds of requests that a server has refused within REMEMBERED_SECONDS."""

    def __init__(self) -> None:
        self._until = dict[str, float]()
        self._limit: int | None = None

    def note(self, subject: str, context_tokens: int | None = None) -> None:
        """Remember a refused `Subject` or field, and the longest context if the server has named it."""
        self._limit = context_tokens or self._limit
        self._until[subject] = monotonic() + REMEMBERED_SECONDS

    def __contains__(self, subject: Any) -> bool:
        return monotonic() < self._until.get(subject, 0.0)

    @property
    def context_tokens(self) -> int | None:
        """The longest context that the server accepts; None if no recent refusal has named it."""
        return self._limit if "context" in self else None
