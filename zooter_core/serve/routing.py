"""Routes many requests at once: one thread takes all waiting conversations as a batch."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zooter_core.config.fleet import Fleet
from zooter_core.errors import WorkError, ZooterError
from zooter_core.exports.router import open_router
from zooter_core.labelling.taggers import is_quick
from zooter_core.method import selection
from zooter_core.records import Decision, Tag
from zooter_core.router.turns import Topics
from zooter_core.serve.exported import export_apart, light_tagger
from zooter_core.weights import Progress

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

LOG = logging.getLogger("zooter.serve")
MOST_CONVERSATIONS = 32  # in a batch
MOST_CHARACTERS = 16_000  # in a batch of more than one
READ_CHARACTERS = 2_000  # of one conversation, about: an encoder reads 256 tokens of its newest turn and of its topic
STALLED_SECONDS = 30  # after which a router that is at work on one batch is not ready
TRIAL_SECONDS = 5
MOST_REMEMBERED = 4096  # texts; their rows take about two megabytes


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, and the value of the trigger that says how unsure it is."""

    decision: Decision
    unsureness: float


@dataclass(frozen=True, slots=True)
class Row:
    """What the router says of one text: probabilities in the pool's order, the trigger's value, tags."""

    probabilities: list[float]
    unsureness: float
    tags: tuple[Tag, ...]


Turns = Sequence[str]  # the texts of a conversation's user, oldest first
Route = Callable[[Sequence[Turns]], list[Routed]]
Entry = tuple[Turns, Future[Routed]]


class BatchRouter:
    """Routes conversations in a thread of its own. While one batch is computed, the next one gathers.

    Askers take turns: each has one conversation in a batch before any has a second one.

    Raises:
        ZooterError: the fleet has no router, or it does not load.
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
                characters = 0
                while self._waiting and len(batch) < MOST_CONVERSATIONS:
                    asker, entries = self._waiting.popitem(last=False)
                    turns, future = entries[0]
                    characters += min(sum(map(len, turns)), READ_CHARACTERS)
                    if batch and characters > MOST_CHARACTERS:
                        self._waiting[asker] = entries
                        self._waiting.move_to_end(asker, last=False)  # it is the first of the next batch
                        break
                    entries.popleft()
                    if entries:
                        self._waiting[asker] = entries
                    if future.set_running_or_notify_cancel():  # else its client has gone
                        batch.append((turns, future))
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


def open_route(fleet: Fleet, ensemble: Ensemble | None, progress: Progress) -> Route:
    """The function that routes a batch for a fleet, loaded and tried.

    Args:
        ensemble: the fleet, where its local candidates load PyTorch anyway.

    Raises:
        ZooterError: the fleet has no router, or its router or tagger does not load.
    """
    config = fleet.router
    if config is None:
        raise fleet.missing("router")
    if ensemble is None:
        export_apart(config, progress)
        router = open_router(config, fast=True).for_pool(fleet.pool)
        tagger = light_tagger(fleet.tagger, router.encoder, progress)
    else:
        router = ensemble.router
        tagger = ensemble.tagger if is_quick(fleet.tagger) else None
    order = [router.candidates.index(name) for name in fleet.pool]

    def compute(texts: Sequence[str]) -> list[Row]:
        outputs = router.outputs(texts).in_order(order)
        unsureness = selection.unsureness(outputs, config.trigger).tolist()
        tags = tagger.tag(texts) if tagger else [()] * len(texts)
        return list(map(Row, outputs.probabilities.tolist(), unsureness, tags))

    rows = remembering(compute)

    def route(conversations: Sequence[Turns]) -> list[Routed]:
        topics = Topics(conversations)
        texts, routings = topics.texts, rows(topics.texts)
        return [
            Routed(
                Decision.of(texts[n], dict(zip(fleet.pool, routings[n].probabilities, strict=True)), routings[n].tags),
                routings[n].unsureness,
            )
            for n in topics.rows([max(row.probabilities) for row in routings])
        ]

    route([["Hello"]])
    return route


def remembering(compute: Callable[[Sequence[str]], list[Row]]) -> Callable[[Sequence[str]], list[Row]]:
    """The same, for one thread. It remembers texts by their hashes: a loop of tools sends one text again and again."""
    memory: OrderedDict[bytes, Row] = OrderedDict()

    def rows(texts: Sequence[str]) -> list[Row]:
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in memory}
        if missing:
            memory.update(zip(missing, compute(list(missing.values())), strict=True))
        remembered = [memory[key] for key in keys]
        for key in keys:
            memory.move_to_end(key)
        while len(memory) > MOST_REMEMBERED:
            memory.popitem(last=False)
        return remembered

    return rows
