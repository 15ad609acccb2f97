"""Starts and ends the process that runs a model with llama.cpp, and reads its log and report.

The process runs a script, `python SCRIPT SETTINGS FOLDER`, which does not import this package. The script reports with
a line of JSON on standard output that the model is loaded, or with `died` why it is not. When its standard input is
closed, it removes the folder and ends, so that nothing stays behind if this process is killed. A crash in native code
ends only that process.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zooter_core.backends import POLL_SECONDS
from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import dump_json, parse_json

EXIT_SECONDS = 2.0  # how long to wait for the end of a process that has closed its pipe or socket
REASON_SECONDS = 5.0  # how long to wait until llama.cpp has written why a model does not load
OUT_OF_MEMORY = re.compile(r"out of memory|(failed|unable) to allocate|cannot allocate memory|failed to create context")
LIBRARY = "ImportError: libgomp"  # the error on minimal systems, which do not have this library
INSTALL = "Install the library: `apt install libgomp1` on Debian and Ubuntu, `dnf install libgomp` on Fedora."
CHECK = "Check the file, and that the installed version of xllamacpp knows its architecture."


class ServerProcess:
    """A process that runs a model.

    Attributes:
        folder: contains the socket and the log; only this user can access it.
    """

    def __init__(self, script: str, settings: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zooter-"))
        self._log, self._closing = self.folder / "log", threading.Lock()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", script, dump_json(settings), str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                process_group=0,  # so that Ctrl-C reaches only this process, which then ends the other one
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid, self._input, self._output = self._process.pid, self._process.stdin, self._process.stdout

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until_loaded(self, model: str, stop: threading.Event) -> None:
        """Wait until the model is loaded, which may take minutes. If it does not load, end the process.

        Raises:
            InterruptedError: `stop` was set.
            MemoryError: there is too little memory for the model.
            WorkError: the model does not load.
        """
        try:
            report = self.first_report(stop)
            if report and "died" not in report:
                return
            reason = self._why_not_loaded(report)
            if OUT_OF_MEMORY.search(reason.lower()):
                raise MemoryError(reason)
            raise WorkError(f"llama.cpp to load {model}", reason, INSTALL if LIBRARY in reason else CHECK)
        except BaseException:
            self.close()
            raise

    def first_report(self, stop: threading.Event) -> dict[str, Any]:
        """The report of the process; empty if it ends without one. Raises InterruptedError if `stop` is set."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while not stop.is_set():
                if selector.select(POLL_SECONDS):
                    with suppress(ValueError):  # the line is cut off, or `close` was called first
                        return parse_json(line) if (line := self._output.readline()) else {}
                    return {}
        raise InterruptedError

    def _why_not_loaded(self, report: Mapping[str, Any]) -> str:
        end = time.monotonic() + REASON_SECONDS
        while not (reason := first_error(self.log())) and self.running and time.monotonic() < end:
            time.sleep(0.01)  # a thread of llama.cpp may write the reason after the report
        return reason or report.get("died") or self.ending()

    def log(self) -> str:
        """The text that the process has written to standard error."""
        return self._log.read_bytes().decode(errors="replace")

    def ending(self) -> str:
        """How the process ended, with the last error in its log."""
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "llama.cpp closed the connection"
        if code == -signal.SIGKILL:
            return "the process of llama.cpp was killed (SIGKILL), probably because memory ran out"
        log = self.log()
        reason = first_error(log) or (log.splitlines() or [""])[-1].strip()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"the process of llama.cpp ended with {how}{f' ({reason})' if reason else ''}"

    def close(self) -> None:
        """Kill the process and its children, and remove the folder."""
        with self._closing:
            self._input.close()
            with suppress(ProcessLookupError, PermissionError):  # on macOS, the second if the group has ended
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self._output.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def first_error(log: str) -> str:
    """The first error in a complete line of a log, without its time and place; "" if there is none."""
    for line in log.splitlines(keepends=True):
        _, mark, rest = line.partition(" E ")
        if line.endswith("\n") and (mark or "GGML_ASSERT" in line or "alloc" in line):
            return (rest.partition(": ")[2] or rest or line).strip()
    return ""
