"""Code that wants out: to files, processes, the network and the kernel. It may use ctypes for whatever it likes."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zooter_core.sandbox.system_calls import NEW, NEW_ALLOWED, REFUSED

# Makes one attempt after the other; of each must come an error.
REFUSAL = """
wrong = []
for number in range({count}):
    try:
        result = f(number, {arguments!r})
    except Exception as problem:
        result = type(problem).__name__
        if result in {names!r}:
            continue
    wrong.append((number, result))
assert not wrong, wrong
"""
# Runs a system call by its number, as code with ctypes can.
CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""


def refused(account, bodies: list[str], names: str, *arguments: object, before: str = "import os, sys") -> None:
    """Every body of a function fails in the sandbox, with one of the exceptions that are named.

    Args:
        arguments: what the bodies know as `given`.
        before: code that they share.
    """
    functions = (f"def f{number}(given):\n    " + body.replace("\n", "\n    ") for number, body in enumerate(bodies))
    code = "\n".join([before, *functions, "def f(number, given): return globals()[f'f{number}'](*[given])"])
    check = REFUSAL.format(count=len(bodies), arguments=list(arguments), names=names.split())
    verdict = account.run(code, check, seconds=60)
    assert verdict.passed, verdict.reason


@pytest.fixture
def outside():
    """A folder that everybody may read and write, with a file in it."""
    folder = Path(tempfile.mkdtemp(prefix="zooter-outside-"))
    folder.chmod(0o777)
    (folder / "secret").write_text("secret")
    (folder / "secret").chmod(0o666)
    yield folder
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert (folder / "secret").read_text() == "secret"
    shutil.rmtree(folder)


READS_AND_WRITES = [
    "return open(path + '/secret').read()",
    "open(path + '/secret', 'w').write('mine')",
    "return os.read(os.open(path + '/secret', os.O_RDONLY), 9)",
    "return os.open('secret', os.O_RDONLY, dir_fd=os.open(path, os.O_RDONLY))",
    "return os.open(path[1:] + '/secret', os.O_RDONLY, dir_fd=os.open('/', os.O_RDONLY))",
    "return os.open('../' * 20 + path[1:] + '/secret', os.O_RDONLY, dir_fd=os.open('.', os.O_RDONLY))",
    "return open('/proc/1/root' + path + '/secret').read()",
    "return open('/proc/self/environ').read()",
    "return os.listdir('/proc')",
    "return open('/proc/1/mem', 'rb').read(9)",
    "return os.listdir('/sys')",
    "return os.listdir(path)",
    "return os.listdir('/home')",
    "os.remove(path + '/secret')",
    "os.rename(path + '/secret', 'here')",
    "os.link(path + '/secret', 'here')",
    "os.symlink(path + '/secret', 'here')\nreturn open('here').read()",
    "os.mkdir(path + '/folder')",
    "os.chmod(path + '/secret', 0)",
    "os.utime(path + '/secret')",
    "os.chdir(path)",
    "import shutil\nshutil.rmtree(path)",
    "import sqlite3\nsqlite3.connect(path + '/database').execute('create table t(x)')",
    "import sqlite3\nreturn sqlite3.connect(path + '/secret').execute('select * from t')",
    "import readline\nreadline.read_history_file(path + '/secret')",
    "import readline\nreadline.add_history('x')\nreadline.write_history_file(path + '/history')",
    "import _posixshmem\n_posixshmem.shm_open('/zooter', os.O_CREAT | os.O_RDWR, mode=0o666)",
    "from multiprocessing.shared_memory import SharedMemory\nSharedMemory('zooter', create=True, size=9)",
    "import io\nreturn io.open_code(path + '/secret').read()",
    "import mmap\nreturn mmap.mmap(os.open(path + '/secret', os.O_RDWR), 6)[:]",
    "import ctypes\nreturn ctypes.CDLL(path + '/secret')",
    "import importlib.machinery as m\nreturn m.SourceFileLoader('x', path).get_data(path + '/secret')",
    "import tarfile\ntarfile.open(path + '/made.tar', 'w')",
    "import dbm.dumb\ndbm.dumb.open(path + '/made')",
    "import logging\nlogging.FileHandler(path + '/log')",
    "import tempfile\ntempfile.mkstemp(dir=path)",
    "import zooter_core.cli",
    "import numpy",
]


def test_files_outside_are_not_there(account, outside):
    """No error has to do with permissions: there is nothing at these paths."""
    names = "FileNotFoundError OperationalError ModuleNotFoundError OSError"
    bodies = [f"path, = given\n{body}" for body in READS_AND_WRITES]
    refused(account, bodies, names, str(outside))


def test_no_special_files_are_made(account, outside):
    refused(account, ["os.mkfifo(given[0] + '/fifo')", "os.mknod(given[0] + '/node')"], "PermissionError", str(outside))
    refused(account, ["os.mkfifo('fifo')", "os.mknod('node', 0o20666, os.makedev(1, 3))"], "PermissionError")


def test_through_ctypes_neither(account, outside):
    code = CALL + "def f(path):\n    return libc.open(path.encode(), 0), os.strerror(ctypes.get_errno())"
    verdict = account.run(code, f"assert f({str(outside / 'secret')!r}) == (-1, 'No such file or directory')")
    assert verdict.passed, verdict.reason


def test_a_secret_in_the_shared_memory_or_the_users_folders_is_not_there(account):
    paths = [
        "/dev/shm",
        "/dev/tty",
        "/dev/mem",
        "/var",
        "/etc/passwd",
        "/run",
        "/bin/sh",
        "/usr/bin",
        sys.executable,
    ]
    verdict = account.run(
        f"import os\ndef f():\n    return [p for p in {paths} if os.path.exists(p)]", "assert f() == []"
    )
    assert verdict.passed, verdict.reason


def test_only_the_standard_library_and_what_it_loads_is_there(account):
    code = """
import os, sys

def f():
    library = tuple(path for path in sys.path if os.path.isdir(path))
    others, writable = [], []
    for folder, _, files in os.walk("/"):
        paths = [os.path.join(folder, name) for name in files]
        shown = (*library, "/usr/share/zoneinfo")
        others += [path for path in paths if not path.startswith(shown) and ".so" not in path]
        writable += [path for path in [folder, *paths] if os.access(path, os.W_OK)]
    hidden = [len(os.listdir(p)) for path in library if os.path.isdir(p := path + "/site-packages")]
    return sorted(set(others)), writable, sum(hidden)
"""
    devices = ["/dev/null", "/dev/urandom", "/dev/zero"]
    verdict = account.run(
        code,
        "others, writable, hidden = f()\n"
        f"assert set(others) <= {{*{devices}, '/etc/ld.so.cache'}}, others\n"
        f"assert set(writable) <= {{'/sandbox', *{devices}}}, writable\n"
        "assert hidden == 0, hidden",
        seconds=60,
    )
    assert verdict.passed, verdict.reason


def test_nothing_but_its_folder_can_be_written(account):
    bodies = [
        "open(os.__file__, 'a')",
        "open(os.path.dirname(os.__file__) + '/made.py', 'w')",
        "os.remove(os.__file__)",
        "os.rename(os.__file__, os.__file__ + '2')",
        "os.chmod(os.__file__, 0o777)",
        "os.utime(os.__file__)",
        "os.mkdir('/made')",
        "open('/made', 'w')",
        "open('/dev/made', 'w')",
        "os.rmdir('/sandbox')",
        "import compileall\nos.rename(os.path.dirname(os.__file__) + '/json', '/sandbox/json')",
    ]
    before = os.stat(os.__file__)
    refused(account, bodies, "PermissionError OSError")
    after = os.stat(os.__file__)
    assert (after.st_mtime_ns, after.st_mode, after.st_size) == (before.st_mtime_ns, before.st_mode, before.st_size)


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
        for process in (victim.pid, os.getpid()):
            calls = [f"process, = given\n{body}" for body in bodies]
            names = "ProcessLookupError PermissionError OSError"
            refused(account, calls, names, process, before=CALL + "\nimport signal")
        assert victim.poll() is None
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
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
