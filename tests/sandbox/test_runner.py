"""Code that goes wrong in every way that a model's code does: each ends within its limits, with what stopped it."""

from __future__ import annotations

import os
import re
import socket
import threading
import time

import pytest

from zooter_core.sandbox import Limits, run

LIMITS = Limits(seconds=2)
LONGEST = 60  # seconds, on a busy machine, for what may last 2


def test_code_and_its_check_share_their_names():
    assert run("import math\ndef area(r):\n    return math.pi * r**2", "assert 3.1 < area(1) < 3.2").passed


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def f(): return 1", "AssertionError"),
        ("def g(): return 2", "NameError"),
        ("def f(: return 2", "SyntaxError"),
        ("def f():\n    return f()", "RecursionError"),
        ("raise SystemExit", "SystemExit"),
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("import os\nos._exit(0)", "it ended before its check did"),
        ("import signal\nsignal.raise_signal(15)", "ended by signal 15"),
        ("input()", "EOFError"),
        ("\ud800", "UnicodeEncodeError"),
        ("x = '\0'", "SyntaxError|ValueError"),
    ],
)
def test_wrong_code_fails_and_says_why(code, why):
    ran = run(code, "assert f() == 2", LIMITS)
    assert not ran.passed
    assert re.match(why, ran.why)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("while True: pass", "not done in 2 s"),
        ("import time\ntime.sleep(1000)", "not done in 2 s"),
        ("import os\nos.close(1)\nos.close(2)\nwhile True: pass", "not done in 2 s|ended by signal"),
        ("kept = []\nwhile True: kept.append(bytearray(10_000_000))", "out of memory"),
        ("x = [0] * 10**10", "out of memory"),
        ("print('x' * 100_000_000)", "more than 1,048,576 bytes printed"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "more than 1,048,576 bytes printed"),
        ("f = open('f', 'w')\nwhile True: f.write('x' * 100_000)", "OSError"),
        ("for n in range(10**9): open(f'f{n}', 'w').write('x')", "PermissionError: .* open"),
        ("import os\nwhile True: os.fork()", "PermissionError: .* os.fork"),
        ("import subprocess\nsubprocess.run(['true'])", "PermissionError: .* subprocess.Popen"),
        ("import os\nos.system('true')", "PermissionError: .* os.system"),
        ("import os\nos.kill(os.getppid(), 9)", "PermissionError: .* os.kill"),
        ("import ctypes\nctypes.CDLL(None)", "PermissionError: .* ctypes"),
    ],
)
def test_code_without_end_or_bounds_is_ended(code, why):
    begun = time.monotonic()
    ran = run(code, "", LIMITS)
    assert not ran.passed
    assert re.match(why, ran.why), ran.why
    assert time.monotonic() - begun < LONGEST


def test_the_network_is_out_of_reach():
    """A real listener on this machine: it is never called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        ran = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))", "", LIMITS)
        assert (ran.passed, ran.why.split(":")[0]) == (False, "PermissionError")
        with pytest.raises(TimeoutError):
            server.accept()


def test_files_outside_the_folder_are_out_of_reach(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("mine")
    for code in (
        f"open({str(kept)!r}).read()",
        f"open({str(kept)!r}, 'w')",
        f"import os\nos.remove({str(kept)!r})",
        f"import os\nos.rename({str(kept)!r}, 'here')",
        f"import os\nos.symlink({str(kept)!r}, 'here')",
        f"import os\nos.listdir({str(tmp_path)!r})",
        f"import shutil\nshutil.rmtree({str(tmp_path)!r})",
        f"import os\nos.chdir({str(tmp_path)!r})",
    ):
        assert run(code, "", LIMITS).why.startswith("PermissionError"), code
    assert kept.read_text() == "mine"


def test_a_folder_of_its_own_that_goes_away(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = "import os\nassert os.listdir() == []\nopen('a', 'w').write('hi')\nassert open('a').read() == 'hi'"
    assert run(code + "\nos.remove('a')\nopen('b', 'w')", "", LIMITS).passed
    assert not list(tmp_path.iterdir())


def test_the_environment_is_empty(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    assert run("import os\nassert 'SOME_KEY' not in os.environ and 'HOME' not in os.environ").passed


def test_what_is_not_python_s_own_is_not_there():
    assert run("import numpy", "", LIMITS).why.startswith("ModuleNotFoundError")


def test_many_at_the_same_time_keep_to_themselves():
    found: dict[int, bool] = {}

    def work(number: int) -> None:
        found[number] = run(f"x = {number}", f"assert x % 2 == 0 and x == {number}", Limits()).passed

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number % 2 == 0 for number in range(8)}


def test_no_descriptor_is_left():
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        run("x = 1")
    assert len(os.listdir("/dev/fd")) == before
