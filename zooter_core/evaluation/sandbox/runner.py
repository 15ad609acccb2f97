"""Runs an untrusted Python function against a trusted check, in a sandbox, with limits."""

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
from zooter_core.evaluation.sandbox.libraries import shared_libraries
from zooter_core.evaluation.sandbox.started import END_SECONDS, Started, channels, pipe

START_SECONDS = 60  # for both processes to be ready, on a busy machine
EXIT_SECONDS = 1  # for a worker that hung up to end
SETTINGS = {  # what keeps user namespaces from ordinary users: its value then
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "kernel.unprivileged_userns_clone": "0",
    "user.max_user_namespaces": "0",
}


class SandboxError(WorkError):
    """The sandbox cannot be set up on this system, or not now. No untrusted code was executed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What untrusted code may use.

    Attributes:
        seconds: of the clock, and of the processor.
        memory: bytes of address space.
        disk: bytes in all files of its folder, which lives in memory; without a sandbox, bytes of one file.
        files: files and folders that fit into its folder; without a sandbox there is no such limit.
        output: bytes printed, and bytes of one returned value.
    """

    seconds: float = 10.0
    memory: int = 1 << 29
    disk: int = 1 << 24
    files: int = 16
    output: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a check passed; if not, `reason` says what stopped it."""

    passed: bool
    reason: str = ""


def run(
    code: str, check: str, function: str, *, setup: str = "", limits: Limits | None = None, sandboxed: bool = True
) -> Verdict:
    """Execute untrusted code, and a check that calls its function.

    Args:
        code: the untrusted program. It starts in an empty folder of its own, with an empty environment and no input.
        check: the trusted program; it passes when it comes to its end. Each call of `function` in it is one of the
            code's function: arguments, result and exception travel as plain values (`values`).
        function: the function's name.
        setup: trusted code that defines other names for the check.
        sandboxed: False runs both with resource limits alone: the code can then do whatever this process can.

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
        stack.enter_context(Started(job | checking, of_checker, message_end, subprocess.DEVNULL))
        worker = stack.enter_context(Started(job, of_worker, output_end, subprocess.STDOUT))
        for end in (*of_checker, *of_worker, message_end, output_end):
            end.close()
        verdict, lost = _watch(messages, output, limits)
        if lost and (ended := worker.signal(EXIT_SECONDS)):
            return Verdict(False, f"ended by signal {ended}")
    return verdict


@cache
def missing() -> str:
    """Why this system has no sandbox, found by a trial; "" where it has one."""
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
    """Wait for the verdict within the limits. Returns it, and whether the worker hung up.

    Raises:
        SandboxError: a process could not shut itself in, or not in time.
    """
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
    """The error, with the settings of the system that are known to be a cause."""
    causes = []
    for name, value in SETTINGS.items():
        with suppress(OSError):
            if Path("/proc/sys", *name.split(".")).read_text().strip() == value:
                causes.append(f"{name} is {value}")
    found = " and ".join([reason, *causes])
    return SandboxError("a sandbox for untrusted code", found, "docs/bench.md says what it needs.")
