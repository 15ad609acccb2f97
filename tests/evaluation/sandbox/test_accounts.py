"""That the two accounts of these tests are what they claim to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_ordinary_user_is_ordinary_and_has_a_sandbox(ordinary):
    assert ordinary.ask({}) == {"user": [65534] * 3, "groups": [], "missing": ""}


def test_root_cannot_hand_its_interpreter_to_others_and_has_a_sandbox_all_the_same(account):
    assert account.run("def f():\n    import json\n    return json.dumps([1])", "assert f() == '[1]'").passed


def test_code_runs_as_nobody_without_any_right(account):
    code = """
import ctypes, os

def f():
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    no_new_privileges, seccomp = 39, 21
    return os.getresuid(), os.getresgid(), list(sets), libc.prctl(no_new_privileges, 0, 0, 0, 0), libc.prctl(seccomp)
"""
    nobody = (65534,) * 3
    verdict = account.run(code, f"assert f() == ({nobody}, {nobody}, [0] * 6, 1, 2), f()")
    assert verdict.passed, verdict.reason


def test_it_has_no_group_that_counts(account):
    """An ordinary user's groups cannot be given up, but they are nobody's inside."""
    verdict = account.run("import os\ndef f():\n    return set(os.getgroups())", "assert f() <= {65534}, f()")
    assert verdict.passed, verdict.reason


def test_it_cannot_become_somebody_else(account):
    code = """
import os

def f():
    refused = []
    for name, ids in (("setuid", (0,)), ("setresuid", (0, 0, 0)), ("setresgid", (0, 0, 0)), ("setgroups", ([0],))):
        try:
            getattr(os, name)(*ids)
        except OSError:
            refused.append(name)
    return refused
"""
    verdict = account.run(code, "assert f() == ['setuid', 'setresuid', 'setresgid', 'setgroups'], f()")
    assert verdict.passed, verdict.reason


@pytest.mark.parametrize(
    ("command", "before"),
    [
        (["unshare", "--user", "--map-root-user"], ""),  # a root that has no other id to give
        (["setpriv", "--no-new-privs"], ""),
        (["sh", "-c", 'umask 077; ulimit -n 40; ulimit -u 30; exec "$@"', "-"], ""),
        ([], "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"),
        ([], "import os; os.chdir('/proc')"),
    ],
)
def test_it_starts_from_where_others_would_not(allowed, command, before):
    program = f"""{before}
from zooter_core.evaluation.sandbox.runner import missing, run
code = "import os\\ndef f(): return os.getuid(), os.getcwd()"
print(missing(), run(code, "assert f() == (65534, '/sandbox')", "f"))
"""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    command = [*command, sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.stdout == " Verdict(passed=True, reason='')\n", ended.stderr
