"""Background work without a browser: how it ends, and when nobody looks at it any more."""

from __future__ import annotations

import threading

import pytest

from support.patience import PATIENCE
from zooter_core.base.errors import ZooterError
from zooter_core.ui.background import GRACE, BackgroundWork, StoppedError


class Steps(BackgroundWork):
    """Waits for a stop, or for `go`, and then ends or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.go, self.finished = threading.Event(), threading.Event()
        self.error = error

    def _execute(self) -> None:
        while not self.go.wait(0.01):
            if self.stopping:
                raise StoppedError
        if self.error is not None:
            raise self.error

    def _finish(self) -> None:
        self.finished.set()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (None, None),
        (ZooterError("a", "b", "c"), "Expected a, but found b. c"),
        (ValueError("odd"), "The work failed: ValueError: odd"),
    ],
)
def test_work_ends_and_an_error_is_its_problem(error: Exception | None, message: str | None) -> None:
    job = Steps(error)
    job.start()
    assert job.running
    job.go.set()
    job.wait(PATIENCE)
    assert (job.running, job.problem, job.stopped, job.finished.is_set()) == (False, message, False, True)


def test_stopped_work_can_start_again() -> None:
    job = Steps()
    job.start()
    job.stop()
    job.wait(PATIENCE)
    assert (job.stopping, job.stopped, job.problem, job.finished.is_set()) == (True, True, None, True)
    job.go.set()
    job.start()
    job.wait(PATIENCE)
    assert (job.stopping, job.stopped, job.problem) == (False, False, None)


class Tabs:
    """Open tabs and a clock, which the test sets."""

    def __init__(self, *open: str) -> None:
        self.now, self.open = 100.0, set(open)

    def look(self, job: Steps, tab: str) -> None:
        job.sessions.add(tab)
        job.last_seen = self.now

    def later(self, job: Steps, seconds: float) -> None:
        self.now += seconds
        job.stop_if_abandoned(self.open.__contains__, self.now)


def test_work_is_stopped_when_its_last_tab_was_closed_for_the_grace_period() -> None:
    tabs, job = Tabs("a", "b"), Steps()
    job.start()
    tabs.look(job, "a")
    tabs.look(job, "b")
    tabs.later(job, 10 * GRACE)
    tabs.open.remove("a")
    tabs.later(job, 10 * GRACE)
    assert not job.stopping  # b still looks
    tabs.open.remove("b")
    tabs.later(job, 0.9 * GRACE)
    tabs.open.add("c")  # it reloads
    tabs.look(job, "c")
    tabs.later(job, 10 * GRACE)
    tabs.open.remove("c")
    tabs.later(job, 0.9 * GRACE)
    assert not job.stopping
    tabs.later(job, 0.2 * GRACE)
    assert job.stopping
    job.wait(PATIENCE)
    assert job.stopped
