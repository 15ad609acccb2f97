"""Limits: concurrent requests and a bounded queue in total; concurrent requests, requests per minute and tokens per
minute for each key."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from zooter_core.backends.endpoint.health import Places
from zooter_core.config.serve import ServeConfig
from zooter_core.serve.errors import ApiError
from zooter_core.serve.keys import Key

MINUTE = 60.0
MOST_BODIES = 64  # read at the same time per key; the key's other requests wait
BUSY_SECONDS = 1  # Retry-After if there is no place for a request
QUEUE_SECONDS = 60.0  # how long a request waits for a place


@dataclass
class Allowance:
    """A token bucket that holds a minute's worth. It may be overdrawn, and then has to refill."""

    used: float = 0.0
    at: float = -math.inf

    def wait(self, per_minute: float, now: float) -> float:
        """Seconds until one unit is available."""
        self.used = max(0.0, self.used - max(0.0, now - self.at) * per_minute / MINUTE)
        self.at = now
        over = self.used + 1 - per_minute
        return max(0.0, over * MINUTE / per_minute)


@dataclass
class Use:
    """What one key uses; without keys, what all requests use together."""

    requests: Allowance = field(default_factory=Allowance)
    tokens: Allowance = field(default_factory=Allowance)
    concurrent: int = 0
    bodies: Places = field(default_factory=lambda: Places(lambda: MOST_BODIES))


class Admission:
    """Applies the limits. Used by one event loop."""

    def __init__(self, limits: Callable[[], ServeConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._by_key: defaultdict[str, Use] = defaultdict(Use)
        self._places = Places(lambda: limits().concurrent)

    @property
    def running(self) -> int:
        return self._places.taken

    @property
    def waiting(self) -> int:
        return self._places.waiting

    def count(self, key: Key | None) -> None:
        """Count a request.

        Raises:
            ApiError: a limit per minute is reached.
        """
        if key is None:
            return
        use, now = self._use(key), self._clock()
        checks = [(use.requests, key.requests_per_minute, "requests"), (use.tokens, key.tokens_per_minute, "tokens")]
        for allowance, per_minute, what in checks:
            if per_minute and (seconds := allowance.wait(per_minute, now)) > 0:
                message = f"The key {key.name} has reached its limit of {what} per minute ({per_minute:,})."
                raise _later(429, message, "rate_limit_exceeded", seconds)
        use.requests.used += 1

    def spend(self, key: Key | None, tokens: int) -> None:
        """Count the tokens of a request that has ended."""
        self._use(key).tokens.used += tokens

    def reading(self, key: Key | None) -> Places:
        """Places for requests whose bodies are being read. They do not count as places of `place`."""
        return self._use(key).bodies

    @asynccontextmanager
    async def place(self, key: Key | None) -> AsyncIterator[None]:
        """Hold a place for a request, from the end of its body to the end of its answer. First come, first served.

        Raises:
            ApiError: the queue is full, or no place became free in time.
        """
        limits, use, here = self._limits(), self._use(key), self.running + self.waiting
        if here >= limits.concurrent + limits.queue:
            raise _later(503, f"{here:,} requests are already running or waiting.", "queue_full", BUSY_SECONDS)
        if key and key.concurrent and use.concurrent >= key.concurrent:
            message = f"The key {key.name} has reached its limit of concurrent requests ({key.concurrent:,})."
            raise _later(429, message, "rate_limit_exceeded", BUSY_SECONDS)
        use.concurrent += 1
        try:
            try:
                async with asyncio.timeout(QUEUE_SECONDS):
                    await self._places.enter()
            except TimeoutError:
                message = f"No place became free within {QUEUE_SECONDS:g} s."
                raise _later(503, message, "queue_timeout", BUSY_SECONDS) from None
            try:
                yield
            finally:
                self._places.leave()
        finally:
            use.concurrent -= 1

    def _use(self, key: Key | None) -> Use:
        return self._by_key[key.name if key else ""]


def _later(status: int, message: str, code: str, seconds: float) -> ApiError:
    kind = "rate_limit_error" if status == 429 else None
    headers = {"retry-after": str(max(1, math.ceil(seconds)))}
    return ApiError(status, f"{message} Try again later.", code, kind=kind, headers=headers)
