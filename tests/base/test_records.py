from __future__ import annotations

import dataclasses

import pytest

from zooter_core.base.errors import Failure
from zooter_core.base.records import Decision, Ranked, Response, Tag

RESPONSE = Response("base", "Hello", tokens=11, seconds=2.0, first_token_seconds=1.0)


def test_speed_counts_the_tokens_after_the_first():
    """10 tokens in the second after the first one came."""
    assert RESPONSE.tokens_per_second == 10.0
    for change in ({"tokens": 1}, {"first_token_seconds": None}, {"first_token_seconds": 2.0}):
        assert dataclasses.replace(RESPONSE, **change).tokens_per_second is None


def test_ranked_responses_as_json():
    shape = Ranked(dataclasses.replace(RESPONSE, seconds=1.23456), 0.5, 1).to_json()
    figures = {"reward": 0.5, "rank": 1, "seconds": 1.235, "tokens": 11, "error": None}
    assert shape == {"candidate": "base", "text": "Hello"} | figures
    shape = Ranked(Response("base", "", finish="error", error=Failure.of("no such folder"))).to_json()
    assert (shape["reward"], shape["rank"], shape["error"]) == (None, None, "no such folder")


def test_decision_as_json():
    decision = Decision.of("2 + 2?", {"b": 0.29999989, "a": 0.70000011}, (Tag("arithmetic", 0.912345),))
    shape = decision.to_json()
    tags = [{"name": "arithmetic", "score": 0.9123}]
    choice = {"candidate": "a", "margin": 0.4, "certainty": "leaning"}
    assert shape == {"query": "2 + 2?", "probabilities": {"b": 0.3, "a": 0.7}, "tags": tags} | choice
    assert list(shape["probabilities"]) == ["b", "a"]  # the pool's order


def test_decision_by_utilities():
    decision = Decision.of("q", {"a": 0.7, "b": 0.3}, (), {"a": -0.3, "b": 0.2})
    assert (decision.candidate, decision.margin) == ("b", 0.5)
    assert decision.to_json()["probabilities"] == {"a": 0.7, "b": 0.3}
    assert decision.to_json()["utilities"] == {"a": -0.3, "b": 0.2}


@pytest.mark.parametrize(
    ("probability", "word"), [(0.746, "sure"), (0.744, "leaning"), (0.506, "leaning"), (0.504, "undecided")]
)
def test_certainty_is_the_chosen_probability_in_a_word(probability, word):
    rest = (1 - probability) / 3
    assert Decision.of("q", {"a": rest, "b": probability, "c": rest, "d": rest}).certainty == word


@pytest.mark.parametrize(
    ("probabilities", "utilities", "rivals"),
    [
        ({"a": 0.33, "b": 0.45, "c": 0.22}, None, ("b", "a")),
        ({"a": 0.49, "b": 0.2, "c": 0.31}, None, ("a", "c")),  # nobody else is close: the next one
        ({"a": 0.3, "b": 0.26, "c": 0.22, "d": 0.22}, None, ("a", "b", "c")),
        ({"a": 0.504, "b": 0.496}, None, ("a", "b")),
        ({"a": 0.51, "b": 0.49}, None, ()),
        ({"a": 1.0}, None, ()),
        ({"a": 0.33, "b": 0.45, "c": 0.22}, {"a": 0.3, "b": 0.1, "c": 0.0}, ()),  # prices decide
        ({"a": 0.33, "b": 0.45, "c": 0.22}, {"a": 0.23, "b": 0.45, "c": 0.22}, ("b", "a")),  # prices change nothing
    ],
)
def test_an_undecided_router_has_two_or_three_rivals(probabilities, utilities, rivals):
    assert Decision.of("q", probabilities, (), utilities).rivals == rivals
