"""The demo's server on a real terminal: what a page that fails sends there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from support.terminal_screen import ACTS, CLEAR, HOSTILE, terminal
from zooter_core.base.terminal import visible

ROOT = Path(__file__).resolve().parents[2]
PAGE = f"""
import gc, sys, threading

def fails():
    raise ValueError("thread " + {HOSTILE!r})

print("printed " + {HOSTILE!r}, flush=True)
thread = threading.Thread(target=fails)
thread.start()
thread.join()
print("searched for components", "streamlit.components.v2.manifest_scanner" in sys.modules, flush=True)
print("collects garbage", gc.isenabled(), gc.get_freeze_count() > 10_000, flush=True)
raise RuntimeError("page " + {HOSTILE!r})
"""
SERVE = """
import sys
from pathlib import Path
from zooter_core.base.terminal import guard
guard()
from zooter_core.ui import server
server.APP = Path(sys.argv.pop(1))
server.serve()
"""


def visit(port: int, printed: Callable[[], bool]) -> None:
    """Open a session, as a browser does, until the page has run."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from websockets.sync.client import connect

    message = BackMsg()
    message.rerun_script.query_string = ""
    with connect(f"ws://localhost:{port}/_stcore/stream", origin=f"http://localhost:{port}", proxy=None) as session:
        session.send(message.SerializeToString())
        end = time.monotonic() + 60
        while not printed() and time.monotonic() < end:
            time.sleep(0.05)


def text_of(received: bytearray) -> str:
    return received.decode(errors="replace").replace("\r\n", "\n")


@pytest.mark.slow
def test_a_page_that_fails_does_nothing_to_the_terminal(tmp_path):
    pytest.importorskip("websockets")
    (tmp_path / "page.py").write_text(PAGE, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(tmp_path / "page.py"), "--server.port", str(port)]
    received = bytearray()
    with terminal(received) as file:
        process = subprocess.Popen(
            [*command, "--server.headless", "true"],
            stdout=file,
            stderr=file,
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm"},
        )
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.2)
            visit(port, lambda: f"page {visible(HOSTILE)}" in text_of(received))
        finally:
            process.terminate()
            process.wait(30)
    text = text_of(received)
    assert not ACTS.search(text), repr(text)
    assert CLEAR not in text
    for source in ("printed", "thread", "page"):
        assert f"{source} {visible(HOSTILE)}" in text
    assert "searched for components False" in text
    assert "collects garbage True True" in text
