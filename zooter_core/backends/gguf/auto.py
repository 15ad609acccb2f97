"""Backend `auto`: `gguf` or `transformers`, whichever was measured faster on this machine (`zooter check` measures).

A single query and a run of the pipeline are measured apart: where a processor multiplies bfloat16, transformers is
several times slower with one answer and several times faster with a batch. Without a measurement it is `gguf`, and
`transformers` where xllamacpp is not installed or does not work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zooter_core.backends import Backend, Piece, Request, backend, expect, read_ahead
from zooter_core.backends.gguf import installed
from zooter_core.backends.turn_queue import TurnQueue
from zooter_core.config.candidates import AUTO, GGUF, TRANSFORMERS, CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import ZooterError
from zooter_core.files import atomic
from zooter_core.records import Message
from zooter_core.strict_json import dump_json, parse_json
from zooter_core.weights import Progress, cache_dir, private_cache

FILE = "engines.json"  # in the cache
QUERY = "Describe a walk through a market in the morning."
TOKENS, ROUNDS = 48, 2
MANY, MANY_TOKENS = 16, 16  # answers at once, as a run asks, and the tokens of each
ENGINES = (GGUF, TRANSFORMERS)
MISSING = "xllamacpp is not installed, so transformers answers, several times slower. Run `pip install 'zooter[gguf]'`."


@dataclass(frozen=True)
class Speeds:
    """Tokens per second by engine, of one answer and of many at once; None for an engine that does not work here."""

    one: Mapping[str, float | None]
    many: Mapping[str, float | None]

    def faster(self, many: bool = False) -> str:
        """The engine to use."""
        speeds = self.many if many else self.one
        return max(ENGINES, key=lambda name: speeds[name] or 0)


class AutoBackend:
    """Passes everything on to the backend that it has chosen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._engine = ""  # the name of the backend in use
        self._expected: list[CandidateConfig] = []
        self.note = ""  # why the slower engine answers

    @property
    def turns(self) -> TurnQueue | None:
        """The queue of the backend in use."""
        return self._chosen().turns

    @property
    def independent(self) -> bool:
        """As the backend in use."""
        return self._chosen().independent

    def expect(self, candidates: Sequence[CandidateConfig]) -> None:
        """Note candidates that will be asked."""
        self._expected += candidates

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer; with transformers if llama.cpp cannot load it."""
        chosen = self._chosen()
        try:
            chosen.load(candidate)
        except ZooterError as problem:
            if self._engine == TRANSFORMERS:
                raise
            replacement = backend(TRANSFORMERS)
            with suppress(ZooterError):
                replacement.load(candidate)
                with self._lock:
                    self._backend, self._engine = replacement, TRANSFORMERS
                    self.note = f"{problem.failure.reason}: transformers answers instead of llama.cpp."
                return
            raise

    def trial(self, candidate: CandidateConfig) -> str:
        """Any query will do."""
        return self._chosen().trial(candidate)

    def sizes(self) -> Mapping[object, int]:
        """Bytes of each model in memory."""
        return {} if self._backend is None else self._backend.sizes()

    def spare(self) -> None:
        """Unload the models that nobody uses."""
        if self._backend is not None:
            self._backend.spare()

    def read_ahead(self, requests: Sequence[Request]) -> None:
        """As the backend in use."""
        read_ahead(self._chosen(), requests)

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """The pieces of the backend in use, after the first note on why it is the slower one."""
        chosen = self._chosen()
        note, self.note = self.note, ""
        if note:
            yield Piece(requests[0], note=note)
        yield from chosen.stream(requests, generation, stop)

    def _chosen(self) -> Backend:
        with self._lock:
            if self._backend is None:
                self._engine = choice()
                self._backend = backend(self._engine)
                self.note = "" if installed() else MISSING
                expect(self._backend, self._expected)
            return self._backend


def choice(many: bool = False) -> str:
    """The engine to use on this machine, for one answer or for many at once."""
    if not installed():
        return TRANSFORMERS
    speeds = measured()
    return GGUF if speeds is None else speeds.faster(many)


def engine_of(candidate: CandidateConfig, many: bool = False) -> str:
    """The backend that runs a candidate."""
    return choice(many) if candidate.backend == AUTO else candidate.backend


def measured() -> Speeds | None:
    """The speeds that were measured on this machine; None if there are none."""
    with suppress(OSError, ValueError, TypeError, KeyError, ZooterError):
        values = parse_json((cache_dir() / FILE).read_text(encoding="utf-8"))
        one, many = ({name: _number(values[kind][name]) for name in ENGINES} for kind in ("one", "many"))
        return Speeds(one, many)
    return None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def measure(candidate: CandidateConfig, progress: Progress) -> Speeds:
    """Measure both engines with a candidate, and note the result for later starts.

    Raises:
        ZooterError: neither works.
    """
    one: dict[str, float | None] = dict.fromkeys(ENGINES)
    many: dict[str, float | None] = dict.fromkeys(ENGINES)
    problem: ZooterError | None = None
    for name in ENGINES:
        progress(f"Measuring {name} ...")
        engine = backend(name)
        try:
            engine.load(candidate)
            one[name] = round(max(_speed(engine, candidate, 1, TOKENS) for _ in range(ROUNDS)), 1)
            many[name] = round(_speed(engine, candidate, MANY, MANY_TOKENS), 1)
        except ZooterError as raised:
            one[name], problem = None, raised
        finally:
            engine.spare()
    if problem is not None and not any(one.values()):
        raise problem
    path: Path = private_cache() / FILE
    with suppress(OSError), atomic(path) as partial:  # without it, the next check measures again
        partial.write_text(dump_json({"one": one, "many": many}) + "\n", encoding="utf-8")
    return Speeds(one, many)


def _speed(engine: Backend, candidate: CandidateConfig, count: int, tokens: int) -> float:
    """Tokens per second of answers that are asked for at the same time."""
    requests = [Request(candidate, (Message("user", f"{QUERY} {number}"),)) for number in range(count)]
    generation = GenerationConfig(max_new_tokens=tokens, temperature=0.0)
    start, generated = time.perf_counter(), 0
    for piece in engine.stream(requests, generation, threading.Event()):
        if piece.response is not None and piece.response.error is not None:
            raise ZooterError.because(piece.response.error, f"an answer of {candidate.name}")
        if piece.response is not None:
            generated += piece.response.tokens
    return generated / max(time.perf_counter() - start, 1e-6)
