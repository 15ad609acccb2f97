"""Backend `transformers`: causal language models in this process. Candidates on one base model share its weights.

The requests of one call run as one batch, every row with its own LoRA adapter; on a CPU that is about twice as fast as
one after another. Batches on one base take turns. If the bases do not fit into memory together, those that are loaded
answer first, so that every other base is loaded once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cache

from zooter_core.backends import Piece, Request, TurnQueue
from zooter_core.backends.local.batch import Batch
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.model import Base
from zooter_core.backends.local.residency import NEVER, Residency, ResidentBackend
from zooter_core.backends.merge_streams import Stop
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

BaseKey = tuple[str | None, ...]
LOOK_SECONDS = 0.1  # between two looks at a stop while another batch runs


class TransformersBackend(ResidentBackend):
    """Base models by all settings that shape their weights, with the adapters of their candidates."""

    independent = False  # samples depend on the seed and the rows of their batch
    base = Base  # the class of a base model

    def __init__(self) -> None:
        quiet_libraries()
        self.turns: TurnQueue | None = TurnQueue()
        self.resident: Residency[Base] = Residency()
        self._checkpoint = cache(Checkpoint.of)
        self._tokenizer = cache(lambda candidate: self._checkpoint(candidate).tokenizer())

    def context(self, candidate: CandidateConfig) -> int | None:
        config = self._checkpoint(candidate).config.get_text_config()
        limits = (candidate.context_tokens, getattr(config, "max_position_embeddings", None))
        return min((limit for limit in limits if limit), default=None)

    def count_tokens(self, candidate: CandidateConfig, text: str) -> int:
        return len(self._tokenizer(candidate)(text, add_special_tokens=False)["input_ids"])

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer.

        A base that does not fit beside the loaded ones is only checked, and loaded with its first request. Otherwise a
        pool larger than the memory would be loaded once for nothing.
        """
        key, checkpoint = key_of(candidate), cache(lambda: Checkpoint.of(candidate))
        if not self.resident.fits(key, candidate, lambda: checkpoint().bytes()):
            checkpoint().tokenizer()
            return
        with self._use(key, candidate, checkpoint, NEVER) as base:
            assert base is not None  # only a stop gives None
            with base.lock:
                base.add_adapter(candidate)

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        self.resident.retain({key_of(candidate) for candidate in candidates}.__contains__)

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Run the requests base by base, and those of one base as one batch."""
        by_base: dict[BaseKey, list[Request]] = {}
        for request in requests:
            by_base.setdefault(key_of(request.candidate), []).append(request)
        while by_base:
            key = self.resident.next_of(by_base)
            yield from self._turn(key, by_base.pop(key), generation, stop)

    def _turn(
        self, key: BaseKey, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Run the requests of one base."""
        candidate = requests[0].candidate
        checkpoint = cache(lambda: Checkpoint.of(candidate))
        with ExitStack() as uses:
            try:
                if note := self.resident.note(key, candidate, lambda: checkpoint().bytes()):
                    yield Piece(requests[0], note=note)
                base = uses.enter_context(self._use(key, candidate, checkpoint, stop))
            except Exception as problem:
                yield from (Piece.failed(request, problem) for request in requests)
                return
            if base is None:
                yield from (Piece.stopped(request) for request in requests)
                return
            yield from self._run(base, uses.pop_all(), requests, generation, stop)

    def _use(
        self, key: BaseKey, candidate: CandidateConfig, checkpoint: Callable[[], Checkpoint], stop: threading.Event
    ) -> AbstractContextManager[Base | None]:
        """The base of a candidate, loaded if necessary. None if `stop` came first."""
        needed, load = lambda: checkpoint().bytes(), lambda: self.base(checkpoint(), self.resident.used())
        return self.resident.use(key, candidate, needed, load, stop)

    def _run(
        self,
        base: Base,
        uses: ExitStack,
        requests: Sequence[Request],
        generation: GenerationConfig,
        stop: threading.Event,
    ) -> Iterator[Piece]:
        """Run one batch in its own thread and yield its pieces. The use of the base ends with the batch."""
        pieces: queue.Queue[Piece | None] = queue.Queue()
        abandoned = Stop(stop)  # also set when the reader goes away

        def run_batch() -> None:
            locked = False
            try:
                while not (locked or abandoned.is_set()):
                    locked = base.lock.acquire(timeout=LOOK_SECONDS)  # another batch may run for long
                if abandoned.is_set():
                    for request in requests:
                        pieces.put(Piece.stopped(request))
                else:
                    Batch(base, requests, generation, abandoned, pieces, self.resident.spare).run()
            finally:
                if locked:
                    base.lock.release()
                uses.close()
                pieces.put(None)

        thread = threading.Thread(target=run_batch, name="generate", daemon=True)
        thread.start()
        try:
            while (piece := pieces.get()) is not None:
                yield piece
        finally:
            abandoned.set()
            thread.join()


def key_of(candidate: CandidateConfig) -> BaseKey:
    """The settings that are the same for all candidates on one base."""
    return (
        *(candidate.model, candidate.revision, candidate.dtype),
        *(candidate.quantisation, candidate.device_map),
    )
