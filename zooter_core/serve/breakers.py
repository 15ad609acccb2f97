"""Circuit breakers: a candidate that keeps failing is not asked for a while, then tried with one request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from zooter_core.serve.targets import TargetError

State = Literal["closed", "open", "half-open"]
STATES: tuple[State, ...] = ("closed", "open", "half-open")
NO_SUCH_API = 404


class Breaker:
    """The breaker of one candidate.

    Args:
        rest_after: failures in a row that open it.
        rest_seconds: how long it stays open; then one request may try.
    """

    def __init__(self, rest_after: int, rest_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._after, self._seconds, self._clock = rest_after, rest_seconds, clock
        self._failures, self._until, self._reason = 0, 0.0, ""
        self._trial_until = 0.0  # the request that tries may never begin, so its turn ends by itself

    @property
    def state(self) -> State:
        if self._failures < self._after:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    def refusal(self) -> TargetError | None:
        """Why the candidate is not asked now; None if it may be."""
        if (state := self.state) == "closed":
            return None
        now = self._clock()
        until = self._until if state == "open" else self._trial_until
        if now >= until:
            self._trial_until = now + self._seconds
            return None
        reason = f"it rests after {self._failures} failures in a row, the last: {self._reason}"
        return TargetError(reason, 503, retry_after=until - now)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One attempt; how it ends counts. A request that is at fault itself, or whose client leaves, does not."""
        try:
            yield
        except TargetError as error:
            if error.request_fault or error.status == NO_SUCH_API:
                self._trial_until = 0.0
            else:
                self._failures += 1
                self._until = self._clock() + self._seconds
                self._reason = error.reason
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._trial_until = 0.0
            raise
        self._failures = 0
