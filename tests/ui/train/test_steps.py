from __future__ import annotations

import pytest

from support.patience import PATIENCE
from zooter_core.base.errors import ZooterError
from zooter_core.ui.train.steps import Task


def count(task: Task[str]) -> str:
    for done in range(1, 4):
        task.report("embed", done, 3)
    return "result"


def fail(task: Task[None]) -> None:
    raise ZooterError("a", "b", "c")


def test_a_task_reports_its_progress_and_returns_its_result_or_fails() -> None:
    task = Task(count)
    task.wait(PATIENCE)
    assert (task.result, task.problem, task.stopped, task.running) == ("result", None, False, False)
    assert (task.step, task.done, task.total) == ("embed", 3, 3)
    failed = Task(fail)
    failed.wait(PATIENCE)
    assert (failed.problem, failed.result) == ("Expected a, but found b. c", None)


@pytest.mark.parametrize(
    ("step", "done", "total", "text"),
    [
        ("", 0, 0, "Starting"),
        ("embed", 3, 3, "Computing embeddings: 3 of 3"),
        ("compare", 15, 20, "Comparing kinds of router: 15 of 20"),
        ("read", 12_000, 0, "Reading lines: 12,000"),
    ],
)
def test_progress_in_words(step: str, done: int, total: int, text: str) -> None:
    task = Task(lambda task: task.report(step, done, total) if step else None)
    task.wait(PATIENCE)
    assert task.progress_text == text
