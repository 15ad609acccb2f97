from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.errors import (
    MOST_LISTED,
    MOST_NAMED,
    Failure,
    WorkError,
    ZooterError,
    did_you_mean,
    listed,
    shortened,
)


def test_message_says_expected_found_and_next():
    problem = ZooterError("a port", "a harbour", "Try 8501.")
    assert str(problem) == "Expected a port, but found a harbour. Try 8501."
    assert problem.failure == Failure("a port", "a harbour", "Try 8501.")
    assert problem.exit_code == 2


@pytest.mark.parametrize(
    ("name", "near"), [("temperatur", "temperature"), ("max_tokens", "max_token"), ("bsae", "base")]
)
def test_did_you_mean_names_the_nearest(name, near):
    assert did_you_mean(name, ["temperature", "max_token", "base"]) == f'Did you mean "{near}"?'


def test_did_you_mean_lists_what_is_known_when_nothing_is_near():
    assert did_you_mean("xyz", iter(["two", "one"])) == "Known: one, two."


def test_a_sentence_takes_the_place_of_the_default():
    problem = ZooterError(
        "beta = 0.3", "beta = 0.5", "Use the same.", sentence="The labels have beta = 0.3, but --beta is 0.5."
    )
    assert str(problem) == "The labels have beta = 0.3, but --beta is 0.5. Use the same."
    assert problem.failure.found == "beta = 0.5"


def test_a_failure_keeps_the_facts_of_an_error_and_the_words_of_any_other():
    problem = ZooterError("a port", "a\n harbour", "Try 8501.")
    assert Failure.of(problem) is problem.failure
    assert problem.failure.reason == "a harbour"
    assert str(Failure.of(RuntimeError("out of\norder"))) == Failure.of("out of").found == "out of"


def test_an_error_because_of_a_failure_says_nothing_twice():
    bare = WorkError.because(Failure.of("no room"), "a response of one", "Free some.")
    assert (str(bare), bare.exit_code) == ("Expected a response of one, but found no room. Free some.", 1)
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


@given(st.text(max_size=50), st.integers(1, 10_000), st.integers(0, 2))
def test_no_message_is_longer_than_can_be_read(text, times, part):
    parts = ["a", "b", "c"]
    parts[part] = text * times
    problem = ZooterError(*parts)
    assert len(str(problem)) <= 4000
    again = WorkError.because(problem.failure, "an answer", text * times)
    assert len(str(WorkError.because(again.failure, "another", "Try."))) <= 4000


@given(st.lists(st.text(max_size=200), max_size=300))
def test_every_list_is_bounded(names):
    assert len(listed(names)) <= MOST_LISTED + 30


def test_did_you_mean_of_huge_names_takes_no_time():
    assert did_you_mean("x" * 100_000, ["y" * 100_000, "one"]).startswith("Known: one, y")
    assert did_you_mean("on" + "x" * 100_000, ["one"]) == "Known: one."
