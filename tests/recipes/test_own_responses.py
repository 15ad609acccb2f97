from __future__ import annotations

import pytest

from recipes.embedded import data
from recipes.embedded.functions import tasks
from recipes.embedded.own_responses import JudgedQuery, judge, outcome
from zooter_core.base.records import Query

SUM = JudgedQuery(Query("1", "What is 2 + 3?", "problems"), ("2 + 3 = 5.\nThe answer is 5.",))
TASK = tasks(1, 0, False)[0]
CODE = JudgedQuery(Query("2", TASK.query, "functions"), (data.python_fence(TASK.solution),), TASK)
NOTE = JudgedQuery(Query("3", "Write a note to Ana.", "writing"), ("Dear Ana, thank you for the tea.",))


def response(text: str, finish: str = "stop") -> dict:
    return {"candidate": "math", "text": text, "finish": finish}


def test_what_can_be_verified():
    assert [outcome(SUM, text) for text in ("It is 5", "It is 6", "none")] == [True, False, False]
    assert [outcome(CODE, text) for text in (data.python_fence(TASK.solution), "prose")] == [True, False]
    assert outcome(NOTE, "Dear Ana") is None


def test_a_right_response_is_above_a_close_wrong_one(tiny_encoder):
    wrong, right = judge(SUM, [response("2 + 3 = 6.\nThe answer is 6."), response("five, that is 5")], tiny_encoder)
    assert (wrong.right, right.right) == (False, True)
    assert right.quality > wrong.quality


def test_a_response_that_ends_is_above_the_same_cut_off(tiny_encoder):
    complete, cut = judge(NOTE, [response("Dear Ana, thanks."), response("Dear Ana, thanks.", "length")], tiny_encoder)
    assert complete.quality == pytest.approx(cut.quality + 0.3, abs=1e-5)
