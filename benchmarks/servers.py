"""Code shared by the scripts that use servers: a server in a separate process, its time and memory, and a browser."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from zooter_core.base.paths import ROOT

STUB = Path(__file__).with_name("stub_server.py")
START_SECONDS = 180
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]  # of Chromium


@dataclass
class Server:
    """A server on this machine, and its process."""

    port: int
    process: psutil.Process
    ready_seconds: float

    @property
    def address(self) -> str:
        """The address for a browser."""
        return f"http://localhost:{self.port}"

    @property
    def url(self) -> str:
        """The base URL of the chat completions API."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def processes(self) -> list[psutil.Process]:
        """The process and its children."""
        return family(self.process)

    @property
    def megabytes(self) -> float:
        """Resident memory of the processes."""
        total = 0
        for process in self.processes:
            with contextlib.suppress(psutil.Error):  # a child may end
                total += process.memory_info().rss
        return total / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the processes so far."""
        return cpu_seconds(self.processes)


def family(process: psutil.Process | None = None) -> list[psutil.Process]:
    """A process, by default this one, and its children."""
    first = process or psutil.Process()
    return [first, *first.children(recursive=True)]


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time of processes so far."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # a process may end
            total += sum(process.cpu_times()[:2])
    return total


@contextmanager
def started(
    command: Sequence[str], port: int, stop: int = signal.SIGTERM, folder: Path = ROOT, **environment: str
) -> Iterator[Server]:
    """A server, once it accepts connections. It is ended with the signal `stop`."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment, cwd=folder)
        try:
            while not listening(port):
                if process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                    log.seek(0)
                    sys.exit(f"{command[0]} does not start:\n{log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.02)
            yield Server(port, psutil.Process(process.pid), time.perf_counter() - began)
        finally:
            process.send_signal(stop)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def listening(port: int) -> bool:
    """Whether a server accepts connections."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def demo(*options: str, folder: Path = ROOT, **environment: str) -> AbstractContextManager[Server]:
    """`zooter demo` without history, with further options of the command; `folder` is the checkout that it runs in."""
    port = free_port()
    command = [sys.executable, "-m", "zooter_core.cli", "demo", "--port", str(port), "--no-browser"]
    return started([*command, *options], port, signal.SIGINT, folder, **{"ZOOTER_HISTORY": "off"} | environment)


def streamlit(script: Path, source: str) -> AbstractContextManager[Server]:
    """A Streamlit app, whose source is written to a script."""
    script.write_text(source)
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    return started([sys.executable, "-m", "streamlit", "run", str(script), *options], port, signal.SIGINT)


def chromium() -> str:
    """The path of Chromium. Ends the script if it is not installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    if program := next(filter(None, map(shutil.which, names)), None):
        return program
    sys.exit("Expected Chromium, but found none. Install the package chromium.")


def stub_server(tokens: int, rate: float, *slow: float) -> AbstractContextManager[Server]:
    """A server that sends every answer at a fixed rate of tokens; 0 sends all at once.

    Args:
        slow: the share of requests whose first token is delayed, and the delay in seconds.
    """
    port = free_port()
    return started([sys.executable, str(STUB), *map(str, (port, tokens, rate, *slow))], port)
