"""Code that wants to other processes, the network, the kernel and other rights. It may use ctypes for all it likes."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from support.sandboxes import BEFORE, ThisUser
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.sandbox.runner import MACHINES, NEW, NEW_ALLOWED, REFUSED

ALLOW_ALL = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)  # a filter that refuses nothing


def test_no_process_and_no_thread_starts(account):
    bodies = [
        "os.fork()", "import subprocess\nsubprocess.run(['true'])",
        "import subprocess\nsubprocess.Popen([sys.executable], start_new_session=True)",
        "os.posix_spawn(sys.executable, ['true'], {})",
        "import subprocess\nsubprocess._USE_VFORK = False\nsubprocess.Popen([sys.executable])",
        "import multiprocessing as m\nm.Process(target=print).start()",
        "if os.system('true') == 0: return 'it ran'\nraise OSError", "os.memfd_create('x')",
        "os.setsid()\nos.fork()", "os.execv('/bin/sh', ['sh'])", "os.forkpty()", "import pty\npty.spawn('/bin/sh')",
    ]  # fmt: skip
    account.refuses(bodies, "FileNotFoundError PermissionError OSError")
    threads = [
        "import threading\nthreading.Thread(target=print).start()",
        "import _thread as t\nt.start_new(print, ())",
    ]
    account.refuses(threads, "RuntimeError")


def test_python_executed_again_is_in_the_same_sandbox(account):
    """It is the only program there. This one answers for the worker: all it found were errors."""
    program = """
import json, os, resource, socket

errors = []
for attempt in (
    os.fork,
    socket.socket,
    lambda: open("/etc/passwd"),
    lambda: open("/made", "w"),
    lambda: os.chroot("/"),
    lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40)),
    lambda: bytearray(1 << 30),
):
    try:
        errors.append(str(attempt()))
    except (OSError, ValueError, MemoryError) as problem:
        errors.append(type(problem).__name__)
for descriptor in range(3, 32):
    try:
        os.write(descriptor, json.dumps({"value": errors}).encode() + b"\\n")
    except OSError:
        pass
"""
    code = f"""
import os, sys

def f():
    for descriptor in range(3, 8):
        try:
            os.set_inheritable(descriptor, True)
        except OSError:
            pass
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", {program!r}])
"""
    errors = ["PermissionError", "PermissionError", "FileNotFoundError", "OSError", "PermissionError", "ValueError"]
    errors.append("MemoryError")
    account.passes(code, f"errors = f()\nassert errors == {errors}, errors")


def test_no_socket_of_any_kind(account):
    """AF_VSOCK and AF_ALG are not held by a network namespace."""
    families = ("INET", "INET6", "UNIX", "NETLINK", "PACKET", "VSOCK", "ALG")
    account.refuses([f"socket.socket(socket.AF_{name})" for name in families], "PermissionError")


@pytest.mark.parametrize("as_root", [True, False])
def test_every_wall_holds_by_itself(allowed, monkeypatch, as_root):
    """Without the filter for system calls, for both kinds of rights: real listeners are never called."""
    monkeypatch.setattr(runner, "system_call_filter", lambda _machine: ALLOW_ALL)
    if not as_root:
        monkeypatch.setattr(runner, "service_user", lambda: 0)
    name, libc = f"\0zooter-{os.getpid()}", ctypes.CDLL(None)
    segment = libc.shmget(os.getpid(), 4096, 0o1666)  # shared memory that everybody may read and write
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
        subprocess.Popen(["sleep", "1000"]) as victim,
    ):
        abstract.bind(name)
        abstract.listen()
        for listener in (server, abstract):
            listener.settimeout(0.1)
        port = server.getsockname()[1]
        bodies = [
            f"socket.create_connection(('127.0.0.1', {port}))",
            f"socket.socket(socket.AF_UNIX).connect({name!r})",
            f"__import__('urllib.request').request.urlopen('http://127.0.0.1:{port}')",
            "if [name for _, name in socket.if_nameindex()] == ['lo']: raise OSError",
            f"os.kill({victim.pid}, 9)",
            "checked(libc.mount(b'none', b'/sandbox', b'tmpfs', 0, None))",
            "checked(libc.mount(b'none', os.path.dirname(os.__file__).encode(), None, 32 | 4096, None))",
            "checked(libc.umount2(b'/sandbox', 2))",
            "checked(libc.sethostname(b'mine', 4))",
            "os.chroot('/sandbox')",
            "os.mknod('node', 0o20666, os.makedev(1, 3))",
            "os.setuid(0)",
            "checked(libc.ptrace(16, os.getppid(), 0, 0))",  # the checker
            f"checked(libc.shmget({os.getpid()}, 4096, 0))",
            f"open({__file__!r})",
            "os.fork()" if as_root else "checked(libc.unshare(0x10000000))",
        ]
        try:
            ThisUser().refuses(bodies, "OSError PermissionError URLError ProcessLookupError FileNotFoundError "
                                       "ConnectionRefusedError BlockingIOError")  # fmt: skip
            for listener in (server, abstract):
                with pytest.raises(TimeoutError):
                    listener.accept()
            assert victim.poll() is None
        finally:
            victim.kill()
            libc.shmctl(segment, 0, None)


def test_other_processes_are_out_of_reach(account):
    """A real process of the same user, and the one that started the sandbox."""
    bodies = [
        "os.kill(given, 9)", "os.killpg(given, 9)", "signal.pidfd_send_signal(os.pidfd_open(given), 9)",
        "call(424, 0, 9, 0, 0)", "call(101, 16, given, 0, 0)", "call(310, given, 0, 0, 0, 0, 0)",
        "call(312, given, given, 0, 0, 0)", "call(302, given, 7, 0, 0)", "os.sched_setaffinity(given, {0})",
        "os.setpriority(os.PRIO_PROCESS, given, 5)", "os.getpgid(given)",
    ]  # fmt: skip
    user = 65534 if account.__class__.__name__ == "Ordinary" else None
    with subprocess.Popen(["sleep", "1000"], user=user) as victim:
        try:
            for process in (victim.pid, os.getpid()):
                account.refuses(bodies, "ProcessLookupError PermissionError OSError", process)
            assert victim.poll() is None
        finally:
            victim.kill()


def test_signals_to_its_group_and_to_init_do_not_leave(account):
    code = """
import os, signal

def f(number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        os.kill(1, signal.SIGKILL)
    except PermissionError:  # code of root's is another user than bubblewrap
        pass
    os.kill(0, number)
    return True
"""
    account.passes(code, "assert f(15)")
    assert account.run(code, "f(9)").reason == "ended by signal 9"


def test_code_is_nobody_without_any_right_and_sees_nothing(account, monkeypatch):
    """Input is empty, output is lost, and two pipes lead to the checker. The environment is hidden."""
    monkeypatch.setenv("SOME_KEY", "secret")
    code = f"""{BEFORE}
import resource, stat

def f():
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    checked(libc.capget(header, sets))
    kinds, raised = "", []
    for descriptor in range(1024):
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:
            continue
        if mode == stat.S_IFREG | 0o777:  # memory of ctypes' own, since libffi 3.5
            continue
        kinds += "P" if stat.S_ISFIFO(mode) else "C" if stat.S_ISCHR(mode) else "?"
    for name in ("AS", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE"):
        kind = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(kind)[1]
        try:
            raised.append(resource.setrlimit(kind, (hard + 1, hard + 1)))
        except (ValueError, OSError):
            pass
    for name, ids in (("setuid", (0,)), ("setresuid", (0, 0, 0)), ("setresgid", (0, 0, 0)), ("setgroups", ([0],))):
        try:
            raised.append(getattr(os, name)(*ids))
        except OSError:
            pass
    no_new_privileges, seccomp = 39, 21
    return {{
        "ids": {{*os.getresuid(), *os.getresgid()}},
        "groups": set(os.getgroups()) - {{65534}},  # an ordinary user's cannot be given up, but are nobody's
        "capabilities": (sets[0] | sets[1], sets[3] | sets[4]),
        "confined": (libc.prctl(no_new_privileges, 0, 0, 0, 0), libc.prctl(seccomp)),
        "processes": (os.getppid(), os.getpid(), os.getsid(0)),
        "seen": (os.uname().nodename, set(os.environ) - {{"LC_CTYPE"}}, sys.argv, os.getcwd()),
        "descriptors": (kinds, os.read(0, 9)),
        "raised": raised,
    }}
"""
    expected = {
        "ids": {account.user},
        "groups": set(),
        "capabilities": (0, 0),
        "confined": (1, 2),
        "processes": (2, 3, 3),
        "seen": ("sandbox", set(), ["-c"], "/sandbox"),
        "descriptors": ("CCCPP", b""),
        "raised": [],
    }
    account.passes(code, f"facts = f()\nassert facts == {expected}, facts")


def test_system_calls_are_refused_by_the_kernel(account):
    column = list(MACHINES).index(platform.machine())
    old = [numbers[column] for numbers in REFUSED.values() if numbers[column] is not None]
    new = [number for number in range(NEW, NEW + 60) if number not in NEW_ALLOWED.values()]
    code = f"""{BEFORE}
def f(numbers):
    errors = set()
    for number in numbers:
        try:
            errors.add((number, call(number, -1, 0, 0, 0, 0, 0)))
        except OSError as problem:
            errors.add(problem.errno)
    return errors
"""
    account.passes(code, f"found = f({old}), f({new})\nassert found == ({{1}}, {{38}}), found")


HEADERS = {  # the kernel's own tables; aarch64 uses the generic one
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_the_kernel_s(machine):
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    table = dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", HEADERS[machine].read_text()))
    column = list(MACHINES).index(machine)
    ours = {name: numbers[column] for name, numbers in REFUSED.items()} | NEW_ALLOWED
    assert {name: number for name, number in ours.items() if str(number) != table.get(name, "None")} == {}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls of a 32-bit program are x86's")
@pytest.mark.parametrize(
    ("instructions", "reasons"),
    [
        (b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", ["ended by signal 31", "ended by signal 11"]),  # int 0x80: getpid
        (b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", ["AssertionError: -38"]),  # the x32 number of getpid
    ],
)
def test_the_doors_of_other_architectures_are_shut(account, instructions, reasons):
    code = f"""
import ctypes, mmap

def f():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write({instructions!r})
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    assert account.run(code, "assert f() == 2, f()").reason in reasons


def test_ordinary_code_does_not_meet_the_walls(account):
    code = """
import bz2, ctypes, decimal, hashlib, json, lzma, os, platform, random, sqlite3, ssl, tempfile, time, zlib, zoneinfo

def f():
    with tempfile.TemporaryFile() as file:
        file.write(os.urandom(9))
    sqlite3.connect(":memory:").execute("select 1")
    zoneinfo.ZoneInfo("UTC")
    return hashlib.md5(b"x").hexdigest(), platform.system(), time.time() > 0, random.random() < 1, json.dumps([1])
"""
    account.passes(code, "assert f() == ('9dd4e461268c8034f5c8564e155c67a6', 'Linux', True, True, '[1]'), f()")
