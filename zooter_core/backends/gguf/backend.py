"""Backend `gguf`: candidates with the same GGUF file share one llama.cpp process, each with its own LoRA adapter.

Requests with the same adapter are answered in one batch; requests with different adapters take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zooter_core.backends import Piece, Request
from zooter_core.backends.attachments import estimated_tokens
from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.answer import Answer
from zooter_core.backends.gguf.engine import OVERHEAD, SLOTS, Engine, find_context
from zooter_core.backends.gguf.header import Header, check_model, read_header
from zooter_core.backends.gguf.offsets import without_offsets
from zooter_core.backends.merge_streams import merge_streams
from zooter_core.backends.residency import NEVER, Loader, Residency, ResidentBackend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message
from zooter_core.base.weights import gguf_file
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

MOST_AHEAD = 4_000  # characters of a conversation that candidates read ahead
LARGEST_AHEAD = 1_000_000_000  # bytes of a model that reads ahead; a larger one would use the CPU for too long


class EngineKey(NamedTuple):
    """The settings of a process. A process cannot load further adapters later."""

    model: Path
    context_tokens: int | None
    threads: int | None
    gpu_layers: int | None
    adapters: tuple[tuple[str, Path], ...]  # (adapter as in fleet.toml, its GGUF file)


class GgufBackend(ResidentBackend):
    """Runs llama.cpp processes, one for each file and settings, with the adapters of their candidates."""

    independent = True  # except for rounding: batches add numbers in a different order

    def __init__(self) -> None:
        self.resident: Residency[Engine] = Residency()
        self._headers: dict[tuple[str, bool], Header] = {}  # (model, whether its adapters have the offsets) -> header
        self._adapters: dict[Path, dict[str, Path]] = {}  # model -> adapter as in fleet.toml -> its GGUF file
        self._expected: list[CandidateConfig] = []
        self._lock = threading.Lock()
        self._request_came = threading.Event()  # stops reading ahead

    def expect(self, candidates: Sequence[CandidateConfig]) -> None:
        """Remember candidates that will be asked, so that a process starts with all adapters of its file."""
        with self._lock:
            self._expected += candidates

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        """Also forget unused adapters, whose files may no longer exist when a process starts."""
        used, keys = {candidate.adapter for candidate in candidates}, set()
        with self._lock:
            self._expected = list(candidates)
            for adapters in self._adapters.values():
                for adapter in adapters.keys() - used:
                    del adapters[adapter]
        for candidate in candidates if self.resident.names() else ():
            with suppress(ZooterError):  # raised again when the candidate is asked
                keys.add(self._loader(candidate).key)
        self.resident.retain(keys.__contains__)

    def context(self, candidate: CandidateConfig) -> int | None:
        with self._lock:
            return find_context(candidate, self._header(candidate))

    def count_tokens(self, candidate: CandidateConfig, text: str) -> int:
        """The number of tokens of a text, counted by llama.cpp if the model is loaded; otherwise an estimate."""
        loader = self._loader(candidate)
        if self.resident.has(loader.key):
            with self.resident.use(loader, NEVER) as engine:
                assert engine is not None  # it is None only after a stop
                return len(engine.ask("/tokenize", {"content": text})["tokens"])
        return estimated_tokens(text)

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer. If loading it would unload other models, only check its files."""
        loader = self._loader(candidate)
        if self.resident.fits(loader):
            with self.resident.use(loader, NEVER) as engine:
                assert engine is not None  # it is None only after a stop
                self._read(engine, Request(candidate, (Message("user", "Hello"),)), NEVER)

    def read_ahead(self, requests: Sequence[Request]) -> None:
        """Let loaded models evaluate conversations in the background, until the next request.

        Any candidate that answers next then only has to read the new query, even if other candidates have answered
        before (docs/notebook/runtimes.md#reading-ahead-in-llamacpp).
        """
        self._request_came.set()
        self._request_came = stop = threading.Event()
        threading.Thread(target=self._read_all, args=(requests, stop), name="read ahead", daemon=True).start()

    def _read_all(self, requests: Sequence[Request], stop: threading.Event) -> None:
        for request in requests:
            with suppress(ZooterError, MemoryError):  # raised again when the candidate is asked
                loader = self._loader(request.candidate, stop)
                length = sum(len(message.content) for message in request.messages)
                cheap = length <= MOST_AHEAD and loader.bytes <= LARGEST_AHEAD and self.resident.has(loader.key)
                if stop.is_set() or not cheap:
                    continue
                with self.resident.use(loader, stop) as engine:
                    if engine is not None and not engine.slots.busy:
                        self._read(engine, request, stop)

    def _read(self, engine: Engine, request: Request, stop: threading.Event) -> None:
        """Let a slot evaluate a prompt, so that later prompts with the same beginning start sooner."""
        with suppress(ZooterError):  # raised again when the candidate is asked
            list(Answer(engine, request, GenerationConfig(max_new_tokens=1), stop).run())

    def stream(
        self, requests: Iterable[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Run all requests concurrently, as far as the slots of their processes allow."""
        self._request_came.set()
        waiting, line = enumerate(requests), threading.Lock()

        def answer_waiting(stop: threading.Event) -> Iterator[Piece]:
            while True:
                with line:
                    number, request = next(waiting, (0, None))
                if request is None:
                    return
                seed = generation.seed + number if request.seed is None else request.seed
                yield from self._answer(request, replace(generation, seed=seed), stop)

        running = min(len(requests), SLOTS) if isinstance(requests, Sequence) else SLOTS
        yield from merge_streams([answer_waiting] * running, stop)

    def _answer(self, request: Request, generation: GenerationConfig, stop: threading.Event) -> Iterator[Piece]:
        """Yield the pieces of an answer. The process is started if necessary; all errors become a failed response."""
        try:
            loader = self._loader(request.candidate, stop)
            if note := self.resident.note(loader):
                yield Piece(request, note=note)
            with self.resident.use(loader, stop) as engine:
                if engine is None:
                    yield Piece.stopped(request)
                else:
                    yield from Answer(engine, request, generation, stop).run()
        except Exception as problem:
            yield Piece.failed(request, problem)

    def _loader(self, candidate: CandidateConfig, stop: threading.Event = NEVER) -> Loader[Engine]:
        """The loader of a candidate's process. It counts main memory only, since GPU memory cannot be measured here.

        Raises:
            ZooterError: the model or the adapter is missing or invalid.
        """
        with self._lock:
            header = self._header(candidate)
            others = [other for other in self._expected if other.model == candidate.model]
            self._expected = [other for other in self._expected if other.model != candidate.model]
            for other in others:
                with suppress(ZooterError):  # raised again when the candidate is asked
                    self._add_adapter(other)
            self._add_adapter(candidate)
            adapters = dict(self._adapters[header.path])
        settings = (candidate.context_tokens, candidate.threads, candidate.gpu_layers)
        key = EngineKey(header.path, *settings, tuple(adapters.items()))
        needed = OVERHEAD + header.bytes + find_context(candidate, header) * header.bytes_a_token
        return Loader(key, candidate, ("cpu",), needed, lambda: Engine(candidate, header, adapters, stop))

    def _header(self, candidate: CandidateConfig) -> Header:
        """The header of the file that a process loads for a candidate."""
        in_adapter = candidate.adapter is not None and Path(candidate.adapter).is_dir() and not candidate.gpu_layers
        header = self._headers.get((candidate.model, in_adapter))
        if header is None:
            header = read_header(gguf_file(candidate.model))
            check_model(header)
            self._headers[candidate.model, in_adapter] = header = without_offsets(header) if in_adapter else header
        return header

    def _add_adapter(self, candidate: CandidateConfig) -> None:
        """Register a candidate's adapter. Processes without it end after their running answers."""
        header = self._header(candidate)
        adapters = self._adapters.setdefault(header.path, {})
        if candidate.adapter is not None and candidate.adapter not in adapters:
            adapters[candidate.adapter] = gguf_adapter(candidate.adapter, header, candidate.name)
            self.resident.retain(lambda key: key.model != header.path)
