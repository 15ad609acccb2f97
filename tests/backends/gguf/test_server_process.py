"""A process that runs a model: what comes from it, how its end is explained, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.gguf_models import write_model
from support.patience import PATIENCE
from zooter_core.backends.gguf import child, engine
from zooter_core.backends.gguf.engine import ServerProcess
from zooter_core.base.errors import WorkError

SCRIPT = """
import json, sys
print("a warning", file=sys.stderr, flush=True)
print(json.dumps({"settings": json.loads(sys.argv[1])}), flush=True)
sys.stdin.read()
"""


FAILING = """
import sys, time
print('{{"died": "oh"}}', flush=True)
for piece in {log}:
    time.sleep(0.05)
    print(piece, end="", file=sys.stderr, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts a script that is given as text."""
    started: list[ServerProcess] = []

    def from_text(text: str, **settings: Any) -> ServerProcess:
        script = tmp_path / "script.py"
        script.write_text(text)
        started.append(ServerProcess(str(script), settings, os.environ))
        return started[-1]

    yield from_text
    for process in started:
        process.close()


def test_settings_go_in_and_a_report_comes_out(start):
    process = start(SCRIPT, threads=2)
    assert process.first_report(threading.Event()) == {"settings": {"threads": 2}}
    assert stat.S_IMODE(process.folder.stat().st_mode) == 0o700
    assert process.log() == "a warning\n"
    assert process.running
    process.close()
    process.close()
    assert not process.running
    assert not process.folder.exists()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("sys.exit(3)", "the process of llama.cpp ended with exit code 3 (no such file)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the process of llama.cpp ended with signal SIGSEGV (no such file)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the process of llama.cpp was killed (SIGKILL), probably because"),
        ("os.close(1); time.sleep(600)", "llama.cpp closed the connection"),
    ],
)
def test_an_end_is_told_with_its_reason(start, monkeypatch, code, sentence):
    monkeypatch.setattr(engine, "EXIT_SECONDS", PATIENCE if "time" not in code else 0.1)
    process = start(f"import os, signal, sys, time; print('no such file', file=sys.stderr, flush=True); {code}")
    assert process.first_report(threading.Event()) == {}
    assert process.ending().startswith(sentence)


@pytest.mark.parametrize(
    ("log", "kind", "reason"),
    [
        (["0.08 E load: Failed to allocate 4 GB\n"], MemoryError, "Failed to allocate 4 GB"),
        (["0.08 E load: CUDA out of memory\n"], MemoryError, "CUDA out of memory"),
        (["0.08 I loading\n0.09 GGML_ASSERT failed\n0.10 E main: bye\n"], WorkError, "GGML_ASSERT failed"),
        # llama.cpp logs from a thread of its own: here why comes a while after the failure.
        (["0.00.008 ", "E load: ", "not a model", "\n"], WorkError, "not a model"),
        ([], WorkError, "oh"),  # the library's own reason
    ],
)
def test_a_model_without_room_is_told_from_one_that_does_not_load(start, monkeypatch, log, kind, reason):
    if not log:
        monkeypatch.setattr(engine, "REASON_SECONDS", 0.1)
    process = start(FAILING.format(log=log))
    with pytest.raises(kind, match=reason):
        process.wait_until_loaded("model", threading.Event())
    assert not process.running
    assert not process.folder.exists()


def test_a_system_without_llama_cpps_library_is_told_how_to_install_it(start):
    process = start("raise ImportError('libgomp.so.1: cannot open shared object file')")
    with pytest.raises(WorkError, match="apt install libgomp1"):
        process.wait_until_loaded("model", threading.Event())


PARENT = """
import json, os, sys, threading, time
from zooter_core.backends.gguf.engine import ServerProcess
script, settings, reports = json.loads(sys.argv[1])
process = ServerProcess(script, settings, os.environ)
loaded = process.first_report(threading.Event()) if reports else {}
print(json.dumps([process.pid, str(process.folder), loaded]), flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "loading"])
def test_nothing_is_left_when_the_one_that_started_it_is_killed(tmp_path, loaded):
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    settings = {"model": str(write_model(tmp_path / "tiny.gguf")), "adapters": [], "threads": 1, "verbosity": 1}
    call = (child.__file__, settings, loaded)
    places = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, json.dumps(call)], stdout=subprocess.PIPE, env=places
    ) as parent:
        pid, folder, report = json.loads(parent.stdout.readline())
        started = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        assert folder.startswith(str(tmp_path))
        assert bool(report) == loaded
        parent.kill()
    gone, left = psutil.wait_procs(started, timeout=PATIENCE)
    assert (len(gone), left) == (len(started), [])
    assert not Path(folder).exists()
