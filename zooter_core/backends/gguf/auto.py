"""Backend `auto`: llama.cpp where xllamacpp is installed, else transformers.

A model that llama.cpp cannot load goes to transformers as well. To choose, name `gguf` or `transformers` in fleet.toml.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from zooter_core.backends import Piece, Request, backend
from zooter_core.backends.gguf import installed
from zooter_core.base.errors import ZooterError, not_installed
from zooter_core.base.weights import has_torch
from zooter_core.config.candidates import AUTO, GGUF, TRANSFORMERS, CandidateConfig
from zooter_core.config.fleet import GenerationConfig

NEITHER = "Run `pip install 'zooter[gguf]'`, or, for transformers, `pip install 'zooter[torch]'`."
MISSING = "xllamacpp is not installed, so transformers answers, several times slower. Run `pip install 'zooter[gguf]'`."


class AutoBackend:
    """Passes everything on to one of the two backends."""

    def __init__(self) -> None:
        self._engine = engine()
        if self._engine == TRANSFORMERS and not has_torch():
            raise not_installed("xllamacpp", 'The backend "auto"', NEITHER)
        self._backend = backend(self._engine)
        self.note = "" if self._engine == GGUF else MISSING  # why transformers answers; told once

    def __getattr__(self, name: str) -> Any:
        """What is not here is that of the backend in use."""
        return getattr(self._backend, name)

    def load(self, candidate: CandidateConfig) -> None:
        """Make the candidate ready to answer; with transformers if llama.cpp cannot load it."""
        try:
            self._backend.load(candidate)
        except ZooterError as problem:
            if self._engine == TRANSFORMERS or not has_torch():
                raise
            replacement = backend(TRANSFORMERS)
            with suppress(ZooterError):
                replacement.load(candidate)
                self._engine, self._backend = TRANSFORMERS, replacement
                self.note = f"{problem.failure.reason}: transformers answers instead of llama.cpp."
                return
            raise

    def stream(
        self, requests: Sequence[Request], generation: GenerationConfig, stop: threading.Event
    ) -> Iterator[Piece]:
        """The pieces of the backend in use, after the note on why it is transformers."""
        note, self.note = self.note, ""
        if note:
            yield Piece(requests[0], note=note)
        yield from self._backend.stream(requests, generation, stop)


def engine() -> str:
    """The backend that `auto` uses in this environment."""
    return GGUF if installed() else TRANSFORMERS


def engine_of(candidate: CandidateConfig) -> str:
    """The backend that runs a candidate."""
    return engine() if candidate.backend == AUTO else candidate.backend
