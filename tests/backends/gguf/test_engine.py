"""The process of llama.cpp: what is left of it when the one that started it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gguf_models import candidate, write_model
from zooter_core.backends.gguf.engine import Engine
from zooter_core.backends.gguf.header import read_header

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf")


def test_the_process_ends_with_the_one_that_started_it(model):
    engine = Engine(candidate(model), read_header(model), [])
    assert (engine._folder / "llama.sock").exists()
    engine._process.stdin.close()  # as the system does when it is killed
    assert engine._process.wait(20) == 0
    assert not engine._folder.exists()
    engine.close()


def test_no_folder_stays_when_the_one_that_started_it_is_killed_while_the_model_loads(model, monkeypatch):
    monkeypatch.setattr(Engine, "_wait_until_loaded", lambda engine, candidate: None)
    engine = Engine(candidate(model), read_header(model), [])
    for pipe in (engine._process.stdin, engine._process.stdout):
        pipe.close()
    assert engine._process.wait(20) == 0
    assert not engine._folder.exists()
    engine.close()
