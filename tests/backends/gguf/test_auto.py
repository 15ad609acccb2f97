"""The backend auto: llama.cpp, or transformers where llama.cpp is missing or cannot load a model."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from support.gguf_models import write_model
from support.tiny_models import save_language_model
from zooter_core.backends import Piece, Request
from zooter_core.backends.gguf import auto
from zooter_core.backends.gguf.auto import AutoBackend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet, GenerationConfig
from zooter_core.fleet.ensemble import Ensemble

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CandidateConfig:
    """A candidate that only transformers can run."""
    path = tmp_path_factory.mktemp("folder")
    save_language_model(path)
    return CandidateConfig("folder", "auto", str(path), dtype="float32")


@pytest.fixture
def file(model: Path) -> CandidateConfig:
    """A candidate that only llama.cpp can run."""
    return CandidateConfig("file", "auto", str(model), threads=1)


def answer(backend: AutoBackend, candidate: CandidateConfig) -> list[Piece]:
    request = Request(candidate, (Message("user", "Why?"),))
    return list(backend.stream([request], SHORT, threading.Event()))


def test_llama_cpp_answers_where_it_is_installed_and_a_run_asks_the_same_engine(folder, file):
    ensemble = Ensemble(Fleet("fleet", Path(), (folder, file)))
    backend = ensemble.backend_of("auto")
    backend.load(file)
    assert [piece.note for piece in answer(backend, file) if piece.note] == []
    assert backend.turns is None
    assert ensemble.independent("file")
    request = Request(file, (Message("user", "Why?"),))
    pieces = list(ensemble.run_candidate("file", iter([request]), threading.Event(), SHORT))
    assert pieces[-1].response.error is None
    assert ensemble.backends == {"auto": backend}
    assert len(backend.sizes()) == 1
    backend.spare()


def test_without_the_library_transformers_answers_with_a_note(folder, monkeypatch):
    monkeypatch.setattr(auto, "installed", lambda: False)
    backend = AutoBackend()
    pieces = answer(backend, folder)
    assert pieces[0].note == auto.MISSING
    assert pieces[-1].response.error is None
    assert not any(piece.note for piece in answer(backend, folder))  # once is enough


def test_what_llama_cpp_cannot_load_transformers_answers_with_a_note(folder, file):
    ensemble = Ensemble(Fleet("fleet", Path(), (folder, file)))
    backend = ensemble.backend_of("auto")
    backend.load(folder)
    assert [ensemble.independent(name) for name in ("folder", "file")] == [False, True]
    pieces = answer(backend, folder)
    assert pieces[0].note.endswith("transformers answers instead of llama.cpp.")
    assert pieces[-1].response.error is None


def test_what_llama_cpp_cannot_load_falls_back_alone_also_without_a_load(folder, file):
    backend = AutoBackend()
    requests = [Request(candidate, (Message("user", "Why?"),)) for candidate in (file, folder, file)]
    pieces = list(backend.stream(requests, SHORT, threading.Event()))
    (noted,) = [piece for piece in pieces if piece.note]
    assert noted.request is requests[1]
    responses = {piece.request: piece.response for piece in pieces if piece.response}
    assert [responses[request].error for request in requests] == [None] * 3
    assert backend.runner(file) is backend
    assert backend.runner(folder) is not backend
    assert len(backend.sizes()) == 2
    backend.retain([folder])
    assert len(backend.sizes()) == 1
    backend.spare()
    assert not backend.sizes()


def test_an_engine_that_does_not_start_falls_back_too(tmp_path, monkeypatch):
    """The header can be read; that the architecture is unknown shows when llama.cpp loads it."""
    package = tmp_path / "two_formats"
    save_language_model(package)
    write_model(package / "tiny.gguf", architecture="unheard-of")
    monkeypatch.syspath_prepend(str(tmp_path))
    mixed = CandidateConfig("both", "auto", "package:two-formats", dtype="float32", threads=1)
    backend = AutoBackend()
    assert backend.runner(mixed) is backend
    note, *pieces = answer(backend, mixed)
    assert note.note.endswith("transformers answers instead of llama.cpp.")
    assert pieces[-1].response.error is None
    assert not any(piece.note for piece in answer(backend, mixed))
    backend.spare()


def test_what_neither_can_load_is_an_error(tmp_path):
    with pytest.raises(ZooterError, match="found no file"):
        AutoBackend().load(CandidateConfig("none", "auto", str(tmp_path / "none.gguf")))
