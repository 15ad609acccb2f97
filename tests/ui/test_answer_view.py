from __future__ import annotations

from dataclasses import replace

from zooter_core.base.records import Response
from zooter_core.ui import answer_view


def test_the_figures_of_one_of_several_do_not_speak_of_its_speed() -> None:
    response = Response("one", "Hello there", tokens=11, seconds=3.0, first_token_seconds=2.0)
    assert answer_view.facts(response) == "first word 2.0 s · 10 tokens/s · 11 tokens in 3.0 s"
    assert answer_view.facts(response, alone=False) == "11 tokens in 3.0 s, beside the others"
    assert answer_view.facts(None) == ""
    assert answer_view.facts(replace(response, seconds=0.024), alone=False) == "11 tokens in 24 ms, beside the others"
    assert answer_view.facts(replace(response, seconds=0.0), alone=False) == "11 tokens, beside the others"


def test_no_speed_is_better_than_none_a_second() -> None:
    response = Response("one", "Hello there", tokens=2, seconds=5.0, first_token_seconds=1.0)
    assert answer_view.facts(response) == "first word 1.0 s · 2 tokens in 5.0 s"
    assert answer_view.speeds(response, "first word after") == ["first word after 1.0 s"]
    assert answer_view.speeds(replace(response, first_token_seconds=0.042)) == ["first word 42 ms"]
    assert answer_view.speeds(replace(response, first_token_seconds=0.0001)) == []


def test_the_figures_count_thoughts_and_say_so() -> None:
    response = Response("one", "Hello there", tokens=1312, seconds=3.0, first_token_seconds=2.0, thought_tokens=300)
    assert answer_view.facts(response).endswith("1,312 tokens, 300 of them thoughts, in 3.0 s")
    stopped = Response("one", "", tokens=40, seconds=3.0, thought_tokens=40, finish="stopped")
    assert answer_view.facts(stopped) == "40 tokens, all of them thoughts, in 3.0 s"
