"""A backend that answers when a test says so, so that no test waits for the clock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from zooter_core.backends import Backend, Piece, Request, TurnQueue
from zooter_core.base.records import Response
from zooter_core.config.fleet import GenerationConfig
from zooter_core.fleet.ensemble import Ensemble


class StepwiseBackend(Backend):
    """Answers one call at a time, each after a `go`.

    Attributes:
        queries: the query of each call, as it begins.
        go: one permit for each call.
    """

    independent = True

    def __init__(self) -> None:
        self.turns: TurnQueue | None = TurnQueue()
        self.queries: queue.Queue[str] = queue.Queue()
        self.go = threading.Semaphore(0)

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        self.queries.put(requests[0].messages[-1].content)
        while not self.go.acquire(timeout=0.01):
            if stop.is_set():
                yield from map(Piece.stopped, requests)
                return
        for request in requests:
            name = request.candidate.name
            yield Piece(request, "Yes.", Response(name, "Yes.", tokens=2))


def stepwise(ensemble: Ensemble) -> tuple[Ensemble, StepwiseBackend]:
    """The ensemble with all its candidates on one stepwise backend."""
    backend = StepwiseBackend()
    candidates = tuple(replace(candidate, backend="stepwise") for candidate in ensemble.fleet.candidates)
    backends = {**ensemble.backends, "stepwise": backend}
    return Ensemble(replace(ensemble.fleet, candidates=candidates), backends), backend
