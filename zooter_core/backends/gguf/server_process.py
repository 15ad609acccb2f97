"""The process in which llama.cpp runs a model: its folder, log, report and end.

The process runs a script, `python SCRIPT SETTINGS FOLDER`, which imports nothing of this package. A line of JSON on its
standard output says that the model is loaded, or with `died` why not. The script ends when its standard input does, and
then removes the folder: nothing is left when this process is killed. A crash in native code ends that process and not
this one.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import dump_json, parse_json

POLL_SECONDS = 0.05  # between looks at a stop
EXIT_SECONDS = 2.0  # for a process that has closed its pipe or socket to end
FULL = (  # what libraries say when memory runs out
    *("out of memory", "failed to allocate", "unable to allocate", "cannot allocate memory"),
    "failed to create context",
)


def rank_session(leader: int) -> None:
    """Give a whole session of processes the rank (`nice`) of this process, among other sessions.

    Linux shares the processor between sessions first (autogroups, see sched(7)), so that the rank of a process that
    leads a session says nothing outside. Elsewhere, and in control groups, this does nothing.
    """
    with suppress(OSError, AttributeError):
        Path(f"/proc/{leader}/autogroup").write_text(str(os.nice(0)), encoding="ascii")


class ServerProcess:
    """A process that runs a model.

    Attributes:
        folder: for the socket and the log; only this user may enter it.
    """

    def __init__(self, script: str, settings: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zooter-"))
        self._log, self._closing = self.folder / "log", threading.Lock()
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", script, dump_json(settings), str(self.folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for this process, which ends the other one
                )
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        rank_session(self._process.pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid, self._input, self._output = self._process.pid, self._process.stdin, self._process.stdout

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def loaded(
        self,
        model: str,
        reason_of: Callable[[Mapping[str, Any]], str],
        next_step: str,
        stop: threading.Event | None = None,
    ) -> None:
        """Wait until the model is loaded, which may take minutes. If it does not load, the process ends.

        Args:
            reason_of: why the model does not load, by a report that says so; an empty one if there is none.

        Raises:
            InterruptedError: `stop` was set.
            MemoryError: there is too little memory for the model.
            WorkError: it does not load.
        """
        try:
            report = self.first_report(stop)
            if report and "died" not in report:
                return
            reason = reason_of(report)
            if any(words in reason.lower() for words in FULL):
                raise MemoryError(reason)
            raise WorkError(f"llama.cpp to load {model}", reason, next_step)
        except BaseException:
            self.close()
            raise

    def first_report(self, stop: threading.Event | None = None) -> dict[str, Any]:
        """The first report; empty if the process ends without one. Raises InterruptedError if `stop` is set."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while stop is None or not stop.is_set():
                if selector.select(POLL_SECONDS):
                    with suppress(ValueError):  # a line that a death has cut off, or `close` came first
                        return parse_json(line) if (line := self._output.readline()) else {}
                    return {}
        raise InterruptedError

    def log(self) -> str:
        """What the process has written to standard error."""
        with suppress(OSError):
            return self._log.read_bytes().decode(errors="replace")
        return ""

    def ending(self, reason: str = "") -> str:
        """How the process has ended, with its reason."""
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "llama.cpp closed the connection"
        if code == -signal.SIGKILL:
            return "the process of llama.cpp was killed (SIGKILL), as the system does when memory runs out"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"the process of llama.cpp ended with {how}{f' ({reason})' if reason else ''}"

    def close(self) -> None:
        """End the process with all that it has started, and remove its folder."""
        with self._closing:
            with suppress(OSError):
                self._input.close()
            with suppress(ProcessLookupError, PermissionError):  # macOS raises the second for a group that has ended
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            self._output.close()
            shutil.rmtree(self.folder, ignore_errors=True)
