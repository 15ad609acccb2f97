"""Circuit breaker of one server: one that keeps failing rests, then a tiny request of ours tries it.

Only failures of the server itself count (`refusals.subject_of`), and each request once, however often it was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

State = Literal["closed", "open", "half-open"]
STATES: tuple[State, ...] = ("closed", "open", "half-open")


class Breaker:
    """Closed: ask the server. Open: it rests. Half-open: its rest is over, and `try_again` decides.

    Args:
        after: failed requests in a row that open it.
        seconds: how long it stays open; 0 never opens it.

    Attributes:
        clock: may be replaced.
    """

    def __init__(self, after: int, seconds: float) -> None:
        self.clock: Callable[[], float] = time.monotonic
        self._after, self._seconds = after, seconds
        self._failures, self._until, self._reason = 0, 0.0, ""
        self._trying = asyncio.Lock()

    @property
    def state(self) -> State:
        if self._failures < self._after or not self._seconds:
            return "closed"
        return "open" if self.seconds_left > 0 else "half-open"

    @property
    def seconds_left(self) -> float:
        """Until the rest is over."""
        return max(self._until - self.clock(), 0.0)

    @property
    def reason(self) -> str:
        """Why the server rests."""
        return f"{self._failures} failures in a row, the last: {self._reason}"

    def failed(self, reason: str) -> None:
        """Count a request that the server failed."""
        self._failures += 1
        self._until, self._reason = self.clock() + self._seconds, reason

    def answered(self) -> None:
        """Close it: the server works."""
        self._failures = 0

    async def try_again(self, probe: Callable[[], Awaitable[str | None]]) -> None:
        """Close or open it again after a rest. Who comes meanwhile waits for the same trial.

        Args:
            probe: sends a tiny request; returns why the server failed, or None.
        """
        async with self._trying:
            if self.state == "half-open":
                reason = await probe()
                self.answered() if reason is None else self.failed(reason)
