"""Files of suites: those of releases, and a wrong one, which is named with line and field, whatever the suite."""

from __future__ import annotations

import gzip
import json

import pytest

from support.command_files import write_lines
from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.suites import suite
from zooter_core.evaluation.suites.keyed import Gsm8k, Mmlu

GSM8K = {"question": "q", "answer": "#### 1"}
HUMAN_EVAL = {"task_id": "T/0", "prompt": "def add(a, b):\n", "entry_point": "add", "test": "def check(f):\n    pass\n"}
ALPACA = {"instruction": "Name a fruit.", "output": "A plum.", "generator": "g", "dataset": "helpful_base"}
FLASK = {"question_id": 7, "text": "Why?", "answer": "So.", "metrics": ["Readability"]}
MT = {"question_id": 81, "category": "math", "turns": ["What is 2 + 3?", "Double it."], "reference": ["5", "10"]}
MMLU = {"question": "q", "choices": ["1", "2", "3", "4"], "answer": "A"}


@pytest.mark.parametrize(
    ("name", "line", "change", "message"),
    [
        ("gsm8k", GSM8K, {"answer": "no number"}, '"answer" as a solution that ends in "#### NUMBER" in'),
        ("gsm8k", GSM8K, {"question": 3}, '"question" or "query" as a text that is not empty in'),
        ("human-eval", HUMAN_EVAL, {"test": "assert add(1, 1) == 2"}, '"test" as Python with a function check'),
        ("human-eval", HUMAN_EVAL, {"entry_point": "add; import os"}, '"entry_point" as the name of a function'),
        ("flask", FLASK, {"metrics": []}, '"metrics" or "skill" as a list of texts'),
        ("mt-bench", MT, {"turns": ["a"] * 5}, '"turns" as at most 4 texts'),
        ("mt-bench", MT, {"reference": "5"}, '"reference" as a list of texts'),
    ],
)
def test_a_wrong_line_is_named_with_its_file_and_field(tmp_path, name, line, change, message):
    path = write_lines(tmp_path / "x.jsonl", [line, {**line, "id": "other", **change}])
    with pytest.raises(ZooterError) as caught:
        suite(name).read([path])
    assert message in str(caught.value)
    assert f"{path}, line 2" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ZooterError, match="no file at"):
        suite("mmlu").read([tmp_path / "no.jsonl"])


def test_files_together_have_different_ids(tmp_path):
    one, two = (write_lines(tmp_path / name, [GSM8K | {"id": "a"}]) for name in ("one.jsonl", "two.jsonl"))
    with pytest.raises(ZooterError, match=r'"a" in .*one.jsonl, line 1 and in .*two.jsonl, line 1'):
        suite("gsm8k").read([one, two])
    two.write_text("")
    assert len(suite("gsm8k").read([one, two])) == 1
    with pytest.raises(ZooterError, match="at least one record"):
        suite("gsm8k").read([two])


def test_an_array_of_the_release_is_read_too(tmp_path):
    path = tmp_path / "alpaca_eval.json"
    path.write_text(json.dumps([ALPACA, ALPACA], indent=1))
    assert [problem.id for problem in suite("alpaca-eval").read([path])] == ["alpaca_eval/00001", "alpaca_eval/00002"]


def test_gsm8k_is_read_and_scored(tmp_path):
    lines = [
        {"question": "What is 2 + 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
        {"id": "own", "query": "And 500 + 700?", "answer": "#### 1,200"},
    ]
    path = tmp_path / "test.jsonl.gz"
    with gzip.open(path, "wt") as out:
        out.write("".join(json.dumps(line) + "\n" for line in lines))
    suite = Gsm8k()
    first, second = suite.read([path])
    assert (first.id, first.turns, first.key) == ("test/00001", ("What is 2 + 3?",), {"answer": {"number": "5"}})
    assert (second.id, second.key) == ("own", {"answer": {"number": "1200"}})
    answered = [(first, ("It is 5.",)), (first, ("6",)), (first, ("",)), (second, ("$1200.00",))]
    assert suite.score(answered) == [1, 0, 0, 1]


def test_mmlu_is_read_and_scored(tmp_path):
    lines = [MMLU | {"question": " What is it?\n", "answer": 2, "subject": "high_school_physics"}, MMLU]
    first, second = Mmlu().read([write_lines(tmp_path / "test.jsonl", lines)])
    assert first.turns == ("What is it?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer with the letter of the right choice.",)
    assert (first.id, first.tags, second.tags) == ("test/00001", ("high school physics",), ("mmlu",))
    assert Mmlu().score([(first, ("C",)), (first, ("4",)), (second, ("The answer is A",))]) == [1, 0, 1]


@pytest.mark.parametrize(
    ("answer", "right"), [(2, "C"), ("C", "C"), ("c", "C"), (0, "A"), (4, None), ("E", None), (True, None), (-1, None)]
)
def test_mmlu_in_json_lines_with_the_answer_as_number_or_letter(tmp_path, answer, right):
    path = write_lines(tmp_path / "x.jsonl", [MMLU | {"answer": answer}])
    if right is None:
        with pytest.raises(ZooterError, match=r'"answer" as a letter from A to D, or a number from 0 to 3 in .*line 1'):
            Mmlu().read([path])
    else:
        assert Mmlu().read([path])[0].key == {"answer": {"choice": right, "choices": ["1", "2", "3", "4"]}}
