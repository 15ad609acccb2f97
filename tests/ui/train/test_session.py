from __future__ import annotations

import pytest

from support.patience import PATIENCE
from zooter_core.ui.train.session import Task


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
