"""The backend auto: llama.cpp, or transformers where that is faster or alone works."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from support.gguf_models import write_model
from support.tiny_models import save_language_model
from zooter_core.backends import Piece, Request
from zooter_core.backends.gguf import auto
from zooter_core.backends.gguf.auto import FILE, AutoBackend, Speeds
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet, GenerationConfig
from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.records import Message

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZOOTER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> CandidateConfig:
    """A candidate that only transformers can run."""
    path = tmp_path_factory.mktemp("folder")
    save_language_model(path)
    return CandidateConfig("folder", "auto", str(path), dtype="float32")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> CandidateConfig:
    """A candidate that only llama.cpp can run."""
    return CandidateConfig("file", "auto", str(write_model(tmp_path_factory.mktemp("file") / "tiny.gguf")), threads=1)


def answer(backend: AutoBackend, candidate: CandidateConfig) -> list[Piece]:
    request = Request(candidate, (Message("user", "Why?"),))
    return list(backend.stream([request], SHORT, threading.Event()))


def test_llama_cpp_answers_until_something_else_is_measured(file):
    backend = AutoBackend()
    backend.load(file)
    assert [piece.note for piece in answer(backend, file) if piece.note] == []
    assert backend.turns is None
    assert len(backend.sizes()) == 1
    backend.spare()


def note_speeds(cache: Path, one: dict, many: dict) -> None:
    (cache / FILE).write_text(json.dumps({"one": one, "many": many}))


@pytest.mark.parametrize(
    ("gguf", "transformers", "chosen"), [(80, 14, "gguf"), (80, 900, "transformers"), (None, 14, "transformers")]
)
def test_the_faster_engine_is_used(cache, gguf, transformers, chosen):
    speeds, others = {"gguf": gguf, "transformers": transformers}, {"gguf": transformers, "transformers": gguf}
    assert Speeds(speeds, others).faster() == chosen
    note_speeds(cache, speeds, others)
    assert auto.choice() == chosen
    assert auto.choice(many=True) == ({"gguf", "transformers"} - {chosen}).pop()


@pytest.mark.parametrize("text", ["", "[]", '{"one": 1}', '{"one": {"gguf": 1}}', '{"gguf": 8, "transformers": 2}'])
def test_a_damaged_measurement_is_none(cache, text):
    (cache / FILE).write_text(text)
    assert auto.measured() is None
    assert auto.choice() == auto.choice(many=True) == "gguf"


def test_a_speed_that_is_no_number_is_no_measurement(cache):
    note_speeds(cache, {"gguf": "fast", "transformers": 2}, {"gguf": 1, "transformers": 2})
    assert auto.measured() is None


def test_a_run_asks_the_engine_that_is_faster_with_many_queries(cache, folder):
    ensemble = Ensemble(Fleet("fleet", Path(), (folder,)))
    assert ensemble.divisible("folder") is False  # another machine may have measured something else
    for slower, faster in (("gguf", "transformers"), ("transformers", "gguf")):
        note_speeds(cache, {slower: 9, faster: 1}, {slower: 1, faster: 9})
        ensemble = Ensemble(Fleet("fleet", Path(), (folder,)))
        assert ensemble.independent("folder") == (faster == "gguf")
        assert set(ensemble.backends) == {faster}
    note_speeds(cache, {"gguf": 1, "transformers": 9}, {"gguf": 1, "transformers": 9})
    ensemble = Ensemble(Fleet("fleet", Path(), (folder,)))
    request = Request(folder, (Message("user", "Why?"),))
    pieces = list(ensemble.run_candidate("folder", [request], threading.Event(), SHORT))
    assert pieces[-1].response.error is None
    assert set(ensemble.backends) == {"auto"}  # which has the model in memory, if a query was answered before


@pytest.mark.slow
def test_both_engines_are_measured_and_the_result_stays(file, folder):
    messages: list[str] = []
    speeds = auto.measure(file, messages.append)
    assert speeds.one["transformers"] is speeds.many["transformers"] is None
    assert speeds.one["gguf"] > 0 < speeds.many["gguf"]
    assert auto.measured() == speeds
    assert len(messages) == 2
    assert auto.measure(folder, messages.append).faster() == "transformers" == auto.choice(many=True)


def test_nothing_to_measure_is_an_error(tmp_path):
    with pytest.raises(ZooterError):
        auto.measure(CandidateConfig("none", "auto", str(tmp_path / "none.gguf")), lambda message: None)
    assert auto.measured() is None


def test_without_the_library_transformers_answers_with_a_note(folder, monkeypatch):
    monkeypatch.setattr(auto, "installed", lambda: False)
    backend = AutoBackend()
    pieces = answer(backend, folder)
    assert pieces[0].note == auto.MISSING
    assert pieces[-1].response.error is None
    assert not any(piece.note for piece in answer(backend, folder))  # once is enough


def test_what_llama_cpp_cannot_load_transformers_answers_with_a_note(folder):
    backend = AutoBackend()
    backend.load(folder)
    pieces = answer(backend, folder)
    assert pieces[0].note.endswith("transformers answers instead of llama.cpp.")
    assert pieces[-1].response.error is None


def test_what_transformers_answers_instead_stays_with_it(folder, tmp_path, monkeypatch):
    backend = AutoBackend()
    backend.load(folder)
    monkeypatch.setattr(auto, "backend", pytest.fail)  # no second one
    with pytest.raises(ZooterError):
        backend.load(CandidateConfig("none", "auto", str(tmp_path / "none")))


def test_what_neither_can_load_is_an_error(tmp_path):
    with pytest.raises(ZooterError, match="none there"):
        AutoBackend().load(CandidateConfig("none", "auto", str(tmp_path / "none.gguf")))
