"""Whether a task's solution gives the results that its cases expect."""

from __future__ import annotations

import copy
import math
from typing import Any

from recipes.embedded.functions.spec import Task


def same(value: Any, expected: Any) -> bool:
    """Equal, with room for rounding in numbers and lists or dictionaries of them."""
    if isinstance(value, float) or isinstance(expected, float):
        if not isinstance(value, int | float) or not isinstance(expected, int | float):
            return False
        return math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(value, list | tuple) and type(value) is type(expected):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(same(value[key], expected[key]) for key in value)
    return bool(value == expected)


def check(task: Task) -> bool:
    """Whether the solution gives the expected result in every case."""
    space: dict[str, Any] = {}
    try:
        exec(task.solution, space)
        return all(same(space[task.name](*copy.deepcopy(args)), expected) for args, expected in task.cases)
    except Exception:
        return False
