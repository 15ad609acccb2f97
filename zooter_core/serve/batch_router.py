"""Routes requests in batches: a thread takes the conversations that are waiting."""

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
MOST_IN_BATCH = 32  # conversations
BATCH_CHARACTERS = 1_000  # in a batch of more than one conversation
READ_CHARACTERS = 2_000  # about what the router reads: 256 tokens of the newest turn and 256 of the topic
TRIAL_SECONDS = 5

Route = Callable[[Sequence[Turns]], list[Decision]]
Entry = tuple[Turns, asyncio.Future[Decision]]


class BatchRouter:
    """Routes conversations in its own thread. While a batch is computed, the next one is collected.

    Askers take turns: an asker gets a second conversation into a batch only after every other asker has one in it. A
    long conversation that does not fit waits for the next batch without delaying others' short ones. Use it from one
    event loop.

    Args:
        route: decides on a batch (`FleetModels.routing`).
    """

    def __init__(self, route: Route) -> None:
        self._route, self._thread = route, ThreadPoolExecutor(1, "route")
        self._waiting: dict[str, deque[Entry]] = {}  # asker -> its entries; the askers in the order of their turns
        self._routing: asyncio.Task[None] | None = None
        self._failure = ""

    async def route(self, turns: Turns, asker: str = "") -> Decision:
        """The decision on a conversation, given the texts of the user's turns.

        Args:
            asker: the client that takes a turn (`Exchange.asker`).

        Raises:
            ZooterError: the router fails.
        """
        future: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append((turns, future))
        if self._routing is None or self._routing.done():
            self._routing = asyncio.create_task(self._route_waiting())
        return await future

    async def failure(self) -> str:
        """Why the router fails; "" if it works. After a failure, the router is tried again on a short text."""
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
                if future.done():  # the client has disconnected
                    continue
                if isinstance(result, ZooterError):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _next_batch(self) -> list[Entry]:
        """The next batch, without the conversations that are too long for the rest of it."""
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
            if entries:  # its next turn comes after those of all other askers
                self._waiting[asker] = entries
                askers.append(asker)
            if not future.done():
                batch.append((turns, future))
                characters += size
        return batch

    def _decide(self, conversations: Sequence[Turns]) -> list[Decision | ZooterError]:
        """The decision or the error for each conversation of a batch. Runs in the thread."""
        try:
            results = self._route(conversations)
        except BaseException as problem:  # a panic in a tokenizer is not an Exception
            if len(conversations) > 1:  # if one conversation is the cause, the others must not fail
                half = len(conversations) // 2
                return self._decide(conversations[:half]) + self._decide(conversations[half:])
            LOG.error("the router failed on a request", exc_info=problem)
            self._failure = f"it failed ({type(problem).__name__})"
            if isinstance(problem, ZooterError):
                return [problem]
            return [WorkError("a decision from the router", self._failure, "Run `zooter check` on the fleet.")]
        self._failure = ""
        return list(results)
