"""Code that wants to other processes, the network and the kernel. It may use ctypes for whatever it likes."""

from __future__ import annotations

import os
import platform
import socket
import subprocess

import pytest

from support.sandbox_attempts import CALL, refused
from zooter_core.evaluation.sandbox.system_calls import NEW, NEW_ALLOWED, REFUSED

FORK_EXEC = """
import os, sys

def fork_exec(p):
    r, w = os.pipe()
    common = [[b'/bin/true'], True, (), None, [], -1, -1, -1, -1, -1, -1, r, w, True, True, -1]
    for rest in ([None, None, None, -1, None, True], [-1, None, None, None, -1, None], [None, None, -1, None]):
        try:
            return p.fork_exec([b'true'], *common, *rest)
        except TypeError:
            continue
"""


def test_no_process_and_no_thread_starts(account):
    bodies = [
        "os.fork()",
        "import subprocess\nsubprocess.run(['true'])",
        "import subprocess\nsubprocess.Popen([sys.executable], start_new_session=True)",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv(sys.executable, ['python'])",
        "import _posixsubprocess as p\nfork_exec(p)",
        "import multiprocessing as m\nm.Process(target=print).start()",
        "if os.system('true') == 0: return 'it ran'\nraise OSError",
        "os.memfd_create('x')",
        "os.setsid()\nos.fork()",
    ]
    refused(account, bodies, "PermissionError OSError", before=FORK_EXEC)
    refused(account, ["os.forkpty()", "import pty\npty.spawn('/bin/sh')"], "FileNotFoundError PermissionError OSError")
    threads = [
        "import threading\nthreading.Thread(target=print).start()",
        "import _thread as t\nt.start_new_thread(print, ())",
    ]
    refused(account, threads, "RuntimeError")


def test_no_socket_of_any_kind(account):
    """AF_VSOCK and AF_ALG are not held by a network namespace."""
    families = ("INET", "INET6", "UNIX", "NETLINK", "PACKET", "VSOCK", "ALG")
    refused(
        account, [f"socket.socket(socket.AF_{name})" for name in families], "PermissionError", before="import socket"
    )


def test_the_network_is_out_of_reach(account):
    """Real listeners on this machine, one of them without a path: they are never called."""
    name = f"\0zooter-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(name)
        abstract.listen()
        for listener in (server, abstract):
            listener.settimeout(0.1)
        port = server.getsockname()[1]
        bodies = [
            f"socket.create_connection(('127.0.0.1', {port}))",
            f"socket.socket(socket.AF_UNIX).connect({name!r})",
            f"__import__('urllib.request').request.urlopen('http://127.0.0.1:{port}')",
        ]
        refused(account, bodies, "PermissionError URLError", before="import socket")
        for listener in (server, abstract):
            with pytest.raises(TimeoutError):
                listener.accept()


def test_other_processes_are_out_of_reach(account):
    """A real process of the same user, and the one that started the sandbox."""
    bodies = [
        "os.kill(process, 9)",
        "os.kill(-1, 9)",
        "os.killpg(process, 9)",
        "signal.pidfd_send_signal(os.pidfd_open(process), 9)",
        "call(424, 0, 9, 0, 0)",
        "call(101, 16, process, 0, 0)",
        "call(310, process, 0, 0, 0, 0, 0)",
        "call(312, process, process, 0, 0, 0)",
        "call(302, process, 7, 0, 0)",
        "os.sched_setaffinity(process, {0})",
        "os.setpriority(os.PRIO_PROCESS, process, 5)",
        "os.getpgid(process)",
    ]
    user = 65534 if account.__class__.__name__ == "Ordinary" else None
    with subprocess.Popen(["sleep", "1000"], user=user) as victim:
        try:
            for process in (victim.pid, os.getpid()):
                calls = [f"process, = given\n{body}" for body in bodies]
                names = "ProcessLookupError PermissionError OSError"
                refused(account, calls, names, process, before=CALL + "\nimport signal")
            assert victim.poll() is None
        finally:
            victim.kill()


def test_signals_to_init_and_to_the_group_do_not_leave(account):
    code = """
import os, signal

def f():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(1, signal.SIGKILL)
    os.kill(0, signal.SIGTERM)
    return os.getpid(), os.getsid(0)
"""
    verdict = account.run(code, "assert f() == (2, 1), f()")
    assert verdict.passed, verdict.reason


def test_a_signal_to_its_whole_group_ends_only_itself(account):
    verdict = account.run("import os\ndef f():\n    os.kill(0, 9)", "f()")
    assert (verdict.passed, verdict.reason) == (False, "ended by signal 9")


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="there is no filter")
def test_system_calls_are_refused_by_the_kernel(account):
    column = ("x86_64", "aarch64").index(platform.machine())
    old = {name: numbers[column] for name, numbers in REFUSED.items() if numbers[column] is not None}
    new = [number for number in range(NEW, NEW + 60) if number not in NEW_ALLOWED.values()]
    code = f"""{CALL}
def f(numbers):
    errors = []
    for number in numbers:
        try:
            call(number, -1, 0, 0, 0, 0, 0)
            errors.append(0)
        except OSError as problem:
            errors.append(problem.errno)
    return errors
"""
    verdict = account.run(
        code,
        f"old, new = f({[*old.values()]}), f({new})\nassert set(old) == {{1}}, old\nassert set(new) == {{38}}, new",
    )
    assert verdict.passed, verdict.reason


@pytest.mark.skipif(platform.machine() != "x86_64", reason="calls of a 32-bit program are x86's")
@pytest.mark.parametrize(
    ("instructions", "ends"),
    [
        (b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", ("ended by signal 31", "ended by signal 11")),  # int 0x80: getpid
        (b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", ()),  # the x32 number of getpid
    ],
)
def test_the_doors_of_other_architectures_are_shut(account, instructions, ends):
    code = f"""
import ctypes, mmap

def f():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write({instructions!r})
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    verdict = account.run(code, "assert f() == 2, f()")
    assert not verdict.passed
    assert verdict.reason in (*ends, "AssertionError: -38")


def test_limits_cannot_be_raised(account):
    code = """
import resource

def f():
    raised = []
    for name in ("AS", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE"):
        kind = getattr(resource, "RLIMIT_" + name)
        soft, hard = resource.getrlimit(kind)
        try:
            resource.setrlimit(kind, (hard + 1, hard + 1))
            raised.append(name)
        except (ValueError, OSError):
            pass
    return raised
"""
    verdict = account.run(code, "assert f() == [], f()")
    assert verdict.passed, verdict.reason


def test_the_machine_s_name_and_the_environment_are_hidden(account, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    verdict = account.run(
        "import os, sys\ndef f():\n    return os.uname().nodename, set(os.environ) - {'LC_CTYPE'}, sys.argv",
        "assert f() == ('sandbox', set(), ['-c']), f()",
    )
    assert verdict.passed, verdict.reason


def test_no_descriptor_leads_out(account):
    """Input is empty, output goes to pipes, and pipes lead to the checker."""
    code = """
import os, stat

def f():
    kinds = []
    for descriptor in range(1024):
        try:
            mode = os.fstat(descriptor).st_mode
        except OSError:
            continue
        kinds.append("S" if stat.S_ISSOCK(mode) else "P" if stat.S_ISFIFO(mode) else "C" if stat.S_ISCHR(mode) else "?")
    return "".join(kinds), os.read(0, 9)
"""
    verdict = account.run(code, "assert f() == ('CPPPP', b''), f()")
    assert verdict.passed, verdict.reason


def test_sigsys_is_not_what_ordinary_code_meets(account):
    """A filter that kills would end code that only asks what there is."""
    verdict = account.run(
        "import os, time, platform, random, hashlib, ssl, bz2, lzma, sqlite3, decimal, ctypes, zoneinfo, tempfile\n"
        "def f():\n"
        "    with tempfile.TemporaryFile() as file:\n        file.write(os.urandom(9))\n"
        "    sqlite3.connect(':memory:').execute('select 1')\n"
        "    return hashlib.md5(b'x').hexdigest(), platform.system(), time.time() > 0, random.random() < 1",
        "assert f() == ('9dd4e461268c8034f5c8564e155c67a6', 'Linux', True, True), f()",
    )
    assert verdict.passed, verdict.reason


def test_the_parent_of_the_sandbox_is_not_its_parent(account):
    assert account.run("import os\ndef f():\n    return os.getppid()", "assert f() == 1").passed
