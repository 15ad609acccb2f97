"""Systems that give no sandbox: it is said before anything is executed, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zooter_core.evaluation.sandbox import runner

ROOT = Path(__file__).resolve().parents[3]
# No further user namespaces below this one: what a system administrator or a container forbids.
WITHOUT = [
    "unshare",
    "--user",
    "--map-root-user",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
    "-",
]


@pytest.fixture
def without(allowed):
    """Runs Python where there are no further user namespaces."""

    def python(program: str) -> subprocess.CompletedProcess[str]:
        command = [*WITHOUT, sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    return python


def test_where_user_namespaces_are_forbidden_it_says_so(without):
    ended = without("from zooter_core.evaluation.sandbox.runner import missing; print(missing())")
    assert ended.stdout.startswith("unshare: ")
    assert "user.max_user_namespaces is 0" in ended.stdout


def test_nothing_is_executed_then(without):
    program = (
        "from zooter_core.evaluation.sandbox.runner import run, SandboxError\n"
        "try: run('import os; os.mkdir(\"/tmp/zooter-was-here\")', 'f()', 'f')\n"
        "except SandboxError as problem: print(type(problem).__name__, problem.exit_code)"
    )
    assert without(program).stdout == "SandboxError 1\n"
    assert not os.path.exists("/tmp/zooter-was-here")


def test_without_a_sandbox_code_runs_there_with_limits(without):
    program = (
        "from zooter_core.evaluation.sandbox.runner import run, Limits\n"
        "print(run('def f(): return 1', 'assert f() == 1', 'f', sandboxed=False))\n"
        "print(run('x = [0] * 10**10', '', 'f', sandboxed=False).reason)"
    )
    assert without(program).stdout == "Verdict(passed=True, reason='')\nout of memory\n"


def test_a_standard_library_that_only_root_may_read_is_named():
    """As root the code runs as somebody else."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("root on Linux alone")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "library")
        shutil.copytree(os.path.dirname(os.__file__), library, ignore=shutil.ignore_patterns("site-packages", "test*"))
        library.chmod(0o700)
        paths = f"import sys; sys.path[:] = [{str(library)!r}, {str(library / 'lib-dynload')!r}]; "
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
            "from zooter_core.evaluation.sandbox import child_process, runner\n"
            f"child_process.START = {paths!r} + child_process.START\n"
            "print(runner.missing())"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.stdout == f"{library}, Python's standard library, is not readable for other users\n"


@pytest.mark.parametrize(
    ("system", "machine", "reason"),
    [
        ("darwin", "arm64", "the sandbox needs Linux"),
        ("linux", "riscv64", "this processor is riscv64, and the sandbox needs x86_64 or aarch64"),
    ],
)
def test_other_systems_are_named(monkeypatch, system, machine, reason):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert reason in runner.missing.__wrapped__()
