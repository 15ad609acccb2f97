"""Chat, Compare and the page Models over models that think: their thoughts are folded, counted, and nowhere else."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Expander

from support.app_pages import (
    QUERY,
    Open,
    Over,
    ask,
    column,
    compare,
    comparison,
    draw_ended,
    labels,
    press,
    tables,
    talk,
    words,
)
from support.patience import PATIENCE, wait_until
from support.scripted_server import Scripted
from zooter_core.ui.chat import conversations, export
from zooter_core.ui.history import history

ANSWER = "The answer is 42."
HM = "hm " * 40


class Thinker:
    """Thinks until it may answer."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def __call__(self, query: str) -> Iterator[str]:
        yield from ("<think>", "The", "[sea](http://elsewhere.example)", "is\n\n![x](http://elsewhere.example/x.png)")
        self.may_answer.wait(PATIENCE)
        yield from ("</think>", "Wide.")


def folds(page: AppTest) -> list[Expander]:
    """The folded thoughts."""
    return [box for box in page.expander if box.label.startswith(("Thinking", "Thought"))]


def sent_texts(scripted: Scripted) -> list[str]:
    """The texts of the conversation that was sent last."""
    return [message["content"] for message in scripted.bodies[-1]["messages"]]


def test_thoughts_are_folded_counted_and_nowhere_else(
    over: Over, open_page: Open, fleet_copy: Path, scripted: Scripted
) -> None:
    page = ask(over("llama.cpp-none 40")[0], QUERY)
    (box,) = folds(page)
    assert box.label == "Thought for 40 tokens"  # they came faster than seconds can tell
    assert box.markdown[0].value == HM.strip()  # once, though it was asked twice: at first, it had no room
    assert ANSWER in words(page)
    assert ", 40 of them thoughts, in " in words(page)
    ask(page, "And the wind?")
    assert sent_texts(scripted) == [QUERY, ANSWER, "And the wind?"]
    for text in (export.markdown(talk(page)), export.as_json(talk(page)), json.dumps(history().turns(talk(page).id))):
        assert ANSWER in text
        assert "hm hm" not in text
    conversations._live.clear()
    page = open_page("chat", fleet_copy, chat=talk(page).id)  # from the history
    assert ANSWER in words(page)
    assert not folds(page)


def test_a_model_that_thinks_shows_it_and_can_be_stopped(
    over: Over, open_page: Open, fleet_copy: Path, scripted: Scripted
) -> None:
    scripted.replies["thinker"] = thinker = Thinker()
    page, _ = over("thinker")
    page.chat_input[0].set_value(QUERY).run()
    job = talk(page).turns[0].job
    wait_until(lambda: any("png" in answer.thoughts.text for answer in job.answers.values()))
    assert job.begun.is_set()
    for view in (page.run(), open_page("chat", fleet_copy, chat=talk(page).id)):  # as after a reload
        (box,) = folds(view)
        assert box.label.startswith("Thinking ...")
        assert "![x]" not in box.markdown[0].value  # nothing is loaded
        assert any("… " in one.value and "x.png" in one.value for one in view.caption)  # their end, as it comes
        page = view
    page = draw_ended(press(page, "Stop"))
    assert "Stopped while it was thinking." in words(page)
    assert "badge[stopped]" not in words(page)  # once is enough
    assert re.search(r"\d tokens, \d of them thoughts, in ", words(page))
    assert folds(page)
    assert not {"Continue", "Retry"} & labels(page)
    thinker.may_answer.set()
    scripted.replies["thinker"] = lambda query: ANSWER
    ask(page, "And the wind?")
    assert sent_texts(scripted) == [f"{QUERY}\n\nAnd the wind?"]  # many chat templates refuse two of the user in a row


def test_an_answer_that_ends_in_thoughts_can_be_asked_for_again(over: Over, scripted: Scripted) -> None:
    page = ask(over("llama.cpp-none 5000")[0], QUERY)
    assert "it was still thinking" in page.error[0].value
    assert "thinking = false" in page.error[0].value
    assert folds(page)
    assert labels(page) & {"Retry", "Continue"} == {"Retry"}
    ask(page, "And the wind?")
    assert sent_texts(scripted) == ["And the wind?"]  # the query before may be why it failed


def test_compare_counts_thoughts_but_a_blind_round_does_not_tell_who_thinks_and_how_long(over: Over) -> None:
    page = compare(over("llama.cpp-none 40", "llama.cpp 40", page="compare", blind="true")[0], QUERY)
    assert [box.label for box in folds(page)] == ["Thoughts"] * 2
    page = compare(over("llama.cpp-none 40", "llama.cpp 40", "good", page="compare", blind="true")[0], QUERY)
    assert not folds(page)
    page = press(page, "Show the names without voting")
    assert [box.label for box in folds(page)] == ["Thought for 40 tokens"] * 2
    table = tables(page)[0]
    assert sorted(column(table, "Thoughts")) == ["0", "40", "40"]
    assert sorted(column(table, "Tokens")) == ["44", "46", "7"]
    assert "Thoughts: how many of the tokens" in words(page)
    assert "hm hm" not in json.dumps(comparison(page).to_json())


def test_a_model_that_is_tried_shows_its_thoughts_folded(over: Over) -> None:
    page = press(over("llama.cpp-none 40", page="models")[0], "Try")
    assert words(page).index("hm hm") < words(page).index("The answer is 42")
    assert [box.label for box in folds(page)] == ["Thought for 40 tokens"]
