"""The process of llama.cpp: why a model does not load, and what is left when the one that started it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gguf_models import candidate, write_model
from zooter_core.backends.gguf import child, engine
from zooter_core.backends.gguf.engine import Engine
from zooter_core.backends.gguf.header import read_header
from zooter_core.errors import WorkError

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


def test_a_reason_that_comes_after_the_failure_and_in_pieces_is_read(model, tmp_path, monkeypatch):
    """llama.cpp logs from a thread of its own: here why comes half a second after the failure."""
    (tmp_path / "child.py").write_text(
        """
import sys, time
print('{"error": "failed to load"}', flush=True)
for piece in ("0.00.008 ", "E load: ", "not a model", "\\n"):
    time.sleep(0.1)
    print(piece, end="", file=sys.stderr, flush=True)
sys.stdin.read()
"""
    )
    monkeypatch.setattr(child, "__file__", str(tmp_path / "child.py"))
    with pytest.raises(WorkError, match="not a model"):
        Engine(candidate(model), read_header(model), [])


def test_a_failure_that_llama_cpp_does_not_log_has_the_library_s_own_reason(model, tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text("""import sys; print('{"error": "no backend"}', flush=True); sys.stdin.read()""")
    monkeypatch.setattr(child, "__file__", str(tmp_path / "child.py"))
    monkeypatch.setattr(engine, "REASON_SECONDS", 0.1)
    with pytest.raises(WorkError, match="no backend"):
        Engine(candidate(model), read_header(model), [])
