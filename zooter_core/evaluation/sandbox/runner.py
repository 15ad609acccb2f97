"""Runs an untrusted Python function against a trusted check in a sandbox, with limits.

bubblewrap (`bwrap`) creates a root folder that contains only Python's standard library, separate namespaces for
processes, files, network, IPC, host name and control groups, and drops all capabilities. `process` adds a filter for
system calls. If an ordinary user runs Zooter, the code runs as nobody in a user namespace. If root runs it, the code
switches to a user that owns no files, also outside the sandbox, because it would stay root with bubblewrap alone.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from zooter_core.base.errors import WorkError

START = """
import sys
sys.path.append({!r})
from zooter_core.evaluation.sandbox.process import main
sys.path.pop()
main({!r}, {!r}, {!r})
"""
START_SECONDS = 60  # the time for both processes to be ready, even on a busy machine
Process = subprocess.Popen[bytes]
PYTHON = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
INSIDE = "/zooter"  # the path of this package in the sandbox
NOBODY = 65534
# One of the ids that systemd assigns to services only while they run, so that it owns no files.
SERVICE_USER = 61184
ALWAYS = """--die-with-parent --new-session --unshare-pid --unshare-net --unshare-ipc --unshare-uts
    --unshare-cgroup-try --hostname sandbox --cap-drop ALL"""
AS_USER = f"--unshare-user --disable-userns --uid {NOBODY} --gid {NOBODY}"
AS_ROOT = "--cap-add CAP_SETUID --cap-add CAP_SETGID"  # until the process has switched to the service user

NEW = 424  # from this number on, system calls have the same numbers on all machines
NEW_ALLOWED = {"close_range": 436, "openat2": 437, "faccessat2": 439}
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# System calls that fail with EPERM, since nothing else in the sandbox prevents them: their numbers on x86_64 and
# aarch64. Calls that need a capability are not listed, because the code has no capabilities.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    **{"clone": (56, 220), "fork": (57, None), "vfork": (58, None), "unshare": (272, 97), "setns": (308, 268)},
    **{"socket": (41, 198), "mknod": (133, None), "mknodat": (259, 33), "memfd_create": (319, 279)},
    **{"shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180)},
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "userfaultfd": (323, 282)},
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "io_setup": (206, 0), "fanotify_init": (300, 262)},
    **{"inotify_init": (253, None), "inotify_init1": (294, 26), "modify_ldt": (154, None), "personality": (135, 92)},
    **{"sync": (162, 81), "syslog": (103, 116)},
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _MACHINE = 0, 4  # offsets in `struct seccomp_data`
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


class SandboxError(WorkError):
    """The sandbox cannot be set up. No untrusted code was executed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of untrusted code."""

    seconds: float = 10.0  # of wall-clock time and of CPU time
    memory: int = 1 << 29  # bytes of address space
    disk: int = 1 << 24  # bytes in all files of its folder, which is in memory
    output: int = 1 << 20  # bytes of one returned value; printed output is discarded


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether a check passed, and if not, the reason."""

    passed: bool
    reason: str = ""


def run(code: str, check: str, function: str, *, setup: str = "", limits: Limits = Limits()) -> CheckResult:
    """Execute untrusted code, and a check that calls its function.

    Args:
        code: the untrusted program. It starts in an empty folder, with an empty environment and no input.
        check: the trusted program, which passes if it reaches its end. Its calls of `function` call the code's
            function; arguments, result and exception are sent as plain values (`process`).
        function: the function's name.
        setup: trusted code that defines other names for the check.

    Raises:
        SandboxError: the sandbox cannot be set up.
    """
    if reason := _unsupported():
        raise _cannot(reason)
    with _started(limits) as checker:
        return _watch(checker, {"code": code, "check": check, "function": function, "setup": setup}, limits)


@cache
def missing() -> str:
    """Try to start a sandbox. Returns the reason why this system has none, or ""."""
    try:
        verdict = run("def f():\n    return 1", "assert f() == 1", "f")
    except SandboxError as problem:
        return problem.failure.found
    return "" if verdict.passed else f"its trial failed ({verdict.reason})"


def _unsupported() -> str:
    if sys.platform != "linux":
        return f"this system is {platform.system() or sys.platform}, and the sandbox needs Linux"
    if platform.machine() not in MACHINES:
        return f"this processor is {platform.machine()}, and the sandbox needs {' or '.join(MACHINES)}"
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (`apt install bubblewrap`, or the same package of your system)"
    return ""


@contextmanager
def _started(limits: Limits) -> Iterator[Process]:
    """A sandbox with a checker and its worker. Leaving the context kills all processes in it."""
    program = START.format(INSIDE, service_user(), system_call_filter(platform.machine()), asdict(limits))
    pipe = subprocess.PIPE
    command = bwrap_call(program, limits.disk)
    with Process(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env={}, start_new_session=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _watch(checker: Process, job: dict[str, str], limits: Limits) -> CheckResult:
    """Give the checker its job, and wait for the verdict within the limits."""
    assert checker.stdin is not None
    assert checker.stderr is not None
    if not _next_line(checker, START_SECONDS):
        checker.kill()
        last = checker.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]  # bubblewrap's message
        raise _cannot(last or "it does not start")
    with suppress(BrokenPipeError), checker.stdin as stdin:
        stdin.write(json.dumps(job).encode() + b"\n")
    line = _next_line(checker, limits.seconds)
    if line is None:
        return CheckResult(False, f"not done in {limits.seconds:g} s")
    return CheckResult(**json.loads(line)) if line else CheckResult(False, "the check ended before its end")


def _next_line(checker: Process, seconds: float) -> bytes | None:
    """The next line of the checker's output; b"" at its end, None if there is no line within this time."""
    assert checker.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(checker.stdout, selectors.EVENT_READ)
        return checker.stdout.readline() if selector.select(seconds) else None


def _cannot(reason: str) -> SandboxError:
    return SandboxError("a sandbox for untrusted code", reason, "docs/bench.md lists its requirements.")


def system_call_filter(machine: str) -> bytes:
    """The filter as a classic BPF program for seccomp.

    System calls that were added in Linux 5.1 or later fail with ENOSYS, so that libraries use older ones; a few
    harmless calls are allowed. Calls with the numbers of another architecture end the process.
    """
    column = list(MACHINES).index(machine)
    refused = [numbers[column] for numbers in REFUSED.values()]
    tests = [
        *((_EQUAL, number, _ALLOW) for number in NEW_ALLOWED.values()),
        (_AT_LEAST, NEW, _ERROR | errno.ENOSYS),  # includes the x32 numbers of x86_64
        *((_EQUAL, number, _ERROR | errno.EPERM) for number in refused if number is not None),
    ]
    steps = [(_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, MACHINES[machine]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    for test, number, result in tests:
        steps += [(test, 0, 1, number), (_RETURN, 0, 0, result)]
    return b"".join(struct.pack("HBBI", *step) for step in [*steps, (_RETURN, 0, 0, _ALLOW)])


def service_user() -> int:
    """The user that the sandbox switches to if it is started by root.

    It is 0 for ordinary users, and for root in a user namespace with only a few ids.
    """
    if os.geteuid() != 0:
        return 0
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    ranges = [range(int(first), int(first) + int(count)) for first, _, count in map(str.split, lines)]
    return SERVICE_USER if any(SERVICE_USER in ids for ids in ranges) else 0


def bwrap_call(program: str, disk: int) -> list[str]:
    """The command that runs a Python program in a new sandbox, in an empty in-memory folder of `disk` bytes."""
    folder = f"--size {disk} --perms 0777 --tmpfs /sandbox --chdir /sandbox --remount-ro /"
    options = f"{ALWAYS} {AS_ROOT if service_user() else AS_USER}"
    bwrap = shutil.which("bwrap") or "bwrap"
    return [bwrap, *options.split(), *_files(), *folder.split(), "--", PYTHON, "-I", "-S", "-c", program]


@cache
def _files() -> list[str]:
    """Arguments for the mounts: Python, its standard and shared libraries, and this package's folder, all read-only."""
    library = os.path.realpath(os.path.dirname(os.__file__))
    extensions = os.path.realpath(sysconfig.get_config_var("DESTSHARED") or f"{library}/lib-dynload")
    modules = [str(path) for path in Path(extensions).glob("*.so") if not path.name.startswith(("_tkinter", "nis"))]
    listed = subprocess.run(["ldd", PYTHON, *modules], capture_output=True, text=True, check=False, timeout=60).stdout
    shared = {os.path.normpath(path) for path in re.findall(r"(/.+) \(0x", listed)}
    mounts = [("--ro-bind", path, path) for path in sorted({PYTHON, library, extensions, *shared})]
    mounts += [("--ro-bind-try", path, path) for path in ("/usr/share/zoneinfo", "/etc/ld.so.cache")]
    mounts += [("--dev-bind", path, path) for path in ("/dev/null", "/dev/zero", "/dev/urandom")]
    mounts += [("--ro-bind", os.path.dirname(__file__), f"{INSIDE}/zooter_core/evaluation/sandbox")]
    arguments = []
    for folder in dict.fromkeys(os.path.dirname(path) for _, _, path in mounts):
        arguments += ["--dir", folder]  # if a mount created it, other users might not be able to read it
    for mount in mounts:
        arguments += mount
    for name in ("site-packages", "dist-packages"):  # not part of the standard library
        if os.path.isdir(path := f"{library}/{name}"):
            arguments += ["--tmpfs", path, "--remount-ro", path]
    return arguments
