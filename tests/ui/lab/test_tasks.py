from __future__ import annotations

import threading
import time

import pytest

from zooter_core.errors import ZooterError
from zooter_core.ui.lab import tasks
from zooter_core.ui.lab.tasks import Task


def count(task: Task[str]) -> str:
    for done in range(1, 4):
        task.progress("embed", done, 3)
    return "made"


def endless(task: Task[None]) -> None:
    while True:
        task.progress("embed", 1, 2)
        time.sleep(0.01)


def test_work_tells_how_far_it_is_and_gives_its_result():
    task = Task(count)
    task.wait(10)
    assert (task.result, task.problem, task.stopped, task.running) == ("made", None, False, False)
    assert (task.step, task.done, task.of) == ("embed", 3, 3)
    assert [line.split("s  ")[1] for line in task.log] == ["Turning queries into vectors (3)", "Done."]


def test_stop_ends_it_at_once_and_it_has_no_result():
    task = Task(endless)
    assert task.running
    task.stop()
    task.wait(10)
    assert (task.stopped, task.result, task.running) == (True, None, False)
    assert "Nothing half made is kept" in task.log[-1]


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (ZooterError("a", "b", "c"), "Expected a, but found b. c"),
        (ValueError("odd"), "The work failed: ValueError: odd"),
    ],
)
def test_a_failure_is_told_in_one_message(problem, message):
    def fail(task: Task[None]) -> None:
        raise problem

    task = Task(fail)
    task.wait(10)
    assert task.problem == message
    assert task.result is None


def test_heavy_work_goes_one_after_the_other_and_who_waits_can_stop():
    turn = threading.Lock()
    first, second, third = Task(endless, turn), Task(endless, turn), Task(count, turn)
    while first.waiting:
        time.sleep(0.01)
    assert second.waiting
    assert "Waiting" in second.words
    second.stop()
    second.wait(10)
    assert second.stopped
    first.stop()
    third.wait(10)
    assert third.result == "made"
    assert not turn.locked()


def test_work_ends_soon_after_its_tab_was_closed(monkeypatch):
    monkeypatch.setattr(tasks, "GRACE", 0.2)
    there = [True]
    monkeypatch.setattr(tasks, "_seen_by", lambda: lambda: there[0])
    task = Task(endless)
    time.sleep(0.4)
    assert task.running
    there[0] = False
    task.wait(5)
    assert task.stopped


def test_how_far_it_is_in_words():
    task = Task(count)
    task.wait(10)
    assert task.words == "Turning queries into vectors: 3 of 3"
    task.step, task.done, task.of = "read", 12_000, 0
    assert task.words == "Reading lines: 12,000"
