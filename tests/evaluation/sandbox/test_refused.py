"""Systems that give no sandbox: it is said before anything is executed, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.sandboxes import WITHOUT_NAMESPACES, ThisUser
from zooter_core.evaluation.sandbox import runner

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import os, sys
from zooter_core.evaluation.sandbox.runner import SandboxError, missing, run
try:
    run("import os; os.mkdir('/tmp/zooter-was-here')", "f()", "f")
except SandboxError as problem:
    print(problem.exit_code, missing(), os.path.exists("/tmp/zooter-was-here"))
"""


def test_where_user_namespaces_are_forbidden_it_says_so_and_executes_nothing(allowed):
    command = [*WITHOUT_NAMESPACES, sys.executable, "-c", PROGRAM]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.stdout.startswith("1 bwrap: Creating new namespace failed: "), ended.stderr
    assert ended.stdout.endswith(" False\n")
    assert "max_*_namespaces" in ended.stdout


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("sys.platform", "darwin", "the sandbox needs Linux"),
        ("sys.platform", "win32", "the sandbox needs Linux"),
        ("platform.machine", lambda: "riscv64", "this processor is riscv64, and the sandbox needs x86_64 or aarch64"),
        ("os.environ", {"PATH": "/nowhere"}, "bubblewrap is not installed (`apt install bubblewrap`"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, name, value, reason):
    monkeypatch.setattr(name, value)
    assert reason in runner.missing.__wrapped__()


@pytest.mark.skipif(os.geteuid() != 0, reason="code of root's alone runs as somebody else")
def test_a_standard_library_that_only_root_may_read_is_named(allowed, monkeypatch):
    library = os.path.realpath(os.path.dirname(os.__file__))
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(library, f"{folder}/copy", ignore=shutil.ignore_patterns("site-packages", "test*"))
        os.makedirs(f"{copy}/site-packages", exist_ok=True)
        os.chmod(copy, 0o700)
        files = list(runner._files())
        files[files.index(library, files.index("--ro-bind"))] = copy
        monkeypatch.setattr(runner, "_files", lambda: files)
        reason = runner.missing.__wrapped__()
    assert reason == f"PermissionError: [Errno 13] Permission denied: '{library}'"


@pytest.mark.parametrize(
    "command",
    [
        ["unshare", "--user", "--map-root-user"],  # a root that has no other id to give
        ["setpriv", "--no-new-privs"],
        ["sh", "-c", 'umask 077; ulimit -n 40; ulimit -u 30; cd /proc; exec "$@"', "-"],
    ],
)
def test_it_starts_from_where_others_would_not(allowed, command):
    user = 65534 if "unshare" in command else ThisUser.user
    program = f"""
from zooter_core.evaluation.sandbox.runner import missing, run
code = "import os\\ndef f(): return os.getuid(), os.getcwd()"
print(missing(), run(code, "assert f() == ({user}, '/sandbox'), f()", "f"))
"""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    command = [*command, sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.stdout == " CheckResult(passed=True, reason='')\n", ended.stderr


def test_the_ordinary_user_of_these_tests_is_ordinary_and_has_a_sandbox(allowed, ordinary):
    assert ordinary.ask({}) == {"user": [65534] * 3, "groups": [], "missing": ""}
