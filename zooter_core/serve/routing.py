"""The router at work for many requests at once: one thread, which takes all waiting texts as one batch."""

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
from zooter_core.records import Decision, Message
from zooter_core.router.config import is_portable
from zooter_core.router.router import Router, routing_text
from zooter_core.serve.exported import light_router, light_tagger

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

MOST_TEXTS = 32  # in a batch
MOST_CHARACTERS = 20_000  # of a conversation's end; encoders read less of it


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, and the value of the trigger that says how unsure it is."""

    decision: Decision
    unsureness: float


Route = Callable[[Sequence[str]], list[Routed]]


class BatchRouter:
    """Routes texts in a thread of its own. While one batch is computed, the next one gathers.

    Raises:
        ZooterError: the fleet has no router, or it does not load.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        self._waiting: queue.SimpleQueue[tuple[str, Future[Routed]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="route", daemon=True)
        self._thread.start()

    async def route(self, user_texts: Sequence[str]) -> Routed:
        """The decision on a conversation, from the texts of its user's turns.

        Raises:
            ZooterError: the router fails.
        """
        text = routing_text([Message("user", text) for text in user_texts])[-MOST_CHARACTERS:]
        future: Future[Routed] = Future()
        self._waiting.put((text, future))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread after the texts that wait."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ended = [first], False
            while len(batch) < MOST_TEXTS and not self._waiting.empty():
                if (entry := self._waiting.get()) is None:
                    ended = True
                    break
                batch.append(entry)
            batch = [entry for entry in batch if entry[1].set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)
            if ended:
                return

    def _answer(self, batch: Sequence[tuple[str, Future[Routed]]]) -> None:
        try:
            results = self._route([text for text, _ in batch])
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

    def route(texts: Sequence[str]) -> list[Routed]:
        outputs = router.outputs(texts).in_order(order)
        unsureness = selection.unsureness(outputs, config.trigger).tolist()
        tags = tagger.tag(texts) if tagger else [()] * len(texts)
        decisions = (
            Decision.of(text, dict(zip(fleet.pool, row, strict=True)), tuple(text_tags))
            for text, row, text_tags in zip(texts, outputs.probabilities.tolist(), tags, strict=True)
        )
        return [Routed(decision, value) for decision, value in zip(decisions, unsureness, strict=True)]

    route(["Hello"])
    return route
