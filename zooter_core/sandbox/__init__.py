"""Python code of unknown worth run in a process of its own, with limits: a fence for accidents, not a jail for malice.

What a model wrote may loop, allocate, fork, fill the disk, or call home; none of that gets far. Code that is out to
break a fence may: run what you distrust in a container or a virtual machine. Needs Linux or macOS.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

CHILD = Path(__file__).with_name("child.py")
MOST_SAID = 300  # characters of why code failed


@dataclass(frozen=True, slots=True)
class Limits:
    """What code may use.

    Attributes:
        seconds: of the clock, and of the processor.
        memory: bytes of address space.
        file_bytes, files: the size of a file, and how often one is opened to be written.
        output: bytes printed.
    """

    seconds: float = 10.0
    memory: int = 1 << 29
    file_bytes: int = 1 << 20
    files: int = 16
    output: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended: `passed` where the code and its check came to their end; else `why` says what stopped it."""

    passed: bool
    why: str = ""


def run(code: str, check: str = "", limits: Limits | None = None) -> Ran:
    """Run code, then a check among the same names, in an empty folder with an empty environment and no input.

    It has passed when both came to their end without an exception; code that leaves early has not. The folder and
    every process of the group are gone afterwards.
    """
    limits = limits or Limits()
    word = secrets.token_hex(16)  # so that no other way out looks like a pass
    hear, channel = os.pipe()
    try:
        told = {"word": word, "channel": channel, "code": code, "check": check, **asdict(limits)}
        with tempfile.TemporaryDirectory(prefix="sandbox-") as folder, tempfile.TemporaryFile() as job:
            job.write(json.dumps(told).encode())
            job.seek(0)
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(CHILD)], stdin=job, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                cwd=folder, env={}, pass_fds=(channel,), start_new_session=True,
            )  # fmt: skip
            ended = _watch(child, limits)
        os.set_blocking(hear, False)
        said = ""
        with suppress(BlockingIOError):  # nothing was said
            said = os.read(hear, 4096).decode("utf-8", "replace")
    finally:
        os.close(hear)
        os.close(channel)
    if ended:
        return Ran(False, ended)
    return Ran(True) if said == word else Ran(False, said[:MOST_SAID] or "it ended before its check did")


def _watch(child: subprocess.Popen[bytes], limits: Limits) -> str:
    """Wait for a child, then end its whole group. Returns what it did too much of; "" where nothing."""
    until, printed = time.monotonic() + limits.seconds, 0
    assert child.stdout is not None
    try:
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            while (left := until - time.monotonic()) > 0 and ready.select(left):
                part = os.read(child.stdout.fileno(), 1 << 16)
                printed += len(part)
                if printed > limits.output:
                    return f"more than {limits.output:,} bytes printed"
                if not part:  # its output is closed: it has ended, or goes on in silence
                    code = child.wait(max(0.0, until - time.monotonic()))
                    return f"ended by signal {-code}" if code < 0 else ""
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the second of a group that has ended
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    return f"not done in {limits.seconds:g} s"
