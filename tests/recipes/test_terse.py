from __future__ import annotations

import random

import pytest

from recipes.embedded import terse
from recipes.embedded.own_responses import JudgedQuery
from recipes.embedded.terse import answers_to, misplaced, queries, queries_of_tests, resembles_a_test, telling
from zooter_core.base.records import Query

HAIKU = "Leaves sink in the pot\nYour letter about tea\nI read it once more"
TALK = "I like tea! Do you like tea?"


def rows(count: int) -> list[JudgedQuery]:
    return [JudgedQuery(Query(f"{n}", f"haiku tea {n}", "terse_pieces"), (HAIKU,)) for n in range(count)]


def test_no_training_request_resembles_a_query_of_the_tests():
    tests = queries_of_tests()
    assert len(tests) > 268
    requests = queries(1.0)
    assert {row.query.dataset for row in requests} == {"terse_pieces", "terse_questions"}
    assert len(requests) > 150
    assert not any(resembles_a_test(row.query.text, tests) for row in requests)


@pytest.mark.parametrize(
    ("query", "resembles"),
    [("haiku ocean", True), ("haiku about the ocean waves", True), ("haiku winter tea", False), ("the", False)],
)
def test_three_fifths_of_the_words(query, resembles):
    assert resembles_a_test(query, [telling("haiku ocean waves")]) == resembles


def test_a_piece_with_its_form_is_above_small_talk(tiny_encoder):
    responses = [{"candidate": name, "text": text, "finish": "stop"} for name, text in (("b", TALK), ("a", HAIKU))]
    best, worst = answers_to(rows(1)[0], responses, tiny_encoder)
    assert (best.text, worst.text) == (HAIKU, TALK)
    assert best.quality - worst.quality > terse.APART["terse_pieces"]


def test_out_of_place():
    pairs = misplaced(10, random.Random(0))
    assert len(pairs) == 20
    assert all(len(query.split()) <= 6 and chosen != rejected for query, chosen, rejected in pairs)
