"""Routes many requests at once: one thread takes all waiting conversations as a batch."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.fleet.routing import Routed, Turns

LOG = logging.getLogger("zooter.serve")
MOST_IN_BATCH = 32  # in a batch
BATCH_CHARACTERS = 1_000  # in a batch of more than one
READ_CHARACTERS = 2_000  # of one conversation, about: an encoder reads 256 tokens of its newest turn and of its topic
STALLED_SECONDS = 30  # after which a router that is at work on one batch is not ready
TRIAL_SECONDS = 5

Route = Callable[[Sequence[Turns]], list[Routed]]
Entry = tuple[Turns, Future[Routed]]


class BatchRouter:
    """Routes conversations in a thread of its own. While one batch is computed, the next one gathers.

    Askers take turns: each has one conversation in a batch before any has a second one. A long one that does not fit is
    in the next batch, and does not hold up short ones of others.

    Args:
        route: the decisions on a batch (`FleetModels.routing`).
    """

    def __init__(self, route: Route) -> None:
        self._route, self._changed, self._closing = route, threading.Condition(), False
        self._waiting: OrderedDict[str, deque[Entry]] = OrderedDict()  # by asker, in the order of their turns
        self._failure, self._began, self._trials = "", math.inf, itertools.count()
        self._thread = threading.Thread(target=self._route_waiting, name="route", daemon=True)
        self._thread.start()

    async def route(self, turns: Turns, asker: str = "") -> Routed:
        """The decision on a conversation, from the texts of its user's turns.

        Args:
            asker: whose turn it takes.

        Raises:
            ZooterError: the router fails.
        """
        future: Future[Routed] = Future()
        with self._changed:
            if not self._thread.is_alive():
                raise WorkError("a router at work", "its thread has ended", "Restart the server.")
            self._waiting.setdefault(asker, deque()).append((turns, future))
            self._changed.notify()
        return await asyncio.wrap_future(future)

    async def failure(self) -> str:
        """Why it cannot route; "" if it can. After a failure it has to prove itself on a text of ours."""
        if not self._thread.is_alive():
            return "its thread has ended"
        if (seconds := time.monotonic() - self._began) > STALLED_SECONDS:
            return f"it has been at work on one batch for {seconds:.0f} s"
        if self._failure:
            with suppress(ZooterError, TimeoutError):
                async with asyncio.timeout(TRIAL_SECONDS):
                    await self.route([f"Hello {next(self._trials)}"], "trial")  # a new text: no remembered row counts
        return self._failure

    def close(self) -> None:
        """End the thread after the conversations that wait."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def _route_waiting(self) -> None:
        while batch := self._next_batch():
            self._began = time.monotonic()
            self._answer(batch)
            self._began = math.inf

    def _next_batch(self) -> list[Entry]:
        """The conversations whose turn it is; none if there will be no more. Waits for one."""
        batch: list[Entry] = []
        with self._changed:
            while not batch and self._changed.wait_for(lambda: self._waiting or self._closing) and self._waiting:
                characters, too_long = 0, list[tuple[str, deque[Entry]]]()
                while self._waiting and len(batch) < MOST_IN_BATCH:
                    asker, entries = self._waiting.popitem(last=False)
                    turns, future = entries[0]
                    size = min(sum(map(len, turns)), READ_CHARACTERS)
                    if batch and characters + size > BATCH_CHARACTERS:
                        too_long.append((asker, entries))
                        continue
                    characters += size
                    entries.popleft()
                    if entries:
                        self._waiting[asker] = entries
                    if future.set_running_or_notify_cancel():  # else its client has gone
                        batch.append((turns, future))
                for asker, entries in reversed(too_long):  # they are the first of the next batch
                    self._waiting[asker] = entries
                    self._waiting.move_to_end(asker, last=False)
        return batch

    def _answer(self, batch: Sequence[Entry]) -> None:
        try:
            results = self._route([turns for turns, _ in batch])
        except BaseException as problem:  # of the router, ONNX Runtime or tokenizers, whose panics are no Exception
            if len(batch) > 1:  # one conversation may be at fault: it must not take the others with it
                self._answer(batch[: len(batch) // 2])
                self._answer(batch[len(batch) // 2 :])
                return
            LOG.error("the router failed on a request", exc_info=problem)
            self._failure = f"it failed ({type(problem).__name__})"
            if not isinstance(problem, ZooterError):
                facts = ("a decision from the router", self._failure, "Run `zooter check` on the fleet.")
                problem = WorkError(*facts)
            batch[0][1].set_exception(problem)
        else:
            self._failure = ""
            for (_, future), routed in zip(batch, results, strict=True):
                future.set_result(routed)
