"""Terse requests: the form that a response to one has, and the pairs that teach it."""

from __future__ import annotations

import pytest

from recipes.embedded import terse
from recipes.embedded.apart import queries_of_tests, resembles_a_test
from recipes.embedded.form import form
from recipes.embedded.own_responses import JudgedQuery
from recipes.embedded.terse import answers_to, queries
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


def test_a_piece_with_its_form_is_above_small_talk(tiny_encoder):
    responses = [{"candidate": name, "text": text, "finish": "stop"} for name, text in (("b", TALK), ("a", HAIKU))]
    best, worst = answers_to(rows(1)[0], responses, tiny_encoder)
    assert (best.text, worst.text) == (HAIKU, TALK)
    assert best.quality - worst.quality > terse.APART["terse_pieces"]


STORY = "Ana made tea for two. Nobody came. She drank both cups in the garden, and a sparrow had the last of the cake."
MAIL = "Dear Ruth,\n\nThe choir rehearsal on Monday is cancelled.\n\nBest wishes,\nTom"


@pytest.mark.parametrize(
    ("query", "better", "worse"),
    [
        ("haiku tea", HAIKU, HAIKU.replace("\n", " ")),
        ("haiku tea", HAIKU, f"{HAIKU}\nAnd once more"),
        ("email choir rehearsal cancelled", MAIL, "I'm sorry that the choir rehearsal was cancelled."),
        ("email choir rehearsal cancelled", MAIL, MAIL.replace("choir rehearsal", "dog")),
        ("poem tea", f"{HAIKU}\nIt is tea", "Do you like tea? I hope you like it\nvery\nmuch?"),
        ("story tea", STORY, "Tea. Ana."),
    ],
)
def test_a_response_with_the_form_is_above_one_without(query, better, worse):
    assert form(query, better) > form(query, worse)
    assert form(query, better) >= 0.8
