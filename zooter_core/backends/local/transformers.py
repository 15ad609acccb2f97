"""Backend `transformers`: causal language models in this process. Candidates with the same base share its weights.

The requests of one call run as one batch, in which each row has its own LoRA adapter. On a CPU, this is about twice as
fast as one request after another. Batches on the same base take turns. If the bases do not fit into memory together,
loaded bases answer first, so that each other base is loaded only once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cache

from zooter_core.backends import Piece, Request, memory
from zooter_core.backends.local.batch import Batch
from zooter_core.backends.local.checkpoint import Checkpoint
from zooter_core.backends.local.model import Base
from zooter_core.backends.merge_streams import Put, iter_pushed
from zooter_core.backends.residency import NEVER, Loader, Residency, ResidentBackend, acquire
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

BaseKey = tuple[str | None, ...]


class TransformersBackend(ResidentBackend):
    """Runs base models, one for each combination of settings of the weights, with the adapters of their candidates."""

    independent = False  # samples depend on the seed and the rows of their batch

    def __init__(self) -> None:
        quiet_libraries()
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
        """Make the candidate ready to answer. If loading its base would unload others, only check the files.

        Otherwise, models of a pool that is larger than the memory would be loaded and unloaded for nothing.
        """
        loader = self._loader(candidate)
        if not self.resident.fits(loader):
            self._tokenizer(candidate)
            return
        with self.resident.use(loader, NEVER) as base:
            assert base is not None  # it is None only after a stop
            with base.lock:
                base.add_adapter(candidate)

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        self.resident.retain({make_key(candidate) for candidate in candidates}.__contains__)

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Run the requests in a separate thread, those of each base as one batch, one base after another."""
        by_base: dict[BaseKey, list[Request]] = {}
        for request in requests:
            by_base.setdefault(make_key(request.candidate), []).append(request)

        def run(put: Put[Piece], stop: threading.Event) -> None:
            while by_base:
                loaded = filter(self.resident.has, by_base)
                self._run_batch(by_base.pop(next(loaded, next(iter(by_base)))), generation, stop, put)

        yield from iter_pushed([run], stop, join_seconds=None)

    def _run_batch(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event, put: Put[Piece]
    ) -> None:
        """Run the requests of one base, after other batches on it have ended."""
        try:
            loader = self._loader(requests[0].candidate)
            if note := self.resident.note(loader):
                put(Piece(requests[0], note=note))
            with self.resident.use(loader, stop) as base:
                if base is not None and acquire(base.lock, stop):
                    try:
                        Batch(base, requests, generation, stop, put, self.resident.spare).run()
                    finally:
                        base.lock.release()
                    return
        except Exception as problem:
            for request in requests:
                put(Piece.failed(request, problem))
            return
        for request in requests:
            put(Piece.stopped(request))

    def _loader(self, candidate: CandidateConfig) -> Loader[Base]:
        """The loader of a candidate's base."""
        return Loader(
            make_key(candidate),
            candidate,
            memory.devices(candidate.device_map),
            self._checkpoint(candidate).bytes,
            lambda: Base(self._checkpoint(candidate), self.resident.used()),
            spreads=candidate.device_map in memory.SPREAD,
        )


def make_key(candidate: CandidateConfig) -> BaseKey:
    """The settings that all candidates with the same base share."""
    return candidate.model, candidate.revision, candidate.dtype, candidate.quantisation, candidate.device_map
