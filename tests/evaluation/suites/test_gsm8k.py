from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.evaluation.suites.gsm8k import Gsm8k, final_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("#### 18", "18"),
        ("3 + 4 = 7\n#### 7\nSo that was 2 steps.", "7"),
        ("It costs $1,234.50", "1234.5"),
        ("The answer is 18.", "18"),
        ("The answer is 18 dollars, for 3 days.", "18"),
        ("the final answer: **$18**", "18"),
        ("The answer is 3 + 4 = 7 apples.", "7"),
        ("The answer is x = -5.", "-5"),
        ("The answer is -$5", "-5"),
        ("The answer is 5.\nWait: the answer is 6.", "6"),
        (r"Thus \boxed{42}, in 3 steps.", "42"),
        ("First 12, then 10-5", "5"),
        ("It fell to −4", "-4"),
        ("- 18", "18"),
        ("(-3)", "-3"),
        ("a range of 3 -5", "5"),
        ("step-2", "2"),
        ("1,2,3", "3"),
        ("12,345,678 people", "12345678"),
        (".5 of it", "0.5"),
        ("She has 18.00 left", "18"),
        ("18%", "18"),
        ("The answer is not clear. There are 9.", "9"),
        ("The answer is:\n\n18", "18"),
        ("None at all.", None),
        ("", None),
    ],
)
def test_the_final_number(text, number):
    assert final_number(text) == (None if number is None else Decimal(number))


NUMBERS = st.decimals(-(10**9), 10**9, allow_nan=False, places=2) | st.integers(-(10**12), 10**12).map(Decimal)
WAYS = (
    "#### {}",
    "The answer is {}.",
    "So that makes {}",
    "Answer: {} dollars",
    "**{}**",
    "12 - 5 = {}",
    "\\boxed{{{}}}",
)


@given(NUMBERS, st.sampled_from(WAYS), st.booleans(), st.text(alphabet="abc \n.,;:!?()", max_size=30))
def test_a_number_is_read_however_it_is_said(number, way, separated, before):
    written = f"{number:,}" if separated else f"{number:f}"
    assert final_number(f"{before}\n{way.format(written)}") == number


@given(st.text(max_size=200))
def test_any_text_has_a_finite_number_or_none(text):
    problems = final_number(text)
    assert problems is None or problems.is_finite()


def test_the_release_is_read_and_scored(tmp_path):
    lines = [
        {"question": "What is 2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
        {"id": "own", "query": "And 500 + 700?", "answer": "#### 1,200"},
    ]
    path = tmp_path / "test.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.write("".join(json.dumps(line) + "\n" for line in lines))
    suite = Gsm8k()
    first, second = suite.read([path])
    assert (first.id, first.turns, first.key) == ("test/00001", ("What is 2 + 3?",), "5")
    assert (second.id, second.key) == ("own", "1200")
    answered = [(first, ("It is 5.",)), (first, ("6",)), (first, ("",)), (second, ("$1200.00",))]
    assert suite.score(answered) == [1, 0, 0, 1]
