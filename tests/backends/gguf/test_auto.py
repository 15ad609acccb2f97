"""The backend auto: llama.cpp if the model is a GGUF file, else transformers."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from support.gguf_models import write_model
from support.tiny_models import save_language_model
from zooter_core.backends import Piece, gguf
from zooter_core.backends.gguf import engine
from zooter_core.base.errors import ZooterError
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet, GenerationConfig
from zooter_core.fleet.ensemble import Ensemble

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
SHORT = GenerationConfig(max_new_tokens=4, temperature=0.0)


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CandidateConfig]:
    """A folder, a file, a package with both formats, and a file that is not there."""
    site = tmp_path_factory.mktemp("site")
    package = site / "two_formats"
    save_language_model(package)
    write_model(package / "tiny.gguf")
    models = {"folder": str(package), "file": str(package / "tiny.gguf")}
    models |= {"both": "package:two-formats", "none": str(site / "none.gguf")}
    return {name: CandidateConfig(name, "auto", model, dtype="float32", threads=1) for name, model in models.items()}


@pytest.fixture
def ensemble(candidates: dict[str, CandidateConfig], monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    monkeypatch.syspath_prepend(str(Path(candidates["folder"].model).parent))
    return Ensemble(Fleet("fleet", Path(), tuple(candidates.values())))


def answer(ensemble: Ensemble, *names: str) -> list[Piece]:
    return list(ensemble.run_candidates(names, "Why?", threading.Event(), SHORT))


def test_each_candidate_has_the_engine_that_reads_its_model(ensemble, candidates):
    assert [gguf.choose_backend(one) for one in candidates.values()] == ["transformers", "gguf", "gguf", "gguf"]
    assert [ensemble.independent(name) for name in ("folder", "file")] == [False, True]
    pieces = answer(ensemble, "file", "folder", "both")
    assert [piece.response.error for piece in pieces if piece.response] == [None] * 3
    assert not any(piece.note for piece in pieces)
    assert {kind: len(backend.sizes()) for kind, backend in ensemble.backends.items()} == {"gguf": 1, "transformers": 1}
    Ensemble(replace(ensemble.fleet, candidates=(candidates["folder"],)), ensemble.backends).retain()
    assert not ensemble.backends["gguf"].sizes()


def test_without_the_library_a_gguf_file_needs_it(ensemble, monkeypatch):
    monkeypatch.setattr(engine, "installed", lambda: False)
    (piece,) = answer(ensemble, "both")
    assert "Run `pip install 'zooter[gguf]'`." in str(piece.response.error)
    assert answer(ensemble, "folder")[-1].response.error is None


def test_a_file_that_is_not_there_is_an_error(ensemble, candidates):
    with pytest.raises(ZooterError, match=r"no file none\.gguf"):
        ensemble.backend_for(candidates["none"]).load(candidates["none"])
