"""Sessions of processes and their ranks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from zooter_core.base import sessions

RANK = """
import os, sys
from zooter_core.base.sessions import rank_session
os.nice(3)
rank_session(int(sys.argv[1]))
"""


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="sessions are not ranked here")
def test_a_session_gets_the_rank_of_the_process_that_ranks_it():
    with psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        subprocess.run([sys.executable, "-c", RANK, str(process.pid)], check=True)
        shown = Path(f"/proc/{process.pid}/autogroup").read_text().split()
        process.stdin.write(b"\n")
    assert shown[2] == str(min(os.nice(0) + 3, 19))


LEADS = """
import os, signal, sys, time
from zooter_core.base.sessions import lead_session
lead_session()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print(os.getpid(), os.getsid(0), flush=True)
sys.exit(7) if sys.argv[1:] else time.sleep(60)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def leader() -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A process that leads a session from now on, and its copy, which waits."""
    if not sessions.RANKED.exists() or sessions.RANKED.read_text().strip() != "1":
        pytest.skip("sessions are not ranked here")
    with subprocess.Popen([sys.executable, "-c", LEADS], stdout=subprocess.PIPE) as process:
        copy, session = map(int, process.stdout.readline().split())
        assert copy == session != process.pid
        yield process, psutil.Process(copy)
        process.kill()


def test_the_leader_of_a_session_ends_as_its_copy_does(leader):
    process, copy = leader
    process.terminate()
    assert process.wait(30) == 3
    assert not copy.is_running()
    assert subprocess.run([sys.executable, "-c", LEADS, "7"], stdout=subprocess.DEVNULL).returncode == 7


def test_a_copy_that_is_killed_kills_its_leader(leader):
    process, copy = leader
    copy.kill()
    assert process.wait(30) == -signal.SIGKILL


def test_a_leader_that_is_killed_takes_its_copy_along(leader):
    process, copy = leader
    process.kill()
    process.wait(30)
    psutil.wait_procs([copy], 30)
    assert not copy.is_running()


def test_a_leader_that_is_paused_pauses_its_copy(leader):
    process, copy = leader
    process.send_signal(signal.SIGTSTP)
    wait_for(lambda: copy.status() == psutil.STATUS_STOPPED)
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: copy.status() != psutil.STATUS_STOPPED)
