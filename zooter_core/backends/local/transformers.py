"""Backend `transformers`: causal language models in this process. Candidates on one base share its weights.

Requests that come together run as one batch, each row under its own LoRA adapter: on a CPU that is about twice as
fast as one after another. Batches of one base take turns behind a lock. Bases that do not fit into memory together take
turns there: those that are loaded answer first, so that each of the others is loaded once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence

from zooter_core.backends import Piece, Request
from zooter_core.backends.local import memory
from zooter_core.backends.local.batch import Batch
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.model import Base
from zooter_core.backends.local.residency import Residency
from zooter_core.backends.turn_queue import TurnQueue
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

BaseKey = tuple[str | None, ...]
NEVER = threading.Event()


class TransformersBackend:
    """Bases by what makes their weights what they are, each loaded with the adapters that its candidates need."""

    independent = False  # what a batch samples depends on its own seed
    base = Base  # what loads them

    def __init__(self) -> None:
        self.turns: TurnQueue | None = TurnQueue()
        self.resident: Residency[Base] = Residency()

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer.

        One that does not fit beside those that are in memory is only looked through, and loaded when it is asked:
        else a pool that is larger than the memory would be loaded once for nothing.
        """
        key = key_of(candidate)
        if not self.resident.has(key):
            checkpoint = Checkpoint.of(candidate)
            if self.resident.names() and not self.resident.fits(candidate, checkpoint.bytes()):
                checkpoint.tokenizer()
                return
        base = self._take(key, candidate, NEVER)
        assert base is not None  # nothing stops it
        try:
            with base.lock:
                base.add_adapter(candidate)
        finally:
            self.resident.release(key)

    def trial(self, candidate: CandidateConfig) -> str:
        return "Say hello."

    def sizes(self) -> Mapping[object, int]:
        return self.resident.sizes()

    def spare(self) -> None:
        self.resident.spare()

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        by_base: dict[BaseKey, list[Request]] = {}
        for request in requests:
            by_base.setdefault(key_of(request.candidate), []).append(request)
        while by_base:
            key = self.resident.next_of(by_base)
            yield from self._turn(key, by_base.pop(key), generation, stop)

    def _turn(
        self, key: BaseKey, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Requests of one base."""
        try:
            if note := self._note(key, requests[0].candidate):
                yield Piece(requests[0], note=note)
            base = self._take(key, requests[0].candidate, stop)
        except Exception as problem:
            yield from (Piece.failed(request, problem) for request in requests)
            return
        if base is None:
            yield from (Piece.stopped(request) for request in requests)
            return
        yield from self._run(key, base, requests, generation, stop)

    def _take(self, key: BaseKey, candidate: CandidateConfig, stop: threading.Event) -> Base | None:
        """The base of a candidate, loaded if need be; whoever takes it releases it."""
        found: list[Checkpoint] = []

        def checkpoint() -> Checkpoint:
            found[:] = found or [Checkpoint.of(candidate)]
            return found[0]

        return self.resident.take(
            key,
            candidate,
            lambda: checkpoint().bytes(),
            lambda: self.base(checkpoint(), self.resident.held()),
            stop,
        )

    def _note(self, key: BaseKey, candidate: CandidateConfig) -> str:
        """What to say before a base is loaded in place of another; "" where it is there, or fits."""
        beside = self.resident.names()
        if self.resident.has(key) or not beside:
            return ""
        needed = Checkpoint.of(candidate).bytes()
        if self.resident.fits(candidate, needed):
            return ""
        return (
            f"{candidate.name} is loaded now: its {memory.told(needed)} do not fit into memory together with "
            f"{', '.join(beside)}."
        )

    def _run(
        self, key: BaseKey, base: Base, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """One batch: generation in a thread of its own, its tokens through a queue. The base is released at its end."""
        pieces: queue.Queue[Piece | None] = queue.Queue()
        abandoned = threading.Event()  # set when whoever reads the pieces goes away

        def work() -> None:
            try:
                with base.lock:
                    Batch(base, requests, generation, (stop, abandoned), pieces, self.resident.spare).run()
            finally:
                self.resident.release(key)
                pieces.put(None)

        thread = threading.Thread(target=work, name="generate", daemon=True)
        thread.start()
        try:
            while (piece := pieces.get()) is not None:
                yield piece
        finally:
            abandoned.set()
            thread.join()


def key_of(candidate: CandidateConfig) -> BaseKey:
    """What two candidates have alike that share a base."""
    return (
        *(candidate.model, candidate.revision, candidate.dtype),
        *(candidate.quantisation, candidate.device_map, candidate.offload_folder),
    )
