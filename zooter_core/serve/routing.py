"""Routes many requests at once: one thread takes all waiting conversations as a batch."""

from __future__ import annotations

import asyncio
import hashlib
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zooter_core.config.fleet import Fleet
from zooter_core.exports.router import open_router
from zooter_core.labelling.taggers import is_quick
from zooter_core.method import selection
from zooter_core.records import Decision, Tag
from zooter_core.router.turns import Topics
from zooter_core.serve.exported import export_apart, light_tagger
from zooter_core.weights import Progress

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MOST_CONVERSATIONS = 32  # in a batch
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


class BatchRouter:
    """Routes conversations in a thread of its own. While one batch is computed, the next one gathers.

    Raises:
        ZooterError: the fleet has no router, or it does not load.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._waiting: queue.SimpleQueue[tuple[Turns, Future[Routed]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._route_waiting, name="route", daemon=True)
        self._thread.start()

    async def route(self, turns: Turns) -> Routed:
        """The decision on a conversation, from the texts of its user's turns.

        Raises:
            ZooterError: the router fails.
        """
        future: Future[Routed] = Future()
        self._waiting.put((turns, future))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread after the conversations that wait."""
        self._waiting.put(None)

    def _route_waiting(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ended = [first], False
            while len(batch) < MOST_CONVERSATIONS and not self._waiting.empty():
                if (entry := self._waiting.get()) is None:
                    ended = True
                    break
                batch.append(entry)
            batch = [entry for entry in batch if entry[1].set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)
            if ended:
                return

    def _answer(self, batch: Sequence[tuple[Turns, Future[Routed]]]) -> None:
        try:
            results = self._route([turns for turns, _ in batch])
        except Exception as problem:  # of the router or ONNX Runtime; the requests report it
            for _, future in batch:
                future.set_exception(problem)
        else:
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
