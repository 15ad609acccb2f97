"""Backend `auto`: llama.cpp where xllamacpp is installed, else transformers.

A candidate that llama.cpp cannot load goes to transformers as well, alone. To choose, name `gguf` or `transformers` in
fleet.toml.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from zooter_core.backends import Backend, Piece, Request, backend
from zooter_core.backends.gguf import INSTALL, check_engine, installed
from zooter_core.backends.gguf.backend import GgufBackend
from zooter_core.backends.merge_streams import merge_streams
from zooter_core.base.errors import ZooterError
from zooter_core.base.weights import has_torch
from zooter_core.config.candidates import AUTO_BACKEND, TRANSFORMERS, CandidateConfig
from zooter_core.config.fleet import GenerationConfig

MISSING = f"xllamacpp is not installed, so transformers answers, several times slower. Run `{INSTALL}`."


class AutoBackend(GgufBackend):
    """llama.cpp, with transformers for the candidates that it cannot load."""

    def __init__(self) -> None:
        super().__init__()
        self._installed, self._making = installed(), threading.Lock()
        check_engine(AUTO_BACKEND, 'The backend "auto"')
        self._slower: Backend | None = None
        self._instead: set[CandidateConfig] = set()  # candidates that transformers answers for
        # Why it does, by candidate, told once; None stands for all candidates.
        self._notes: dict[CandidateConfig | None, str] = {} if self._installed else {None: MISSING}

    @property
    def _transformers(self) -> Backend:
        with self._making:
            self._slower = self._slower or backend(TRANSFORMERS)
            return self._slower

    def runner(self, candidate: CandidateConfig) -> Backend:
        """llama.cpp, unless it has failed to load the candidate so far."""
        return self if self._installed and candidate not in self._instead else self._transformers

    def _falls_back(self, candidate: CandidateConfig, problem: ZooterError) -> bool:
        """Whether transformers can load a candidate that llama.cpp cannot load. It then answers from now on."""
        try:
            if has_torch():
                self._transformers.context(candidate)
                self._notes[candidate] = f"{problem.failure.reason}: transformers answers instead of llama.cpp."
                self._instead.add(candidate)
        except ZooterError:
            return False
        return candidate in self._instead

    def load(self, candidate: CandidateConfig) -> None:
        if self.runner(candidate) is self:
            try:
                super().load(candidate)
                return
            except ZooterError as problem:
                if not self._falls_back(candidate, problem):
                    raise
        self._transformers.load(candidate)

    def stream(
        self, requests: Iterable[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """The pieces of both backends. An iterator is for llama.cpp, whose requests are independent."""
        groups: dict[Backend, list[Request]] = {}
        for request in requests if isinstance(requests, Sequence) else ():
            groups.setdefault(self.runner(request.candidate), []).append(request)
            yield from self._note(request)
        streams = [partial(runs.stream, group, generation) for runs, group in groups.items() if runs is not self]
        if ours := groups.get(self, []) if isinstance(requests, Sequence) else requests:
            streams.append(partial(super().stream, ours, generation))
        yield from merge_streams(streams, stop)

    def _run(self, request: Request, generation: GenerationConfig, stop: threading.Event) -> Iterator[Piece]:
        try:
            yield from super()._run(request, generation, stop)
        except ZooterError as problem:  # before its first word: it does not load
            if not self._falls_back(request.candidate, problem):
                raise
            yield from self._note(request)
            yield from self._transformers.stream([request], generation, stop)

    def read_ahead(self, requests: Sequence[Request]) -> None:
        super().read_ahead([request for request in requests if self.runner(request.candidate) is self])

    def _note(self, request: Request) -> Iterator[Piece]:
        """The note why transformers answers a request, if nobody has been told."""
        for key in (None, request.candidate):
            if note := self._notes.pop(key, ""):
                yield Piece(request, note=note)

    def sizes(self) -> Mapping[object, int]:
        return {**super().sizes(), **(self._slower.sizes() if self._slower else {})}

    def spare(self) -> None:
        super().spare()
        if self._slower:
            self._slower.spare()

    def retain(self, candidates: Sequence[CandidateConfig]) -> None:
        ours = [candidate for candidate in candidates if self._installed and candidate not in self._instead]
        super().retain(ours)
        if self._slower:
            self._slower.retain([candidate for candidate in candidates if candidate not in ours])
