"""Routes many requests at once: a thread takes all waiting conversations as a batch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Decision
from zooter_core.fleet.routing import Turns

LOG = logging.getLogger("zooter.serve")
MOST_IN_BATCH = 32  # in a batch
BATCH_CHARACTERS = 1_000  # in a batch of more than one
READ_CHARACTERS = 2_000  # about what is read of a conversation: 256 tokens of its newest turn and of its topic
TRIAL_SECONDS = 5

Route = Callable[[Sequence[Turns]], list[Decision]]
Entry = tuple[Turns, asyncio.Future[Decision]]


class BatchRouter:
    """Routes conversations in its own thread. While a batch is computed, the next one is collected.

    Askers take turns: no asker has a second conversation in a batch before every other one has one. A long conversation
    that does not fit waits for the next batch, and does not delay others' short ones. For one event loop.

    Args:
        route: the decisions on a batch (`FleetModels.routing`).
    """

    def __init__(self, route: Route) -> None:
        self._route, self._thread = route, ThreadPoolExecutor(1, "route")
        self._waiting: dict[str, deque[Entry]] = {}  # by asker, in the order of their turns
        self._routing: asyncio.Task[None] | None = None
        self._failure = ""

    async def route(self, turns: Turns, asker: str = "") -> Decision:
        """The decision on a conversation, from the texts of its user's turns.

        Args:
            asker: whose turn it takes.

        Raises:
            ZooterError: the router fails.
        """
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append((turns, future))
        if self._routing is None or self._routing.done():
            self._routing = asyncio.create_task(self._route_waiting())
        return await future

    async def failure(self) -> str:
        """Why it cannot route; "" if it can. After a failure, it is tried on a text of our own."""
        if self._failure:
            with suppress(ZooterError, TimeoutError):
                async with asyncio.timeout(TRIAL_SECONDS):
                    await self.route([f"Hello {time.monotonic()}"], "trial")  # a text that is not in memory
        return self._failure

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    async def _route_waiting(self) -> None:
        while batch := self._next_batch():
            conversations = [turns for turns, _ in batch]
            results = await asyncio.get_running_loop().run_in_executor(self._thread, self._decide, conversations)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():  # the client has gone away
                    continue
                if isinstance(result, ZooterError):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _next_batch(self) -> list[Entry]:
        """The next batch. A conversation that is too long for it waits for the following one."""
        batch, characters, askers = list[Entry](), 0, deque(self._waiting)
        while askers and len(batch) < MOST_IN_BATCH:
            asker = askers.popleft()
            entries = self._waiting[asker]
            turns, future = entries[0]
            size = min(sum(map(len, turns)), READ_CHARACTERS)
            if batch and characters + size > BATCH_CHARACTERS:
                continue
            entries.popleft()
            del self._waiting[asker]
            if entries:  # after all others
                self._waiting[asker] = entries
                askers.append(asker)
            if not future.done():
                batch.append((turns, future))
                characters += size
        return batch

    def _decide(self, conversations: Sequence[Turns]) -> list[Decision | ZooterError]:
        """The decisions on a batch, or the error. Runs in the thread."""
        try:
            results = self._route(conversations)
        except BaseException as problem:  # panics of tokenizers are not an Exception
            if len(conversations) > 1:  # a single one may be the cause, and must not make the others fail
                half = len(conversations) // 2
                return self._decide(conversations[:half]) + self._decide(conversations[half:])
            LOG.error("the router failed on a request", exc_info=problem)
            self._failure = f"it failed ({type(problem).__name__})"
            if isinstance(problem, ZooterError):
                return [problem]
            return [WorkError("a decision from the router", self._failure, "Run `zooter check` on the fleet.")]
        self._failure = ""
        return list(results)
