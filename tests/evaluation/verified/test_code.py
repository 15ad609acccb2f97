"""Code that is judged by tests: programs, asserts in MBPP's form, and prompts. HumanEval's form: test_human_eval.py."""

from __future__ import annotations

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.sandbox import runner
from zooter_core.evaluation.sandbox.runner import SandboxError
from zooter_core.evaluation.verified import Verification, verify
from zooter_core.evaluation.verified.code import asserted

ADD = "def add(a, b):\n    return a + b"
PROMPT = 'import math\n\n\ndef add(a, b):\n    """Add."""\n'
ASSERTS = ["assert add(1, 2) == 3", "assert sorted([add(0, 1)]) == [1]"]


@pytest.mark.parametrize("tests", [ASSERTS, "\n".join(ASSERTS)])
def test_asserts(tests):
    assert verify(f"```python\n{ADD}\n```", {"tests": tests}) == Verification(True, "add passes its tests.")
    assert verify("add = lambda a, b: a + b", {"tests": tests}).right
    assert not verify("Use the plus sign.", {"tests": tests}).right


@pytest.mark.parametrize("prompt", ["import math\n", "def twice(x):\n    return 2 * x\n\n\ndef half(x):\n", None])
def test_a_program_with_a_prompt(prompt):
    code = "assert half(4) == 2"
    if prompt and "twice" in prompt:
        code += "\nassert twice(half(4)) == 4"
    key = {"tests": {"function": "half", "code": code, "prompt": prompt}}
    assert verify("def half(x):\n    return x / 2", key).right
    assert not verify("def half(x):\n    return x", key).right


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("assert add(1, 2) == 3", "add"),
        ("assert set(similar((3, 4), (4,))) == set([4])", "similar"),
        ("assert sorted(first(x)) == second(1)", "first"),
        ("import math\nassert math.isclose(half(2), one())", "half"),
    ],
)
def test_the_function_of_asserts(text, name):
    assert asserted(text)[0] == name


@pytest.mark.parametrize("text", ["", "assert", "print(1)", "assert 1 == len([])", "\ud800"])
def test_asserts_without_a_function(text):
    with pytest.raises(ZooterError, match="Correct the key"):
        asserted(text)


def test_without_a_sandbox(monkeypatch):
    monkeypatch.setattr(runner, "_unsupported", lambda: "none here")
    with pytest.raises(SandboxError, match="none here"):
        verify(ADD, {"tests": ASSERTS})


@pytest.mark.parametrize("text", ["\ud800 = 1", "\0", "(" * 10_000, "-" * 100_000 + "1", "```\n" * 10_000])
def test_wild_code_is_wrong(text):
    assert not verify(text, {"tests": ASSERTS}).right
