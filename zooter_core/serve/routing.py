"""Routes many requests at once: one thread takes all waiting conversations as a batch."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zooter_core.config.fleet import NO_ROUTER, Fleet
from zooter_core.errors import ZooterError
from zooter_core.method import selection
from zooter_core.records import Decision
from zooter_core.router.config import is_portable
from zooter_core.router.router import Router
from zooter_core.router.turns import Topics
from zooter_core.serve.exported import light_router, light_tagger

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MOST_CONVERSATIONS = 32  # in a batch


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, and the value of the trigger that says how unsure it is."""

    decision: Decision
    unsureness: float


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


def open_route(fleet: Fleet, ensemble: Ensemble | None, progress: Callable[[str], None]) -> Route:
    """The function that routes a batch for a fleet, loaded and tried.

    Args:
        ensemble: the fleet, where its local candidates load PyTorch anyway.
        progress: called with a message before work that takes long, and about tags that will be missing.

    Raises:
        ZooterError: the fleet has no router, or its router or tagger does not load.
    """
    config = fleet.router
    if config is None:
        raise ZooterError(f"a [router] table in fleet.toml of {fleet.name}", "none", NO_ROUTER)
    if ensemble is None:
        folder = light_router(config, progress)
        encoders = None
        if not is_portable(folder):
            from zooter_core.router.encoder import Encoders  # loads PyTorch

            encoders = Encoders(config.runtime)
        router = Router.load(folder, encoders).for_pool(fleet.pool)
        tagger = light_tagger(fleet.tagger, router.encoder, progress)
    else:
        router = ensemble.router
        tagger = ensemble.tagger if fleet.tagger and ensemble.tagger.quick else None
    order = [router.candidates.index(name) for name in fleet.pool]

    def route(conversations: Sequence[Turns]) -> list[Routed]:
        topics = Topics(conversations)
        texts = topics.texts
        outputs = router.outputs(texts).in_order(order)
        unsureness = selection.unsureness(outputs, config.trigger).tolist()
        tags = tagger.tag(texts) if tagger else [()] * len(texts)
        probabilities = outputs.probabilities.tolist()
        return [
            Routed(
                Decision.of(texts[row], dict(zip(fleet.pool, probabilities[row], strict=True)), tuple(tags[row])),
                unsureness[row],
            )
            for row in topics.rows([max(shares) for shares in probabilities])
        ]

    route([["Hello"]])
    return route
