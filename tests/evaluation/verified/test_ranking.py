"""What outcomes do to a ranking, and how a reward model agrees with them."""

from __future__ import annotations

import pytest

from zooter_core.base.errors import Failure
from zooter_core.base.records import Ranked, Response
from zooter_core.data.evident_keys import key_in
from zooter_core.evaluation.verified import verified_ranking

KEY = {"answer": {"number": "18"}}


def test_right_responses_lead_in_the_order_of_their_rewards():
    ranked = [
        Ranked(Response("a", "17"), 3.0, 1),
        Ranked(Response("b", "It is 18."), 2.0, 2),
        Ranked(Response("c", "18"), 2.0, 2),
        Ranked(Response("d", "18", error=Failure.of("cut off"))),
    ]
    result = verified_ranking(ranked, KEY)
    assert [(item.response.candidate, item.rank, item.right) for item in result] == [
        ("b", 1, True), ("c", 1, True), ("a", 3, False), ("d", None, None)
    ]  # fmt: skip
    assert result[2].reason == "The final number is 17, not 18."
    assert result[0].to_json()["right"] is True
    assert "right" not in result[3].to_json()


def test_a_form_alone_makes_no_response_right_and_one_without_it_loses_2_of_its_reward():
    ranked = [
        Ranked(Response("a", "Rain on the hill,"), 0.9, 1),
        Ranked(Response("b", "Rain on the hill,\nthe reeds bow down,\nthe wind is still."), 0.5, 2),
        Ranked(Response("c", "Rain falls.\nIt is wet."), -1.0, 3),
        Ranked(Response("d", "1000 / 10 = 100.\nSo it is.\nThe answer is 100."), -7.0, 4),
    ]
    key = key_in("Write a haiku about rain")
    assert key is not None
    result = verified_ranking(ranked, key)
    assert [(item.response.candidate, item.rank, item.right) for item in result] == [
        ("b", 1, None), ("a", 2, False), ("c", 3, False), ("d", 4, None)
    ]  # fmt: skip
    assert result[1].reason == "The response has 1 line, not 3."
    assert result[0].reason == "The response has 3 lines."
    assert [item.outcome for item in result] == ["", "wrong form: 1 line, 3 asked", "wrong form: 2 lines, 3 asked", ""]


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("Give me five bullet points on tea", "wrong form: 0 list items, 5 asked"),
        ("Describe tea in at least 50 words", "wrong form: 3 words, at least 50 asked"),
        ("Return the list of teas as JSON", "wrong form: no JSON"),
        ("What is 12 + 30?", "wrong"),
    ],
)
def test_a_wrong_form_is_said_in_a_few_words(query, outcome):
    key = key_in(query)
    assert key is not None
    (item,) = verified_ranking([Ranked(Response("a", "Tea is hot."), 1.0, 1)], key)
    assert item.outcome == outcome
