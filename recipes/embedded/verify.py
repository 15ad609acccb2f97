"""Checks of a response: its final number, whether its code parses, and whether it passes unit tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from recipes.embedded.functions import Task
from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.sandbox.runner import Limits, missing, run

SECONDS = 5  # time limit of one response's code
MEMORY = 1 << 29  # bytes
FENCE = re.compile(r"```[a-zA-Z+#]*\n(.*?)(?:```|\Z)", re.DOTALL)
ALLOWED = frozenset(
    ("math", "re", "string", "collections", "itertools", "functools", "random", "datetime", "typing", "statistics")
)
FORBIDDEN = {"open", "exec", "eval", "compile", "input", "breakpoint", "globals", "vars", "getattr", "setattr"}
SAME = """
def _same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a - b) <= 1e-6 * max(1, abs(b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and a == b
"""
CASES = """
for _arguments, _expected in {cases!r}:
    assert _same({name}(*_arguments), _expected)
"""


def final_number(text: str) -> str | None:
    """The last number of a response, without thousands separators and trailing zeros."""
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
    return None if not numbers else f"{float(numbers[-1].replace(',', '')):g}"


def code_in(text: str) -> str:
    """The code of a response: its first fence, or else the complete text."""
    fence = FENCE.search(text)
    return (fence.group(1) if fence else text).strip()


def parses(text: str) -> bool:
    """Whether a response contains Python that parses; prose does not count."""
    code = code_in(text)
    try:
        return bool(ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def harmless(code: str) -> bool:
    """Whether code does plain computation only. A model's code is untrusted."""
    for node in ast.walk(ast.parse(code)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        if any(name not in ALLOWED for name in names):
            return False
        if isinstance(node, ast.Name) and (node.id in FORBIDDEN or node.id.startswith("__")):
            return False
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            return False
    return True


def require_sandbox() -> None:
    """Check that the code of responses can run in a sandbox, which every recipe needs.

    Raises:
        ZooterError: this system has no sandbox; the message says why.
    """
    if reason := missing():
        raise ZooterError(
            "a sandbox for the code of responses", f"none: {reason}", "docs/bench.md lists its requirements."
        )


def passes(text: str, task: Task) -> bool:
    """Whether a response's function passes the task's cases, run in a sandbox.

    Raises:
        SandboxError: this system has no sandbox.
    """
    if not parses(text) or not harmless(code_in(text)):
        return False
    check = CASES.format(cases=task.cases, name=task.name)
    limits = Limits(seconds=SECONDS, memory=MEMORY)
    return run(code_in(text), check, task.name, setup=SAME, limits=limits).passed


def share(values: Sequence[bool]) -> float:
    """The share of true values, in [0, 1]."""
    return sum(values) / len(values) if values else 0.0
