"""Whether a task's solution gives the results that its cases expect."""

from __future__ import annotations

import copy
import math
from typing import Any

from recipes.embedded.functions.spec import Task


def same(got: Any, expected: Any) -> bool:
    """Equal, with room for rounding in numbers and lists or dictionaries of them."""
    if isinstance(got, float) or isinstance(expected, float):
        if not isinstance(got, int | float) or not isinstance(expected, int | float):
            return False
        return math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(got, list | tuple) and type(got) is type(expected):
        return len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(same(got[key], expected[key]) for key in got)
    return bool(got == expected)


def check(task: Task) -> bool:
    """Whether the solution gives the expected result in every case."""
    space: dict[str, Any] = {}
    try:
        exec(task.solution, space)
        return all(same(space[task.name](*copy.deepcopy(args)), expected) for args, expected in task.cases)
    except Exception:
        return False
