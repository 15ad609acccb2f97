from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.records import Query
from zooter_core.data.curate.texts import EXAMPLES, Benchmarks, digest, grams, key, normalise

EIGHT = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the sea?", "what is THE sea"),
        ("  What\tis\n the sea", "What is the sea ?!"),
        ("Don't e-mail me", "dont email me"),
        ("Straße", "STRASSE"),
        ("12 * 3", "12 × 3"),
        ("我们去海边吧。", "我们 去海边吧"),
        ("caf\u00e9", "cafe\u0301"),
        ("zero\u200bwidth", "zerowidth"),
        ("a b", "ab"),
    ],
)
def test_case_punctuation_and_spaces_do_not_count(one, other):
    assert key(normalise(one)) == key(normalise(other))
    assert digest(normalise(one)) == digest(normalise(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 12 + 30?", "What is 12 - 30?"),
        ("What is 12 - 30?", "What is 12 * 30?"),
        ("What is 12 / 30?", "What is 12 30?"),
        ("1.5 apples", "15 apples"),
        ("1 23", "12 3"),
        ("x + y", "x = y"),
        ("की", "का"),
        ("☕", "🍵"),
    ],
)
def test_what_makes_another_query_counts(one, other):
    assert key(normalise(one)) != key(normalise(other))


def test_words_of_a_normalised_text():
    assert normalise("Hello, World! 2+2 = 4?") == "hello world 2 + 2 = 4"
    assert normalise("我们 play") == "我 们 play"


@pytest.mark.parametrize("text", ["", " ", "?!…", "- -", "\u200b", "。"])
def test_nothing_but_punctuation_is_empty(text):
    assert normalise(text) == ""


@given(st.text())
def test_a_normalised_text_is_words_and_single_spaces(text):
    normal = normalise(text)
    assert normal == " ".join(normal.split())
    assert " " not in key(normal)


def test_runs_of_n_words():
    assert list(grams("a b c d", 3)) == ["a b c", "b c d"]
    assert list(grams("a b c", 3)) == ["a b c"]
    assert list(grams("a b", 3)) == ["ab"]
    assert list(grams("a b", 1)) == ["a", "b"]


def test_overlap_of_n_words_in_a_row_and_of_shorter_texts_as_a_whole():
    benchmarks = Benchmarks({"b": [f"Zero, {EIGHT.title()}!", "Short one?"]}, 8)
    assert benchmarks.overlap(normalise(f"and {EIGHT} and")) == "b"
    assert benchmarks.overlap(normalise(EIGHT)) == "b"
    assert benchmarks.overlap(normalise(EIGHT.replace("four", "4"))) is None  # seven in a row, at most
    assert benchmarks.overlap(normalise("two three four")) is None  # a short text only as a whole
    assert benchmarks.overlap(normalise("SHORT ONE")) == "b"
    assert benchmarks.overlap(normalise("a short one")) is None
    assert Benchmarks({"b": ["sea shell", "???"]}, 1).overlap("the sea") == "b"
    assert Benchmarks({}, 8).overlap(EIGHT) is None


def test_a_query_counts_at_the_first_file_that_it_overlaps():
    benchmarks = Benchmarks({"one": ["x", EIGHT], "two": ["y", f"{EIGHT} nine"]}, 8)
    shared_text = normalise(f"{EIGHT} nine")
    texts = (shared_text, "y", "x", "z")
    assert [benchmarks.exclude(text, Query(text, text)) for text in texts] == [True, True, True, False]
    assert benchmarks.count == {"one": 2, "two": 1}
    assert benchmarks.examples == {"one": [shared_text, "x"], "two": ["y"]}
    for number in range(EXAMPLES):
        benchmarks.exclude("y", Query(str(number), "y"))
    assert (benchmarks.count["two"], benchmarks.examples["two"]) == (EXAMPLES + 1, ["y", "0", "1", "2", "3"])


def test_benchmarks_are_queries_files_or_score_files(tmp_path):
    scores, text = tmp_path / "scores.jsonl", tmp_path / "b.txt"
    scores.write_text(json.dumps({"query": "What is it?", "scores": {"a": 1}}) + "\n")
    text.write_text("Who is it?\n")
    benchmarks = Benchmarks.read([scores, text], 8)
    assert benchmarks.overlap("what is it") == str(scores)
    assert benchmarks.overlap("who is it") == str(text)
