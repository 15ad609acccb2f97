from __future__ import annotations

import pytest

from recipes.embedded import checks
from recipes.embedded.functions import Task
from zooter_core.evaluation.verified import verify

TASK = Task(
    "Write add(a, b).", "def add(a, b):\n    return a + b", "add", (((1, 2), 3), ((0.1, 0.2), 0.3)), "add", ("add",)
)


def fence(code: str) -> str:
    return f"Sure:\n```python\n{code}\n```\nThat is all."


@pytest.mark.parametrize(
    ("code", "right"),
    [
        (TASK.solution, True),
        ("def add(a, b):\n    return a - b", False),
        ("def add(a, b):\n    return str(a + b)", False),
        ("def plus(a, b):\n    return a + b", False),
    ],
)
def test_the_key_of_a_task(code, right):
    assert verify(fence(code), TASK.key).right == right


@pytest.mark.parametrize(
    ("solution", "number"),
    [("2 + 3 = 5.\nThe answer is 5.", "5"), ("It is $1,250.\nThe answer is 1,250.", "1250"), ("It is 3.50", "3.50")],
)
def test_the_key_of_a_worked_solution(solution, number):
    assert checks.number_key(solution) == {"answer": {"number": number}}
