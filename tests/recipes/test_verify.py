from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipes.embedded import verify
from recipes.embedded.functions import Task

TASK = Task(
    "Write add(a, b).", "def add(a, b):\n    return a + b", "add", (((1, 2), 3), ((0.1, 0.2), 0.3)), "add", ("add",)
)


def fence(code: str) -> str:
    return f"Sure:\n```python\n{code}\n```\nThat is all."


@pytest.mark.parametrize("text", [TASK.solution, fence(TASK.solution), "```python\n" + TASK.solution])
def test_a_right_function_passes(text):
    assert verify.passes(text, TASK)


@pytest.mark.parametrize(
    "code",
    [
        "def add(a, b):\n    return a - b",
        "def plus(a, b):\n    return a + b",
        "def add(a, b):\n    return str(a + b)",
        "def add(a, b:\n    return a + b",
        "To add two numbers, use plus.",
        "",
        "def add(a, b):\n    raise ValueError",
    ],
)
def test_a_wrong_function_fails(code):
    assert not verify.passes(fence(code), TASK)


@pytest.mark.parametrize(
    "code",
    [
        "import os\ndef add(a, b):\n    return a + b",
        "from subprocess import run\ndef add(a, b):\n    return a + b",
        "def add(a, b):\n    open('x', 'w')\n    return a + b",
        "def add(a, b):\n    return eval('a + b')",
        "def add(a, b):\n    return ().__class__ and a + b",
        "def add(a, b):\n    return __import__('os') and a + b",
    ],
)
def test_code_that_reaches_outside_is_not_run(code):
    assert not verify.harmless(code)
    assert not verify.passes(fence(code), TASK)


def test_code_that_never_ends_or_eats_memory_is_ended(monkeypatch):
    monkeypatch.setattr(verify, "SECONDS", 1)
    start = time.monotonic()
    assert not verify.passes(fence("def add(a, b):\n    while True:\n        pass"), TASK)
    assert not verify.passes(fence("def add(a, b):\n    return len([0] * 10**10)"), TASK)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("text", "number"),
    [("The answer is 12.", "12"), ("1,250 dollars", "1250"), ("it is 3.50", "3.5"), ("-4", "-4"), ("none", None)],
)
def test_the_final_number(text, number):
    assert verify.final_number(text) == number


def test_the_code_of_a_response():
    assert verify.code_in("a\n```js\nlet a;\n```\n```python\nb\n```") == "let a;"
    assert verify.code_in("print(1)") == "print(1)"
    assert [verify.parses(text) for text in (fence("x = 1"), "This is prose.", "")] == [True, False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_without_a_sandbox_no_recipe_begins():
    """Where the system allows no further user namespaces."""
    verify.require_sandbox()
    forbidding = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    program = "from recipes.embedded import verify; verify.require_sandbox()"
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", forbidding, "-", sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert "ZooterError: Expected a sandbox for the code of responses, but found none: bwrap: " in ended.stderr
