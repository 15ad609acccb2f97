"""Isolate a process with the Linux kernel: new namespaces, another user, no capabilities, no way back.

`enter` turns one process into three. The *outer* one stays outside, where it can be waited for and ended. *Init* is the
first process of the new process namespace: when it ends, the kernel ends everything inside. The *inner* one, in which
`enter` returns, may run untrusted code.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from zooter_core.evaluation.sandbox import kernel, mounts

NOBODY = 65534  # user and group inside
# If the caller is root: the user outside to which the one inside is mapped. It is one of those that systemd gives to
# services while they run, so no file belongs to it.
FIRST_USER, USERS = 61184, 4336
_USER, _MOUNTS, _PROCESSES, _NETWORK = 0x10000000, 0x00020000, 0x20000000, 0x40000000
_IPC, _HOST_NAME, _CONTROL_GROUPS = 0x08000000, 0x04000000, 0x02000000
_ALL = _USER | _MOUNTS | _PROCESSES | _NETWORK | _IPC | _HOST_NAME | _CONTROL_GROUPS
_DESCRIPTORS = 64  # more than are open
_SIGNALLED = 128  # plus the signal that ended the inner process: the outer one's exit code


def enter(parent: int, shared: Iterable[str], size: int, files: int, seconds: int) -> None:
    """Isolate this process. Returns in a new process, as nobody, in an empty folder.

    The calling process ends once that one has ended, or on SIGTERM, after everything inside has ended. Its exit code is
    128 plus the signal's number if a signal ended the inner process.

    Args:
        parent: the process whose end also ends this one.
        shared: shared libraries to mount inside; see `mounts.build` for `size` and `files`.
        seconds: after which everything inside is ended.

    Raises:
        OSError: the kernel refuses a step; raised in the process that takes the step.
    """
    for number in (signal.SIGTERM, signal.SIGCHLD):  # whoever started Zooter may ignore them
        signal.signal(number, signal.SIG_DFL)
    map_users = _mapper()
    kernel.unshare(_ALL)
    map_users()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before the call above
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD))
    init = os.fork()
    if init:
        _wait_outside(init)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))
    os.setsid()  # signals to the process group stay inside
    kernel.set_host_name("sandbox")
    library = mounts.standard_library()
    mounts.build(library, shared, size, files, NOBODY)
    _become_nobody()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if unreadable := [path for path in library if not os.access(path, os.R_OK | os.X_OK)]:
        raise PermissionError(f"{unreadable[0]}, Python's standard library, is not readable for other users")
    inner = os.fork()
    if inner:
        _wait_inside(inner, seconds)


def _mapper() -> Callable[[], None]:
    """Fork a process that stays outside, and return a function by which it maps the users inside to users outside."""
    process = os.getpid()
    started, start = os.pipe()
    helper = os.fork()
    if not helper:
        os.close(start)
        if os.read(started, 1):
            os._exit(_write_maps(process))
        os._exit(1)
    os.close(started)

    def map_users() -> None:
        os.write(start, b"x")
        os.close(start)
        _, status = os.waitpid(helper, 0)
        if error := os.waitstatus_to_exitcode(status):
            raise OSError(error, f"uid_map: {os.strerror(error)}" if error > 0 else "uid_map: ended by a signal")

    return map_users


def _write_maps(process: int) -> int:
    """Map the ids of a process's new user namespace. Returns an error number, or 0.

    If the caller is root, root inside sets up the sandbox, and the untrusted code runs as a user that has nothing
    outside. Other users can map only their own id: inside it is called nobody.
    """
    callers = {"uid_map": os.geteuid(), "gid_map": os.getegid()}
    free = FIRST_USER + process % USERS
    try:
        if callers["uid_map"] == 0:
            try:
                for file in callers:
                    _write(process, file, f"0 0 1\n{NOBODY} {free} 1")
                return 0
            except OSError:  # root of a user namespace with few ids
                pass
        _write(process, "setgroups", "deny")
        for file, outside in callers.items():
            _write(process, file, f"{NOBODY} {outside} 1")
    except OSError as problem:
        return problem.errno or 1
    return 0


def _write(process: int, file: str, text: str) -> None:
    descriptor = os.open(f"/proc/{process}/{file}", os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _become_nobody() -> None:
    try:  # noqa: SIM105  (contextlib costs time at every start)
        os.setgroups([])
    except PermissionError:  # an ordinary user, whose groups are nobody's inside
        pass
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)


def _wait_outside(init: int) -> None:
    """Wait until init has ended, and everything inside with it; on SIGTERM, kill it. Does not return."""
    os.closerange(0, _DESCRIPTORS)
    while True:
        if signal.sigwait((signal.SIGTERM, signal.SIGCHLD)) == signal.SIGTERM:
            os.kill(init, signal.SIGKILL)
        ended, status = os.waitpid(init, os.WNOHANG)
        if ended:
            os._exit(max(0, os.waitstatus_to_exitcode(status)))


def _wait_inside(inner: int, seconds: int) -> None:
    """Init: wait for the inner process, or until its time is over. Does not return."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.alarm(seconds)
    os.closerange(0, _DESCRIPTORS)
    while True:
        ended, status = os.wait()
        if ended == inner:
            code = os.waitstatus_to_exitcode(status)
            os._exit(_SIGNALLED - code if code < 0 else 0)
