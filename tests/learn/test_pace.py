"""A bound on processor time, on a real loop and real child processes; only the clock is the test's."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from zooter_core.learn.pace import Pace, processor_seconds

SCRIPT = """
import time
while time.process_time() < 0.3:
    pass
print("done", flush=True)
input()
"""


class Resting(threading.Event):
    """A stop that passes the time of a clock instead of waiting; the clock also runs while the processor works."""

    def __init__(self) -> None:
        super().__init__()
        self.rested = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.rested += timeout or 0.0
        return False

    def clock(self) -> float:
        return time.process_time() + self.rested


def busy(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(("share", "cores"), [(0.5, 1), (0.1, 1), (0.1, 4)])
def test_work_rests_until_it_keeps_its_share(share, cores):
    stop = Resting()
    pace = Pace(share, cores, stop.clock, time.process_time)
    begin, used = stop.clock(), time.process_time()
    for _ in range(5):
        busy(0.01)
        assert pace.rest(stop) > 0
        assert time.process_time() - used <= share * cores * (stop.clock() - begin) + 0.01
    assert stop.rested < 10 * (time.process_time() - used) / share  # it does not rest forever


def test_time_without_work_allows_nothing():
    stop = Resting()
    pace = Pace(0.5, 1, stop.clock, time.process_time)
    stop.wait(600)
    pace.begin()
    busy(0.01)
    assert pace.rest(stop) > 0


def test_work_below_its_share_and_a_share_of_one_never_rest():
    stop = Resting()
    pace = Pace(0.5, 1, stop.clock, time.process_time)
    busy(0.01)
    stop.wait(60)  # an endpoint that answers slowly
    assert pace.rest(stop) == 0
    assert Pace(1.0, 1, stop.clock, time.process_time).rest(stop) == 0


def test_child_processes_count_also_after_their_end():
    before = processor_seconds()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout.readline() == "done\n"
        assert processor_seconds() - before > 0.25  # in ticks of a hundredth
        it.communicate("\n")
    assert processor_seconds() - before > 0.25  # in ticks of a hundredth
