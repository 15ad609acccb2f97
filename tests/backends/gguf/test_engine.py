"""The process of llama.cpp: why a model does not load, and what is left when the one that started it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gguf_models import candidate, write_model
from zooter_core.backends.gguf import child, engine
from zooter_core.backends.gguf.engine import Engine, first_error, last_line
from zooter_core.backends.gguf.header import read_header
from zooter_core.errors import WorkError

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf")


def test_the_process_ends_with_the_one_that_started_it(model):
    engine = Engine(candidate(model), read_header(model), [])
    assert (engine._folder / "llama.sock").exists()
    engine.process.stdin.close()  # as the system does when it is killed
    assert engine.process.wait(20) == 0
    assert not engine._folder.exists()
    engine.close()


def test_no_folder_stays_when_the_one_that_started_it_is_killed_while_the_model_loads(model, monkeypatch):
    monkeypatch.setattr(Engine, "_wait_until_loaded", lambda engine, candidate: None)
    engine = Engine(candidate(model), read_header(model), [])
    for pipe in (engine.process.stdin, engine.process.stdout):
        pipe.close()
    assert engine.process.wait(20) == 0
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


@pytest.mark.parametrize(
    ("text", "error", "last"),
    [
        ("", "", ""),
        ("0.00.008.074 ", "", "0.00.008.074"),  # half a line
        ("0.08 E load: unknown model arch", "", "0.08 E load: unknown model arch"),
        ("0.08 I loading\n0.09 E load: no such file\n0.10 E main: bye\n", "no such file", "0.10 E main: bye"),
        ("GGML_ASSERT(rows > 0) failed\n", "GGML_ASSERT(rows > 0) failed", "GGML_ASSERT(rows > 0) failed"),
    ],
)
def test_the_reason_is_the_first_error_that_is_whole(tmp_path, text, error, last):
    (tmp_path / "log").write_text(text)
    assert (first_error(tmp_path / "log"), last_line(tmp_path / "log")) == (error, last)


def test_a_log_that_is_missing_has_no_reason(tmp_path):
    assert first_error(tmp_path / "log") == last_line(tmp_path / "log") == ""
