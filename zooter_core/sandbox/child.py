"""The process that runs untrusted code: what it takes away from itself first. `sandbox.run` starts it by its path.

Only the standard library is here: the interpreter runs isolated, without site-packages.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# The beginnings of Python's audit events. Those that have nothing to do with computing, and those that name a file.
REFUSED = (
    *(
        "socket.",
        "subprocess.",
        "ctypes.",
        "fcntl.",
        "pty.",
        "resource.",
        "syslog.",
        "webbrowser.",
        "urllib.",
        "ftplib.",
    ),
    *("smtplib.", "os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.kill", "os.chdir", "os.fchdir"),
    *("os.setxattr", "signal.pthread_kill"),
)
READING = ("os.listdir", "os.scandir")
CHANGING = (
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate"),
    *("os.utime", "shutil."),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
DEVICES = ("/dev/null", "/dev/urandom")
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000  # Linux


def main() -> None:
    """Read the job from stdin, run it behind the fence, and say how it ended."""
    job = json.load(sys.stdin)
    sys.stdin = open(os.devnull)  # noqa: SIM115  (for as long as the process lives)
    leave_network()
    set_limits(job)
    say, leave, channel, word = os.write, os._exit, job["channel"], job["word"]
    code, check = job["code"], job["check"]
    guard = make_guard(os.getcwd(), job["files"])
    space: dict[str, Any] = {"__name__": "response"}
    del job
    sys.addaudithook(guard)  # for good
    try:
        exec(compile(code, "response", "exec"), space)
        exec(compile(check, "check", "exec"), space)
        said = word
    except MemoryError:
        said = "out of memory"
    except BaseException as problem:  # code raises what it likes, SystemExit too
        said = f"{type(problem).__name__}: {str(problem)[:300]}"
    say(channel, said.encode("utf-8", "replace"))
    leave(0)


def leave_network() -> None:
    """A network of its own, without any interface, where the system lets an ordinary process have one."""
    with suppress(AttributeError, ImportError, OSError):
        import ctypes

        unshare = ctypes.CDLL(None).unshare
        if unshare(CLONE_NEWNET):
            unshare(CLONE_NEWNET | CLONE_NEWUSER)


def set_limits(job: dict[str, Any]) -> None:
    """The system's limits; one that it does not have is passed over."""
    seconds = 1 - int(-job["seconds"] // 1)  # more than the clock's limit, which comes first and says so
    for name, most in (
        ("RLIMIT_CPU", seconds),
        ("RLIMIT_AS", job["memory"]),
        ("RLIMIT_FSIZE", job["file_bytes"]),
        ("RLIMIT_NOFILE", 32),
        ("RLIMIT_NPROC", 1),
        ("RLIMIT_CORE", 0),
    ):
        with suppress(AttributeError, OSError, ValueError):
            resource.setrlimit(getattr(resource, name), (most, most))


def make_guard(home: str, files: int) -> Callable[[str, tuple[Any, ...]], None]:
    """A hook for audit events: files are read in `home` and the standard library, and written in `home` alone."""
    realpath, fsdecode, starts = os.path.realpath, os.fsdecode, str.startswith  # code may replace them
    own = (realpath(home) + os.sep,)
    readable = (*own, *(realpath(path) + os.sep for path in sys.path if path), "/usr/share/zoneinfo/")
    left = files

    def within(path: Any, roots: tuple[str, ...]) -> bool:
        if path is None or isinstance(path, int):  # the current folder; a file that is open
            return True
        name = realpath(fsdecode(path))
        return name in DEVICES or starts(name + os.sep, roots)

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        allowed = not starts(event, REFUSED)
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and bool(flags & WRITES)
            left -= writes
            allowed = left >= 0 and within(path, own if writes else readable)
        elif event in READING:
            allowed = within(arguments[0], readable)
        elif starts(event, CHANGING):
            allowed = all(within(path, own) for path in arguments if isinstance(path, str | bytes | os.PathLike))
        if not allowed:
            raise PermissionError(f"the fence does not allow {event} here")

    return guard


if __name__ == "__main__":
    main()
