from __future__ import annotations

from zooter_core.base.records import Response, Tag
from zooter_core.ui import answer_view


def test_a_doubtful_tag_is_not_shown() -> None:
    assert answer_view.shown_tags([Tag("poetry", 0.5), Tag("pet care", 0.49)]) == ["poetry"]
    assert answer_view.shown_tags([]) == []


def test_the_figures_of_one_of_several_do_not_speak_of_its_speed() -> None:
    response = Response("one", "Hello there", tokens=11, seconds=3.0, first_token_seconds=2.0)
    assert answer_view.facts(response) == "first word 2.0 s · 10 tokens/s · 11 tokens in 3.0 s"
    assert answer_view.facts(response, alone=False) == "11 tokens in 3.0 s, beside the others"
    assert answer_view.facts(None) == ""
