"""Run an untrusted Python function against a trusted check, in a sandbox, with limits."""

from __future__ import annotations

import json
import os
import platform
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO

from zooter_core.base.errors import WorkError
from zooter_core.evaluation.sandbox import bubblewrap

ROOT = Path(__file__).resolve().parents[3]
START = """
import sys
sys.path.append({!r})
from zooter_core.evaluation.sandbox.process import main
sys.path.pop()
main({!r}, {!r}, {!r}, {!r})
"""
START_SECONDS = 60  # for both processes to be ready, on a busy machine
EXIT_SECONDS = 1  # for a worker that closed its channel to end
Ends = tuple[IO[bytes], IO[bytes]]  # to read from and to write to
Process = subprocess.Popen[bytes]


class SandboxError(WorkError):
    """The sandbox cannot be set up. No untrusted code was executed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of untrusted code.

    Attributes:
        seconds: of wall-clock time, and of processor time.
        memory: bytes of address space.
        disk: bytes in all files of its folder, which is in memory; without a sandbox, bytes of one file.
        output: bytes printed, and bytes of one returned value.
    """

    seconds: float = 10.0
    memory: int = 1 << 29
    disk: int = 1 << 24
    output: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a check passed, and if not, the reason."""

    passed: bool
    reason: str = ""


def run(
    code: str, check: str, function: str, *, setup: str = "", limits: Limits | None = None, sandboxed: bool = True
) -> Verdict:
    """Execute untrusted code, and a check that calls its function.

    Args:
        code: the untrusted program. It starts in an empty folder, with an empty environment and no input.
        check: the trusted program, which passes when it reaches its end. Its calls of `function` go to the code's
            function: arguments, result and exception travel as plain values (`values`).
        function: the function's name.
        setup: trusted code that defines other names for the check.
        sandboxed: if False, both have resource limits only: the code can do everything that this process can.

    Raises:
        SandboxError: the sandbox cannot be set up.
    """
    if os.name != "posix":
        raise SandboxError("Linux or macOS, to run untrusted code", platform.system(), "Linux in WSL will do.")
    if sandboxed and (reason := _unsupported()):
        raise _cannot(reason)
    limits = limits or Limits()
    job = {"code": code, "check": check, "function": function, "setup": setup}
    with ExitStack() as stack:
        (from_worker, to_checker), (from_checker, to_worker) = _pipe(stack), _pipe(stack)
        of_checker, of_worker = (from_worker, to_worker), (from_checker, to_checker)
        checker = stack.enter_context(_process("checker", of_checker, limits, sandboxed))
        worker = stack.enter_context(_process("worker", of_worker, limits, sandboxed))
        for end in (*of_checker, *of_worker):
            end.close()
        verdict, lost = _watch(checker, worker, job, limits)
        if lost:
            with suppress(subprocess.TimeoutExpired):
                status = worker.wait(EXIT_SECONDS)
                if status < 0 or status > 128:  # of bubblewrap: 128 and the number of the signal
                    return Verdict(False, f"ended by signal {-status if status < 0 else status - 128}")
    return verdict


@cache
def missing() -> str:
    """Why this system has no sandbox, by a trial; "" if it has one."""
    try:
        verdict = run("def f():\n    return 1", "assert f() == 1", "f")
    except SandboxError as problem:
        return problem.failure.found
    return "" if verdict.passed else f"its trial failed ({verdict.reason})"


def _unsupported() -> str:
    if sys.platform != "linux":
        return f"this system is {platform.system() or sys.platform}, and the sandbox needs Linux"
    if platform.machine() not in bubblewrap.MACHINES:
        return f"this processor is {platform.machine()}, and the sandbox needs {' or '.join(bubblewrap.MACHINES)}"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (`apt install bubblewrap`, or the same package of your system)"
    return ""


def _pipe(stack: ExitStack) -> Ends:
    read, write = os.pipe()
    return stack.enter_context(open(read, "rb", buffering=0)), stack.enter_context(open(write, "wb", buffering=0))


@contextmanager
def _process(role: str, channel: Ends, limits: Limits, sandboxed: bool) -> Iterator[Process]:
    """A checker or a worker. Leaving the context kills bubblewrap, and thereby everything inside."""
    descriptors = tuple(end.fileno() for end in channel)
    user = bubblewrap.service_user() if sandboxed else 0
    program = START.format(bubblewrap.INSIDE if sandboxed else str(ROOT), role, descriptors, user, asdict(limits))
    with ExitStack() as stack:
        if sandboxed:
            rules, rules_end = _pipe(stack)
            rules_end.write(bubblewrap.system_call_filter(platform.machine()))
            rules_end.close()
            descriptors = (*descriptors, rules.fileno())
            command, folder = bubblewrap.command(program, limits.disk, rules.fileno()), "/"
        else:
            command = [sys.executable, "-I", "-S", "-c", program]
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="zooter-", ignore_cleanup_errors=True))
        process = Process(
            command,
            stdin=subprocess.PIPE if role == "checker" else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if role == "checker" else subprocess.STDOUT,
            cwd=folder,
            env={},
            pass_fds=descriptors,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError, PermissionError):  # macOS raises the second if the group has ended
                    os.killpg(process.pid, signal.SIGKILL)


def _watch(checker: Process, worker: Process, job: dict[str, str], limits: Limits) -> tuple[Verdict, bool]:
    """Give the checker its job, and wait for the verdict within the limits. Also says if the worker was lost."""
    assert checker.stdin is not None
    assert checker.stdout is not None
    assert worker.stdout is not None
    ready, received, printed = False, b"", b""
    until = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(checker.stdout, selectors.EVENT_READ)
        selector.register(worker.stdout, selectors.EVENT_READ)
        while selector.get_map() and (events := selector.select(max(0.0, until - time.monotonic()))):
            for key, _ in events:
                part = os.read(key.fd, 1 << 16)
                received += part if key.fileobj is checker.stdout else b""
                printed += part if key.fileobj is worker.stdout else b""
                if not part:
                    selector.unregister(key.fileobj)
            *lines, _ = received.split(b"\n")
            if lines and not ready:
                ready, until = True, time.monotonic() + limits.seconds
                with suppress(BrokenPipeError), checker.stdin as stdin:
                    stdin.write(json.dumps(job).encode() + b"\n")
            if len(printed) > limits.output:
                return Verdict(False, f"more than {limits.output:,} bytes printed"), False
            if len(lines) > 1:
                verdict = json.loads(lines[1])
                return Verdict(verdict["passed"], verdict["reason"]), verdict["lost"]
            if ready and checker.stdout not in selector.get_map():
                return Verdict(False, "the check ended before its end"), False
    if ready:
        return Verdict(False, f"not done in {limits.seconds:g} s"), False
    last = printed.decode(errors="replace").strip().rpartition("\n")[2]  # of bubblewrap's message
    raise _cannot(last or "it does not start")


def _cannot(reason: str) -> SandboxError:
    return SandboxError("a sandbox for untrusted code", reason, "docs/bench.md lists its requirements.")
