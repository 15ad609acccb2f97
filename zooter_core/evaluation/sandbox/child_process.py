"""A worker or a checker, seen from the process that starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[3]
START = (
    "import sys; sys.path.append({!r}); from zooter_core.evaluation.sandbox.process import main; sys.path.pop(); main()"
)
Ends = tuple[IO[bytes], IO[bytes]]  # of a pipe, or of a side of two: to read and to write
END_SECONDS = 10  # for a sandbox to end everything inside


class ChildProcess:
    """A process that starts at once. Leaving the context ends it with all its children, and waits for that.

    Args:
        job: the work, for `process.main`.
        channel: its ends of the pipes between worker and checker, to read and to write.
        out: its stdout.
        errors: its stderr, as for `subprocess.Popen`.
    """

    def __init__(self, job: dict[str, Any], channel: Ends, out: IO[bytes], errors: int) -> None:
        descriptors = tuple(end.fileno() for end in channel)
        self._sandboxed = bool(job["sandboxed"])
        self._folder = ""  # only where there is no sandbox to make one
        if not self._sandboxed:
            self._folder = tempfile.mkdtemp(prefix="zooter-")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", START.format(str(ROOT))],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=errors,
            cwd=self._folder or None,
            env={},
            pass_fds=descriptors,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:  # the process may have ended
            stdin.write(json.dumps(job | {"channel": descriptors, "folder": self._folder}).encode())

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._sandboxed:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        with suppress(ProcessLookupError, PermissionError):  # macOS raises the second for a group that has ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def signal(self, seconds: float) -> int:
        """The signal that ended its code, waiting at most `seconds` for its end; 0 if there was none."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(seconds)
            return max(0, code - 128 if self._sandboxed else -code)
        return 0


def channels(stack: ExitStack) -> tuple[Ends, Ends]:
    """The two sides of a connection, closed with the stack."""
    (read_here, write_there), (read_there, write_here) = pipe(stack), pipe(stack)
    return (read_here, write_here), (read_there, write_there)


def pipe(stack: ExitStack) -> Ends:
    """The ends of a pipe to read and to write, closed with the stack."""
    read, write = os.pipe()
    return stack.enter_context(open(read, "rb", buffering=0)), stack.enter_context(open(write, "wb", buffering=0))
