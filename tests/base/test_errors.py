from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.errors import (
    MOST_NAMED,
    Failure,
    WorkError,
    ZooterError,
    did_you_mean,
    listed,
    shortened,
)


def test_a_message_says_what_was_expected_and_found_or_has_a_sentence_for_both_and_what_to_do_next():
    problem = ZooterError("a port", "a harbour", "Try 8501.")
    assert str(problem) == "Expected a port, but found a harbour. Try 8501."
    assert str(ZooterError("a port", "No route.", "Try 8501.")) == "Expected a port, but found No route. Try 8501."
    assert str(ZooterError("a port", "a harbour", "Try 8501.", sentence="This is a harbour.")) == (
        "This is a harbour. Try 8501."
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bsae", 'Did you mean "base"?'),
        ("xyz", "Known: base, one."),
        ("x" * 100_000, "Known: base, one."),
        ("on" + "x" * 100_000, "Known: base, one."),
    ],
    ids=["near", "none near", "huge", "huge, and begins like one"],
)
def test_did_you_mean_names_the_nearest_or_lists_what_is_known(name, hint):
    assert did_you_mean(name, iter(["one", "base"])) == hint


def test_a_failure_keeps_the_facts_of_an_error_and_the_words_of_any_other():
    problem = ZooterError("a port", "a\n harbour", "Try 8501.")
    assert Failure.of(problem) is problem.failure
    assert problem.failure.reason == "a harbour"
    assert str(Failure.of(RuntimeError("out of\norder"))) == Failure.of("out of").found == "out of"


def test_an_error_because_of_a_failure_says_nothing_twice():
    bare = WorkError.because(Failure.of("no room"), "a response of one", "Free some.")
    assert (str(bare), bare.exit_code) == ("Expected a response of one, but found no room. Free some.", 1)
    refused = ZooterError.saying("Nobody has allowed that.", "Allow it.").failure
    assert str(WorkError.because(refused, "an answer of one")) == "Nobody has allowed that. Allow it."
    too_long = ZooterError("a prompt that fits", "a long one", "Shorten it.").failure
    again = WorkError.because(too_long, "a response of one", "Then start again.")
    assert str(again) == "Expected a prompt that fits, but found a long one. Shorten it. Then start again."
    assert str(WorkError.because(again.failure, "an answer")) == str(again)


def test_a_list_that_fits_is_complete_and_a_long_one_says_how_many_more():
    assert listed(["one", "two"]) == "one, two"
    assert listed(iter(["one", "two"]), " or ") == "one or two"
    assert listed([]) == ""
    many = listed(f"model-{n}" for n in range(3000))
    assert many.startswith("model-0, model-1, ")
    assert many.endswith(f"and {3000 - many.count('model'):,} more")
    assert len(listed(["x" * 100_000])) <= MOST_NAMED
    assert shortened("/a/long/path/to/a/file.jsonl", 20) == "/a/long/pa ... jsonl"


@given(st.text(max_size=50), st.integers(1, 500), st.integers(0, 2))
def test_no_message_is_longer_than_can_be_read(text, times, part):
    parts = ["a", "b", "c"]
    parts[part] = text * times
    problem = ZooterError(*parts)
    assert len(str(problem)) <= 4000
    again = WorkError.because(problem.failure, "an answer", text * times)
    assert len(str(WorkError.because(again.failure, "another", "Try."))) <= 4000
