"""Run an untrusted Python function against a trusted check, in a sandbox, with limits."""

from __future__ import annotations

import json
import math
import os
import platform
import selectors
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

from zooter_core.errors import WorkError
from zooter_core.evaluation.sandbox import kernel
from zooter_core.evaluation.sandbox.child_process import END_SECONDS, ChildProcess, channels, pipe
from zooter_core.evaluation.sandbox.libraries import shared_libraries

START_SECONDS = 60  # for both processes to be ready, on a busy machine
EXIT_SECONDS = 1  # for a worker that closed its channel to end
SETTINGS = {  # kernel settings, with the value that keeps ordinary users from user namespaces
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "kernel.unprivileged_userns_clone": "0",
    "user.max_user_namespaces": "0",
}


class SandboxError(WorkError):
    """The sandbox cannot be set up. No untrusted code was executed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of untrusted code.

    Attributes:
        seconds: of wall-clock time, and of processor time.
        memory: bytes of address space.
        disk: bytes in all files of its folder, which is in memory; without a sandbox, bytes of one file.
        files: files and folders in its folder; without a sandbox there is no such limit.
        output: bytes printed, and bytes of one returned value.
    """

    seconds: float = 10.0
    memory: int = 1 << 29
    disk: int = 1 << 24
    files: int = 16
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
    limits = limits or Limits()
    job: dict[str, Any] = {**asdict(limits), "sandboxed": sandboxed, "parent": os.getpid()}
    job["longest"] = START_SECONDS + math.ceil(limits.seconds) + END_SECONDS
    job["shared"] = shared_libraries() if sandboxed else ()
    checking = {"code": code, "check": check, "function": function, "setup": setup}
    with ExitStack() as stack:
        of_checker, of_worker = channels(stack)
        messages, message_end = pipe(stack)
        output, output_end = pipe(stack)
        stack.enter_context(ChildProcess(job | checking, of_checker, message_end, subprocess.DEVNULL))
        worker = stack.enter_context(ChildProcess(job, of_worker, output_end, subprocess.STDOUT))
        for end in (*of_checker, *of_worker, message_end, output_end):
            end.close()
        verdict, lost = _watch(messages, output, limits)
        if lost and (ended := worker.signal(EXIT_SECONDS)):
            return Verdict(False, f"ended by signal {ended}")
    return verdict


@cache
def missing() -> str:
    """Why this system has no sandbox, by a trial; "" if it has one."""
    if sys.platform != "linux":
        return f"this system is {platform.system() or sys.platform}, and the sandbox needs Linux"
    if platform.machine() not in kernel.MACHINES:
        return f"this processor is {platform.machine()}, and the sandbox needs {' or '.join(kernel.MACHINES)}"
    try:
        verdict = run("def f():\n    return 1", "assert f() == 1", "f")
    except SandboxError as problem:
        return problem.failure.found
    return "" if verdict.passed else f"its trial failed ({verdict.reason})"


def _watch(messages: IO[bytes], output: IO[bytes], limits: Limits) -> tuple[Verdict, bool]:
    """Wait for the verdict within the limits. Returns it, and whether the worker closed its channel."""
    ready, printed, received = False, 0, b""
    until = time.monotonic() + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(messages, selectors.EVENT_READ)
        selector.register(output, selectors.EVENT_READ)
        while events := selector.select(max(0.0, until - time.monotonic())):
            for key, _ in events:
                part = os.read(key.fd, 1 << 16)
                printed += len(part) if key.fileobj is output else 0
                received += part if key.fileobj is messages else b""
                if not part:
                    selector.unregister(key.fileobj)
            *lines, _ = received.split(b"\n")
            if lines and not ready:
                _check_ready(json.loads(lines[0]))
                ready, until = True, time.monotonic() + limits.seconds
            if printed > limits.output:
                return Verdict(False, f"more than {limits.output:,} bytes printed"), False
            if len(lines) > 1:
                verdict = json.loads(lines[1])
                return Verdict(verdict["passed"], verdict["reason"]), verdict["lost"]
            if messages not in selector.get_map():
                _check_ready({"ready": True} if ready else {"problem": "the checker ended while it started"})
                return Verdict(False, "the check ended before its end"), False
    if not ready:
        raise _cannot(f"not ready in {START_SECONDS} s")
    return Verdict(False, f"not done in {limits.seconds:g} s"), False


def _check_ready(message: dict[str, Any]) -> None:
    if "problem" in message:
        raise _cannot(message["problem"])


def _cannot(reason: str) -> SandboxError:
    """The error, with the system's settings that are a known cause."""
    causes = []
    for name, value in SETTINGS.items():
        with suppress(OSError):
            if Path("/proc/sys", *name.split(".")).read_text().strip() == value:
                causes.append(f"{name} is {value}")
    reasons = " and ".join([reason, *causes])
    return SandboxError("a sandbox for untrusted code", reasons, "docs/bench.md lists its requirements.")
