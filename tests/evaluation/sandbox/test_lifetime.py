"""When a sandbox ends, everything in it has ended: also what left its session, and also where nobody ends it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from support.patience import PATIENCE
from support.sandboxes import ThisUser
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.sandbox.runner import Limits, run

ROOT = Path(__file__).resolve().parents[3]

# In a sandbox without limits and filter: a daemon that holds `alive` open as long as it lives.
DAEMON = """
import os, signal, time

if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        os.write({alive}, b"x")
        time.sleep(10_000)
    os._exit(0)
time.sleep({seconds})
"""
# The process that starts bubblewrap, and ends with -9.
STARTER = "import subprocess, sys; subprocess.run(sys.argv[2:], pass_fds=[int(sys.argv[1])])"


def ended(alive: int) -> bool:
    """Whether nobody holds the pipe any more; waits for that."""
    return bool(select.select([alive], [], [], PATIENCE)[0]) and os.read(alive, 1) == b""


@pytest.mark.parametrize("end", ["its code ends", "bubblewrap is killed", "its parent is killed"])
@pytest.mark.parametrize("as_root", [True, False])
def test_a_daemon_ends_with_the_sandbox(allowed, monkeypatch, end, as_root):
    if not as_root:
        monkeypatch.setattr(runner, "service_user", lambda: 0)
    alive, write = os.pipe()
    program = DAEMON.format(alive=write, seconds=0.1 if end == "its code ends" else 10_000)
    command = runner.bwrap_call(program, 1 << 20)
    if end == "its parent is killed":
        command = [sys.executable, "-c", STARTER, str(write), *command]
    with subprocess.Popen(command, pass_fds=(write,)) as outer:
        os.close(write)
        try:
            assert os.read(alive, 1) == b"x"
            if end != "its code ends":
                outer.kill()
            assert ended(alive)
        finally:
            outer.kill()
            os.close(alive)


# A run that this test holds in the middle: its worker writes to `alive`, then waits. Worker and checker hold `alive`
# open as long as they live.
PAUSED_RUN = """
import sys
sys.path.insert(0, {root!r})
from zooter_core.evaluation.sandbox import runner

alive, start = int(sys.argv[1]), runner.Process
runner.Process = lambda *a, **options: start(*a, **options, pass_fds=(alive,))
code = f"import os, time\\ndef f():\\n    os.write({{alive}}, b'x')\\n    time.sleep(10_000)"
runner.run(code, "f()", "f", limits=runner.Limits(seconds=500))
"""


def test_everything_ends_when_the_process_that_runs_it_is_killed(allowed, tmp_path):
    """kill -9 of the whole program in the middle of a run."""
    alive, write = os.pipe()
    call = [sys.executable, "-c", PAUSED_RUN.format(root=str(ROOT)), str(write)]
    outer = subprocess.Popen(call, pass_fds=(write,), env={**os.environ, "TMPDIR": str(tmp_path)})
    os.close(write)
    assert os.read(alive, 1) == b"x"
    outer.kill()
    outer.wait()
    assert ended(alive)
    os.close(alive)
    assert not list(tmp_path.iterdir())


def test_without_a_parent_no_code_is_executed_and_both_end(allowed):
    """It may be killed after it has started them, before they are bound to its life."""
    with runner._started(Limits()) as checker:
        assert checker.stdout.readline() == b"{}\n"
        checker.stdin.close()
        assert checker.wait(PATIENCE) == 1
        assert checker.stdout.read() == b""


def test_a_run_leaves_no_process_descriptor_or_folder_behind(allowed, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def left() -> tuple[list[str], int, int]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return children, len(os.listdir("/dev/fd")), len(list(tmp_path.iterdir()))

    ThisUser().passes("", "")
    before = left()
    for code in ("def f(): return 1", "while True: pass", "import os\nos._exit(0)", "import time\ntime.sleep(99)"):
        run(code, "f()", "f", limits=Limits(seconds=0.3))
    assert left() == before
