"""Background work without a browser: how it ends, and when nobody looks at it any more."""

from __future__ import annotations

import threading

import pytest

from support.patience import PATIENCE, wait_until
from zooter_core.base.errors import ZooterError
from zooter_core.ui import background
from zooter_core.ui.background import BackgroundWork, StoppedError


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


def test_work_is_stopped_when_its_last_tab_is_closed_and_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    tabs, looks, job = {"a", "b"}, [], Steps()
    monkeypatch.setattr(background, "CHECK_EVERY", 0.005)
    monkeypatch.setattr(background, "LOOKS", 1_000_000)
    monkeypatch.setattr(background, "_tab_is_open", lambda tab: looks.append(tab) or tab in tabs)
    job.sessions |= tabs
    job.start()

    def goes_on() -> bool:
        count = len(looks)
        wait_until(lambda: len(looks) > count + 20)
        return not job.stopping

    tabs.clear()
    assert goes_on()  # as while a tab reloads
    tabs.add("c")
    job.sessions.add("c")
    assert goes_on()
    monkeypatch.setattr(background, "LOOKS", 5)
    assert goes_on()
    tabs.clear()
    job.wait(PATIENCE)
    assert job.stopped
