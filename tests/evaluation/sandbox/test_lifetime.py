"""When a sandbox ends, everything in it has ended: also what left its session, and also where nobody ends it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zooter_core.evaluation.sandbox.runner import Limits, run

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 60  # seconds, on a busy machine

# A sandbox without a filter for system calls and without limits, so that code in it can start processes. A daemon of
# it holds the pipe `alive` open as long as it lives.
DAEMON = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from zooter_core.evaluation.sandbox import namespaces

alive, inner_ends, seconds = int(sys.argv[1]), sys.argv[2] == "ends", int(sys.argv[3])
keep = os.dup2(alive, 100)
namespaces.enter(os.getppid(), (), 1 << 20, 16, seconds)
if os.fork() == 0:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        os.write(keep, b"x")
        time.sleep(10_000)
    os._exit(0)
time.sleep(0.5 if inner_ends else 10_000)
os._exit(0)
"""


class Daemon:
    """A daemon in a sandbox, and the outer process of the sandbox."""

    def __init__(self, ends: str = "stays", seconds: int = 1000) -> None:
        self.alive, end = os.pipe()
        self.outer = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", DAEMON.format(root=str(ROOT)), str(end), ends, str(seconds)],
            pass_fds=(end,),
        )
        os.close(end)
        assert os.read(self.alive, 1) == b"x"

    def ended(self) -> bool:
        """Whether nobody holds the pipe any more; waits for that."""
        return bool(select.select([self.alive], [], [], LONGEST)[0]) and os.read(self.alive, 1) == b""

    def close(self) -> None:
        self.outer.kill()
        self.outer.wait()
        os.close(self.alive)


@pytest.fixture
def daemon(allowed):
    started: list[Daemon] = []

    def start(*arguments: object) -> Daemon:
        started.append(Daemon(*arguments))
        return started[-1]

    yield start
    for daemon in started:
        daemon.close()


def test_a_daemon_ends_with_the_code_that_started_it(daemon):
    one = daemon("ends")
    assert one.outer.wait(LONGEST) == 0
    assert select.select([one.alive], [], [], 0)[0]  # at once: the outer process had waited for it
    assert os.read(one.alive, 1) == b""


def test_a_daemon_ends_on_sigterm_to_the_outer_process(daemon):
    one = daemon()
    one.outer.terminate()
    one.outer.wait(LONGEST)
    assert select.select([one.alive], [], [], 0)[0]
    assert os.read(one.alive, 1) == b""


def test_a_daemon_ends_when_the_outer_process_is_killed(daemon):
    one = daemon()
    one.outer.kill()
    assert one.ended()


def test_a_daemon_ends_after_its_time_though_nobody_ends_it(daemon):
    one = daemon("stays", 2)
    assert one.outer.wait(LONGEST) == 0
    assert one.ended()


# A run that this test holds in the middle: its worker writes to `alive`, then waits until `hold` is closed. Worker and
# checker hold `alive` open as long as they live.
PAUSED_RUN = """
import os, subprocess, sys
sys.path.insert(0, {root!r})
from zooter_core.evaluation.sandbox import runner

alive, hold = int(sys.argv[1]), int(sys.argv[2])
start = subprocess.Popen
def popen(*arguments, **options):
    return start(*arguments, **options | {{"pass_fds": (*options["pass_fds"], alive, hold)}})

runner.shared_libraries()
subprocess.Popen = popen
code = f"import os\\ndef f():\\n    os.write({{alive}}, b'x')\\n    os.read({{hold}}, 1)"
runner.run(code, "f()", "f", limits=runner.Limits(seconds=500), sandboxed=sys.argv[3] == "sandboxed")
"""


@pytest.mark.parametrize("kind", ["sandboxed", "not sandboxed"])
def test_everything_ends_when_the_process_that_runs_it_is_killed(kind, request, tmp_path):
    """kill -9 of the whole program in the middle of a run."""
    if kind == "sandboxed":
        request.getfixturevalue("allowed")
    (alive, write), (read, hold) = os.pipe(), os.pipe()
    call = [sys.executable, "-c", PAUSED_RUN.format(root=str(ROOT)), str(write), str(read), kind]
    outer = subprocess.Popen(call, pass_fds=(write, read), env={**os.environ, "TMPDIR": str(tmp_path)})
    os.close(write)
    os.close(read)
    assert os.read(alive, 1) == b"x"
    assert bool(list(tmp_path.iterdir())) == (kind != "sandboxed")  # a sandbox has its folder in memory
    outer.kill()
    outer.wait()
    if kind != "sandboxed":
        os.close(hold)  # nothing ends code outside a sandbox but its own end, and its limits
    assert select.select([alive], [], [], LONGEST)[0]
    assert os.read(alive, 1) == b""
    assert not list(tmp_path.iterdir())


def test_a_run_leaves_no_process_behind():
    def children() -> list[str]:
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

    before, handler = children(), signal.getsignal(signal.SIGTERM)
    for code in ("def f(): return 1", "while True: pass", "import os\nos._exit(0)", "import time\ntime.sleep(99)"):
        run(code, "f()", "f", limits=Limits(seconds=1))
        run(code, "f()", "f", limits=Limits(seconds=1), sandboxed=False)
    assert children() == before
    assert signal.getsignal(signal.SIGTERM) is handler
