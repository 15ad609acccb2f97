"""Backend `gguf`: candidates on one GGUF file share one process of llama.cpp, each with its own LoRA adapter.

Requests with the same adapter are answered in one batch; those of different adapters take turns.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from zooter_core.backends import Piece, Request
from zooter_core.backends.gguf.adapters import gguf_adapter
from zooter_core.backends.gguf.answer import Answer, TooLongError, refusal
from zooter_core.backends.gguf.engine import OVERHEAD, SLOTS, Engine, EngineError, RefusedError, context_of
from zooter_core.backends.gguf.header import Header, check_model, read_header
from zooter_core.backends.local import memory
from zooter_core.backends.local.residency import Residency
from zooter_core.backends.merge_streams import Stop
from zooter_core.backends.turn_queue import TurnQueue
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import Failure, ZooterError
from zooter_core.records import Message, Response
from zooter_core.weights import gguf_file

EngineKey = tuple[Any, ...]
NEVER = threading.Event()
MOST_AHEAD = 4_000  # characters of a conversation that is read ahead, by each candidate
LARGEST_AHEAD = 1_000_000_000  # bytes of a model that reads ahead; a larger one would keep a processor busy for long
STARTED_AGAIN = "The next query starts it again."


class GgufBackend:
    """Processes of llama.cpp by file and settings, with the adapters of their candidates."""

    independent = True  # except for rounding: a batch adds numbers in another order

    def __init__(self) -> None:
        self.turns: TurnQueue | None = None
        self.resident: Residency[Engine] = Residency()
        self._headers: dict[str, Header] = {}
        self._adapters: dict[str, dict[str, Path]] = {}  # model -> adapter as in fleet.toml -> its GGUF file
        self._expected: list[CandidateConfig] = []
        self._lock = threading.Lock()
        self._request_came = threading.Event()  # ends the reading ahead

    def expect(self, candidates: Sequence[CandidateConfig]) -> None:
        """Note candidates that will be asked, so that a process starts with all adapters of its file."""
        with self._lock:
            self._expected += candidates

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer; one that does not fit beside the loaded models is only checked."""
        header, key = self._check(candidate)
        size = memory_of(candidate, header)
        if self.resident.has(key) or not self.resident.names() or self.resident.fits(on_cpu(candidate), size):
            engine = self._take(candidate, header, key, NEVER)
            try:
                if engine is not None:
                    self._read(engine, Request(candidate, (Message("user", "Hello"),)), NEVER)
            finally:
                self.resident.release(key)

    def read_ahead(self, requests: Sequence[Request]) -> None:
        """Let models that are loaded read conversations in the background, until they have done so or are asked.

        Whoever answers a conversation next has then read all of it but the new query, also if others answered so far.
        """
        self._request_came.set()
        self._request_came = stop = threading.Event()
        threading.Thread(target=self._read_all, args=(requests, stop), name="read ahead", daemon=True).start()

    def _read_all(self, requests: Sequence[Request], stop: threading.Event) -> None:
        for request in requests:
            with suppress(ZooterError, MemoryError):  # raised again when it is asked
                self._read_if_cheap(request, stop)

    def _read_if_cheap(self, request: Request, stop: threading.Event) -> None:
        header, key = self._check(request.candidate)
        length = sum(len(message.content) for message in request.messages)
        cheap = length <= MOST_AHEAD and header.bytes <= LARGEST_AHEAD and self.resident.has(key)
        if stop.is_set() or not cheap or (engine := self._take(request.candidate, header, key, stop)) is None:
            return
        try:
            if not engine.slots.busy:
                self._read(engine, request, stop)
        finally:
            self.resident.release(key)

    def _read(self, engine: Engine, request: Request, stop: threading.Event) -> None:
        """Let a slot read a prompt, whose beginning later prompts share: those need not wait for it."""
        one, number = GenerationConfig(max_new_tokens=1), self._number(engine, request.candidate)
        with suppress(ZooterError, EngineError, RefusedError):  # raised again when it is asked
            Answer(engine, request, number, one, lambda text: None, stop).run()

    def trial(self, candidate: CandidateConfig) -> str:
        """Any query will do."""
        return "Say hello."

    def sizes(self) -> Mapping[object, int]:
        """Bytes of each process, by its key."""
        return self.resident.sizes()

    def spare(self) -> None:
        """End the processes that nobody uses."""
        self.resident.spare()

    def stream(
        self, requests: Iterable[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """Run all requests at the same time, as many as the slots of their processes allow."""
        self._request_came.set()
        pieces: queue.Queue[Piece | None] = queue.Queue()
        waiting, line, abandoned = enumerate(requests), threading.Lock(), Stop(stop)

        def answer_waiting() -> None:
            try:
                while True:
                    with line:
                        number, request = next(waiting, (0, None))
                    if request is None:
                        return
                    seed = generation.seed + number if request.seed is None else request.seed
                    pieces.put(self._answer(request, replace(generation, seed=seed), pieces, abandoned))
            finally:
                pieces.put(None)

        running = min(len(requests), SLOTS) if isinstance(requests, Sequence) else SLOTS
        for _ in range(running):
            threading.Thread(target=answer_waiting, name="gguf", daemon=True).start()
        try:
            while running:
                piece = pieces.get()
                if piece is None:
                    running -= 1
                else:
                    yield piece
        finally:
            abandoned.set()  # also if the reader has gone away

    def _answer(
        self, request: Request, generation: GenerationConfig, pieces: queue.Queue[Piece | None], stop: threading.Event
    ) -> Piece:
        """Answer a request: the last piece. If the process ends before the first word, a new one tries once more."""
        texts: list[str] = []

        def put(text: str) -> None:
            texts.append(text)
            pieces.put(Piece(request, text))

        for last in (False, True):
            try:
                return self._run(request, generation, put, pieces.put, stop)
            except RefusedError as problem:
                return Piece.failed(request, refusal(problem, request), "refused")
            except TooLongError as problem:
                return Piece.failed(request, problem, "refused")
            except EngineError as problem:
                if not (texts or last):
                    continue
                failure = Failure(f"an answer of {request.candidate.name}", str(problem), STARTED_AGAIN)
                text = "".join(texts).strip()
                return Piece(request, response=Response(request.candidate.name, text, finish="error", error=failure))
            except Exception as problem:
                return Piece.failed(request, problem)
        raise AssertionError("the loop returns")

    def _run(
        self,
        request: Request,
        generation: GenerationConfig,
        put: Callable[[str], None],
        tell: Callable[[Piece], None],
        stop: threading.Event,
    ) -> Piece:
        """Answer a request on its process, which is started if necessary."""
        candidate = request.candidate
        header, key = self._check(candidate)
        if note := self._note(candidate, header, key):
            tell(Piece(request, note=note))
        engine = self._take(candidate, header, key, stop)
        if engine is None:
            return Piece.stopped(request)
        try:
            number = self._number(engine, candidate)
            return Piece(request, response=Answer(engine, request, number, generation, put, stop).run())
        finally:
            self.resident.release(key)

    def _number(self, engine: Engine, candidate: CandidateConfig) -> int | None:
        """The number of a candidate's adapter in requests."""
        adapter = self._adapters[candidate.model].get(candidate.adapter or "")
        return None if adapter is None else engine.adapters[adapter]

    def _check(self, candidate: CandidateConfig) -> tuple[Header, EngineKey]:
        """Read the headers of a candidate's files. The header of its model, and the key of its process.

        Raises:
            ZooterError: a package is not installed.
            WorkError: a file is missing or broken, or holds something else.
        """
        with self._lock:
            header = self._headers.get(candidate.model)
            if header is None:
                header = read_header(gguf_file(candidate.model))
                check_model(header)
                self._headers[candidate.model] = header
            others = [other for other in self._expected if other.model == candidate.model]
            self._expected = [other for other in self._expected if other.model != candidate.model]
            for other in others:
                with suppress(ZooterError):  # raised again when it is asked
                    self._add_adapter(other, header)
            self._add_adapter(candidate, header)
            return header, self._key(candidate)

    def _add_adapter(self, candidate: CandidateConfig, header: Header) -> None:
        """Note a candidate's adapter. A process without it ends when its answers are complete."""
        adapters = self._adapters.setdefault(candidate.model, {})
        if candidate.adapter is not None and candidate.adapter not in adapters:
            file, without = gguf_adapter(candidate.adapter, header, candidate.name), self._key(candidate)
            adapters[candidate.adapter] = file
            self.resident.retire(without, Engine.retire)

    def _key(self, candidate: CandidateConfig) -> EngineKey:
        """What is the same for all candidates on one process. A process cannot load another adapter later."""
        settings = (candidate.model, candidate.context_tokens, candidate.threads, candidate.gpu_layers)
        return (*settings, *self._adapters[candidate.model].values())

    def _take(self, candidate: CandidateConfig, header: Header, key: EngineKey, stop: threading.Event) -> Engine | None:
        """The process of a candidate, started if necessary. The caller must release it. None if `stop` came first."""
        adapters = key[4:]
        return self.resident.take(
            key,
            on_cpu(candidate),
            lambda: memory_of(candidate, header),
            lambda: Engine(candidate, header, adapters),
            stop,
        )

    def _note(self, candidate: CandidateConfig, header: Header, key: EngineKey) -> str:
        """The note that a model replaces others in memory; "" if it is loaded, or fits beside them."""
        others = self.resident.names()
        if self.resident.has(key) or not others:
            return ""
        size = memory_of(candidate, header)
        if self.resident.fits(on_cpu(candidate), size):
            return ""
        return f"Loading {candidate.name}: its {memory.in_words(size)} do not fit into memory together with " + (
            f"{', '.join(others)}."
        )


def on_cpu(candidate: CandidateConfig) -> CandidateConfig:
    """The candidate for Residency, which then counts main memory."""
    return replace(candidate, device_map="cpu")


def memory_of(candidate: CandidateConfig, header: Header) -> int:
    """Bytes that a process will take, by the file's size and the context."""
    return OVERHEAD + header.bytes + context_of(candidate, header) * header.bytes_a_token
