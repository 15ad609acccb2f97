"""Answer keys: every form that a line may have, and one clear error for any other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.base.errors import ZooterError
from zooter_core.data.answer_keys import read_key
from zooter_core.data.scores import read_queries, score_line

PROSE = "Put the egg into boiling water for seven minutes. Then cool it down under cold water, and peel it."
GOOD = [
    ({"answer": 18}, {"answer": {"number": "18"}}),
    ({"answer": "Paris"}, {"answer": {"text": "Paris"}}),
    ({"answer": ["Paris", "Paris, France"]}, {"answer": {"text": ["Paris", "Paris, France"]}}),
    ({"answer": "3 + 4 = <<3+4=7>>7\n#### 7"}, {"answer": {"text": "7"}}),  # as the release of GSM8K has it
    ({"answer": "B", "choices": ["x", "y"]}, {"answer": {"choice": "B", "choices": ["x", "y"]}}),
    ({"answer": "y", "choices": ["x", "y"]}, {"answer": {"choice": "B", "choices": ["x", "y"]}}),
    ({"answer": {"regex": "[0-9]+"}}, {"answer": {"regex": "[0-9]+"}}),
    ({"tests": ["assert add(1, 2) == 3"]}, {"tests": ["assert add(1, 2) == 3"]}),
    ({"tests": {"function": "f", "code": "assert f()"}}, {"tests": {"function": "f", "code": "assert f()"}}),
    ({"check": {"words": [5, None], "items": 3}}, {"check": {"words": [5, None], "items": 3}}),
    ({"answer": None, "check": None}, None),
    ({"answer": PROSE}, None),  # the answer in a log, which no response repeats
    ({"answer": {"text": PROSE}}, {"answer": {"text": PROSE}}),
]


@pytest.mark.parametrize(("record", "key"), GOOD)
def test_a_key_has_one_form_and_is_read_back_as_it_is(record, key):
    assert read_key("line 1", record) == key
    assert read_key("line 1", key or {}) == key


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"answer": True}, "answer"), ({"answer": 10**400}, "answer"),
        ({"answer": 2, "choices": ["x", "y"]}, "answer"), ({"answer": "z", "choices": ["x", "y"]}, "answer"),
        ({"answer": []}, "answer"), ({"answer": {"number": "many"}}, "answer.number"),
        ({"answer": {"regex": "(", "text": "x"}}, "answer"), ({"answer": {"regex": "("}}, "answer.regex"),
        ({"answer": {"choice": "C", "choices": ["x", "y"]}}, "choices"), ({"tests": {"function": "f"}}, "tests"),
        ({"tests": {"function": "no name", "code": ""}}, "tests.function"), ({"check": {"colour": "red"}}, "check"),
        ({"check": {"words": [9, 2]}}, "check.words"), ({"check": {"words": [None, None]}}, "check.words"),
        ({"check": {"language": "German"}}, "check.language"),
    ],
)  # fmt: skip
def test_another_form_is_refused_by_name(record, field):
    with pytest.raises(ZooterError, match=rf'"{field}" as .* in q.jsonl, line 3'):
        read_key("q.jsonl, line 3", record)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
NAMES = st.sampled_from(["number", "text", "regex", "choice", "choices", "words", "json_schema", "function", "code"])


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["answer", "tests", "check"]), JSON | st.dictionaries(NAMES, JSON, max_size=3)))
def test_any_json_is_a_key_or_one_error(record):
    try:
        key = read_key("line 1", record)
    except ZooterError:
        return
    assert read_key("line 1", key or {}) == key


def test_a_queries_file_keeps_its_keys(tmp_path):
    line = {"id": "1", "query": "What is 9 + 9?", "answer": 18, "check": {"words": [1, 20]}}
    (tmp_path / "queries.jsonl").write_text(json.dumps(line) + "\n")
    (query,) = read_queries(tmp_path / "queries.jsonl")
    assert query.key == {"answer": {"number": "18"}, "check": {"words": [1, 20]}}
    assert read_key("again", score_line(query, {"a": 1.0})) == query.key
