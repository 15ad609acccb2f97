"""Code that wants to other files: nothing is there but the standard library and a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest


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
    "return os.open(path[1:] + '/secret', os.O_RDONLY, dir_fd=os.open('/', os.O_RDONLY))",
    "return os.open('../' * 20 + path[1:] + '/secret', os.O_RDONLY, dir_fd=os.open('.', os.O_RDONLY))",
    "return open('/proc/1/root' + path + '/secret').read()",
    "return open('/proc/self/environ').read()",
    "return os.listdir('/proc')",
    "return os.listdir('/sys')",
    "return os.listdir(path)",
    "os.remove(path + '/secret')",
    "os.link(path + '/secret', 'here')",
    "os.symlink(path + '/secret', 'here')\nreturn open('here').read()",
    "os.chmod(path + '/secret', 0)",
    "os.chdir(path)",
    "import sqlite3\nsqlite3.connect(path + '/database').execute('create table t(x)')",
    "import _posixshmem\n_posixshmem.shm_open('/zooter', os.O_CREAT | os.O_RDWR, mode=0o666)",
    "return ctypes.CDLL(path + '/secret')",
    "checked(libc.open((path + '/secret').encode(), 0))",
    "import zooter_core.cli",
    "import numpy",
]


def test_files_outside_are_not_there(account, outside):
    """No error has to do with permissions: there is nothing at these paths."""
    names = "FileNotFoundError OperationalError ModuleNotFoundError OSError"
    account.refuses([f"path = given\n{body}" for body in READS_AND_WRITES], names, str(outside))


def test_no_special_files_are_made(account, outside):
    bodies = ["os.mkfifo(given + '/fifo')", "os.mknod(given + '/node')"]
    bodies += ["os.mkfifo('fifo')", "os.mknod('node', 0o20666, os.makedev(1, 3))"]
    account.refuses(bodies, "PermissionError", str(outside))


def test_only_the_standard_library_and_what_it_loads_is_there(account):
    """Python itself, and the two modules of this package, whose sources are no secret. Paths of secrets are not."""
    code = """
import os, sys

def f():
    library = tuple(path for path in sys.path if os.path.isdir(path))
    shown = (*library, "/usr/share/zoneinfo", "/zooter/zooter_core/evaluation/sandbox/", sys.executable)
    others, writable = [], []
    for folder, _, files in os.walk("/"):
        paths = [os.path.join(folder, name) for name in files]
        others += [path for path in paths if not path.startswith(shown) and ".so" not in path]
        writable += [path for path in [folder, *paths] if os.access(path, os.W_OK)]
    hidden = [len(os.listdir(p)) for path in library if os.path.isdir(p := path + "/site-packages")]
    secrets = ("/dev/shm", "/dev/tty", "/dev/mem", "/var", "/etc/passwd", "/run", "/bin/sh", "/proc", "/sys")
    return set(others), set(writable), sum(hidden), [path for path in secrets if os.path.exists(path)]
"""
    devices = {"/dev/null", "/dev/urandom", "/dev/zero"}
    check = f"""
others, writable, hidden, secrets = f()
assert others <= {devices | {"/etc/ld.so.cache"}}, others
assert writable == {devices | {"/sandbox"}}, writable
assert (hidden, secrets) == (0, []), (hidden, secrets)
"""
    account.passes(code, check, seconds=60)


def test_nothing_but_its_folder_can_be_written(account):
    bodies = [
        "open(os.__file__, 'a')", "open(os.path.dirname(os.__file__) + '/made.py', 'w')",
        "open('/zooter/zooter_core/evaluation/sandbox/process.py', 'a')", "open('/zooter/zooter_core/made.py', 'w')",
        "open(sys.executable, 'a')", "os.remove(os.__file__)", "os.rename(os.__file__, os.__file__ + '2')",
        "os.chmod(os.__file__, 0o777)", "os.utime(os.__file__)", "os.mkdir('/made')", "open('/made', 'w')",
        "open('/dev/made', 'w')", "os.rmdir('/sandbox')",
        "os.rename(os.path.dirname(os.__file__) + '/json', '/sandbox/json')",
    ]  # fmt: skip
    before = os.stat(os.__file__)
    account.refuses(bodies, "PermissionError OSError")
    after = os.stat(os.__file__)
    assert (after.st_mtime_ns, after.st_mode, after.st_size) == (before.st_mtime_ns, before.st_mode, before.st_size)


def test_a_folder_of_its_own_that_is_new_every_time(account):
    code = """
import os

def f():
    before = os.listdir()
    with open("a", "w") as file:
        file.write("hi")
    os.mkdir("b")
    return before, open("a").read(), os.getcwd()
"""
    for _ in range(2):
        account.passes(code, "assert f() == ([], 'hi', '/sandbox')")


def test_the_check_is_in_a_sandbox_too(account, outside):
    """A file of tests comes from somewhere, too."""
    check = f"open({str(outside / 'made')!r}, 'w')"
    assert account.run("", check).reason.startswith("FileNotFoundError")
    assert account.run("", "import socket\nsocket.socket()").reason.startswith("PermissionError")
