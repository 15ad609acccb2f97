from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from support.command_files import write_lines
from zooter_core.evaluation.suites.keyed import HumanEval

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "human_eval.jsonl.gz"
HEAD = "from typing import List\n\n\ndef helper(x):\n    return x + 1\n\n\n"
PROMPT = HEAD + 'def add(a: int, b: int) -> int:\n    """Add."""\n'
TEST = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n"
LINE = {
    "task_id": "T/0",
    "prompt": PROMPT,
    "entry_point": "add",
    "test": TEST,
    "canonical_solution": "    return a + b\n",
}


@pytest.fixture
def problem(tmp_path):
    (only_problem,) = HumanEval().read([write_lines(tmp_path / "x.jsonl", [LINE])])
    return only_problem


RIGHT = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        f"Sure!\n\n```python\n{RIGHT}\n```\nIt adds.",
        f"Here it is:\n\n{RIGHT}\n\nThis function adds two numbers.",
        "    return a + b\n\nprint(add(1, 2))",
        "\n    c = a\n\n    return c + b\n\n\ndef other():\n    while True: pass",
        "```python\nimport math\n```\nand then\n```python\n" + RIGHT + "\n```",
        "```python\ndef add(a: List[int], b):\n    return helper(a) + b - 1\n```",
        "```python\n    return a + b\n```",
    ],
)
def test_a_right_function_passes_however_it_is_written(problem, text):
    assert HumanEval().score([(problem, (text,))]) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "def add(a, b):\n    return a - b", "def add(a, b:\n    return a + b", "    return a - b",
        "Use the plus sign.", "```python\n```", "def add(a, b):\n    raise SystemExit(0)",
    ],
)  # fmt: skip
def test_a_wrong_function_fails(problem, text):
    assert HumanEval().score([(problem, (text,))]) == [0]


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_reference_solutions_of_the_release_pass_and_empty_ones_do_not():
    """Every tenth problem, and those whose tests use more than the function. The benchmark script runs all."""
    with gzip.open(SHARED, "rt", encoding="utf-8") as lines:
        solutions = {line["id"]: line["canonical_solution"] for line in map(json.loads, lines)}
    problems = HumanEval().read([SHARED])
    assert len(problems) == len(solutions) > 100
    more = ("make_palindrome", "find_zero", "sort_third", "decode_cyclic", "decode_shift", "string_to_md5")
    picked = [p for n, p in enumerate(problems) if n % 10 == 0 or p.key["tests"]["function"] in more]
    right = HumanEval().score([(problem, (solutions[problem.id],)) for problem in picked])
    assert {p.key["tests"]["function"]: score for p, score in zip(picked, right, strict=True) if score != 1} == {}
    assert set(HumanEval().score([(problem, ("",)) for problem in picked])) == {0}


def test_the_tests_use_the_prompt_s_own_helpers(tmp_path):
    """A response that defines a helper anew agrees with itself, and not with the tests."""
    test = "def check(candidate):\n    assert candidate(1, 2) == helper(2) == add(1, 2)\n"
    (problem,) = HumanEval().read([write_lines(tmp_path / "x.jsonl", [{**LINE, "test": test}])])
    agreeing = "def helper(x):\n    return 4\n\ndef add(a, b):\n    return 4"
    assert HumanEval().score([(problem, (RIGHT,)), (problem, (agreeing,))]) == [1, 0]
