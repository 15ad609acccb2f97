from __future__ import annotations

import pytest

from zooter_core.errors import WorkError, ZooterError, around, did_you_mean


def test_message_says_expected_found_and_next():
    problem = ZooterError("a port", "a harbour", "Try 8501.")
    assert str(problem) == "Expected a port. Found a harbour. Try 8501."
    assert (problem.expected, problem.found, problem.next_step) == ("a port", "a harbour", "Try 8501.")


def test_exit_codes():
    assert ZooterError("a", "b", "c").exit_code == 2
    assert WorkError("a", "b", "c").exit_code == 1


def test_work_error_is_caught_as_a_zooter_error():
    with pytest.raises(ZooterError):
        raise WorkError("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "near"), [("temperatur", "temperature"), ("max_tokens", "max_token"), ("bsae", "base")]
)
def test_did_you_mean_names_the_nearest(name, near):
    assert did_you_mean(name, ["temperature", "max_token", "base"]) == f'Did you mean "{near}"?'


def test_did_you_mean_lists_what_is_known_when_nothing_is_near():
    assert did_you_mean("xyz", ["two", "one"]) == "Known: one, two."


def test_an_error_around_a_message_says_nothing_twice():
    whole = around("a response of one", "no room", "Mend it.")
    assert (str(whole), whole.exit_code) == ("Expected a response of one. Found no room. Mend it.", 1)
    again = around("a response of one", "Expected a prompt that fits. Found none. Shorten it.", "Mend it.")
    assert str(again) == "Expected a prompt that fits. Found none. Shorten it. Mend it."
    assert str(around("an answer", str(again))) == str(again)


def test_did_you_mean_takes_any_iterable():
    assert did_you_mean("on", iter({"one": 1, "two": 2})) == 'Did you mean "one"?'
