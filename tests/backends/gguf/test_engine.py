"""Why a model does not load in llama.cpp."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.gguf_models import candidate, write_model
from zooter_core.backends.gguf import child, engine
from zooter_core.backends.gguf.engine import Engine, first_error, last_line
from zooter_core.backends.gguf.header import read_header
from zooter_core.base.errors import WorkError

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf")


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
def test_the_reason_is_the_first_error_that_is_whole(text, error, last):
    assert (first_error(text), last_line(text)) == (error, last)
