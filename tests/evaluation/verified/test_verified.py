"""Keys of several parts, and responses of any kind, which never raise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.evaluation.verified import Verification, answers, verify

KEYS = (
    {"answer": 18},
    {"answer": "Paris"},
    {"answer": [1, "two", "#"]},
    {"answer": {"choice": "B", "choices": ["one", "two"]}},
    {"answer": {"choice": "C"}},
    {"answer": {"regex": r"(a+)+b$"}},
    {"check": {"json_schema": {"type": "array", "uniqueItems": True, "items": {"pattern": "^a*$", "multipleOf": 0.1}}}},
    {"check": {"items": 2}},
    {"check": {"words": [1, None], "characters": [None, 9], "contains": "a", "lacks": ["b"]}},
    {"check": {"language": "en"}},
)
PIECES = (
    "answer is ", "####", "\\boxed{", "}", "- ", "1. ", "```\n", "[", "]", '"', "1e999", "-", "½", "٣", "\ud800",
    "\n",
)  # fmt: skip
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(PIECES) | ANY_TEXT, max_size=12).map("".join), st.sampled_from(KEYS))
def test_any_text_has_an_outcome(text, key):
    outcome = verify(text, key)
    assert isinstance(outcome.right, bool)
    assert outcome.reason.endswith(".")
    assert len(outcome.reason) < 700
    outcome.reason.encode()
    assert outcome.reason.isprintable()


@pytest.mark.parametrize("key", KEYS)
def test_huge_texts_have_an_outcome(key, monkeypatch):
    monkeypatch.setattr(answers, "REGEX_SECONDS", 0.1)
    for piece in ("a", "[", "answer is ", "####\n", "- "):
        assert isinstance(verify(piece * (50_000 // len(piece)), key).right, bool)


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_response_is_wrong(text):
    for key in (*KEYS, {"tests": "assert f() is None"}, {"check": {"words": 0}}):
        assert verify(text, key) == Verification(False, "The response is empty.")


def test_all_parts_of_a_key_must_hold():
    key = {"answer": 18, "check": {"words": [None, 4]}}
    assert verify("It is 18.", key) == Verification(True, "All 2 parts of the key hold.")
    assert verify("It is 17.", key) == Verification(False, "The final number is 17, not 18.")
    assert verify("I think it is 18.", key) == Verification(False, "The response has 5 words, not at most 4.")
    tested = {"answer": {"regex": "def"}, "tests": "assert f() == 1"}
    assert verify("def f():\n    return 1", tested).right
    assert verify("def f():\n    return 2", tested).reason == "f fails its tests: AssertionError: f() == 1."
