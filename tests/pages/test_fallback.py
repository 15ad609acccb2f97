"""Chat and Compare over scripted endpoints that fail: who answers instead, what stays, what can be tried again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import (
    QUERY,
    Open,
    Over,
    ask,
    compare,
    comparison,
    draw_ended,
    labels,
    press,
    talk,
    words,
)
from support.patience import PATIENCE
from support.scripted_answers import TEXT
from support.scripted_server import Scripted
from zooter_core.ui.chat import conversations, export
from zooter_core.ui.history import history

COMPLETE = "".join(TEXT)


def press_and_wait(page: AppTest, label: str) -> AppTest:
    return draw_ended(press(page, label))


def again(page: AppTest, open_page: Open, folder: Path) -> AppTest:
    """The same conversation after the server was started anew: from the history alone."""
    id = talk(page).id
    conversations._live.clear()
    return open_page("chat", folder, chat=id)


def test_the_next_model_answers_with_a_note_that_stays(
    over: Over, open_page: Open, fleet_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, (first, second, _) = over("http-500", "good", "good")
    page = ask(page, QUERY)
    for view in (page, again(page, open_page, fleet_copy)):
        assert len(view.warning) == 1
        assert view.warning[0].value == (
            f'{first} could not answer (status 500, "scripted http-500"); {second} answers instead.'
        )
        assert f"**{second}** answers instead of **{first}**, the router's choice" in words(view)
        assert COMPLETE in words(view)
        assert "beside the others" not in words(view)
        assert not view.error
        assert not {"Retry", "Continue"} & labels(view)
        record = json.loads(export.as_json(talk(view)))["turns"][0]
        assert history().turns(talk(view).id)[0] == record
        assert (record["decision"]["candidate"], record["candidate"], record["complete"]) == (first, second, True)
        assert list(record["failures"]) == [first]
        assert "failed: status 500" in record["responses"][first]["error"]
        assert f"[{view.warning[0].value}]" in export.markdown(talk(view))
    press(page, "Why")
    assert "1 of 3 models ran" in words(page)
    monkeypatch.setattr(type(talk(page).turns[0].job), "running", property(lambda job: True))
    assert "have answered" not in words(page.run())  # one model alone answers


def test_a_partial_answer_stays_and_the_same_model_can_be_asked_again(
    over: Over, open_page: Open, fleet_copy: Path, scripted: Scripted
) -> None:
    page, (first, second, _) = over("http-500", "recovers", "good")
    page = ask(page, QUERY)
    for view in (page, again(page, open_page, fleet_copy)):
        assert "Half of" in words(view)
        assert ":orange-badge[incomplete]" in words(view)
        assert "the connection broke, after 7 characters" in view.error[0].value
        assert f"{second} answers instead" in view.warning[0].value
        assert {"Retry", "Continue"} <= labels(view)
        assert not history().turns(talk(view).id)[0]["complete"]
        assert "(incomplete)" in export.markdown(talk(view))
        page = view
    page = press_and_wait(page, "Retry")
    assert COMPLETE in words(page)
    assert "incomplete" not in words(page)
    assert history().turns(talk(page).id)[0]["complete"]
    assert f"{second} answers instead" in page.warning[0].value  # why the first does not is still known
    assert f"**{second}** answers instead of **{first}**" in words(page)
    assert not {"Retry", "Continue"} & labels(page)
    assert (scripted.count("recovers"), scripted.count("http-500"), scripted.count("good")) == (2, 1, 0)


def test_while_a_continuation_is_awaited_the_text_so_far_is_drawn_once(
    over: Over, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ask(over("recovers")[0], QUERY)
    monkeypatch.setattr("zooter_core.ui.chat.view.EVERY", PATIENCE)  # a drawing waits for the first word

    def late(query: str) -> Iterator[str]:
        time.sleep(1)
        yield " the rest."

    scripted.replies["recovers"] = late
    assert "Half of the rest." in words(press_and_wait(page, "Continue"))


def test_if_all_fail_each_reason_is_given_once_and_all_can_be_tried_again(
    over: Over, open_page: Open, fleet_copy: Path, scripted: Scripted
) -> None:
    page, order = over("http-500", "refused", "reset-first")
    page = ask(page, QUERY)
    for view in (page, again(page, open_page, fleet_copy)):
        assert len(view.error) == 1
        assert " answers:" not in words(view)
        message = view.error[0].value
        assert f"{order[0]}, {order[1]} and {order[2]} could not answer:" in message
        reasons = ('status 500, "scripted http-500".', "no connection (refused).", "the connection broke.")
        assert all(f"-   {name}: {reason}" in message for name, reason in zip(order, reasons, strict=True))
        assert not view.warning
        assert {"Retry", "Edit"} <= labels(view)
        assert not {"Continue"} & labels(view)
        assert not view.feedback
        assert "incomplete" not in words(view)
        page = view
    assert "**nobody** (router: " in export.markdown(talk(page))
    assert f"[{message}]".replace("  \n", "\n") in export.markdown(talk(page))
    scripted.replies["reset-first"] = lambda query: "Well again."
    page = press_and_wait(page, "Retry")
    assert "Well again." in words(page)
    assert f"{order[2]} answers instead." in page.warning[0].value
    assert not page.error


def test_a_model_of_the_visitors_choice_is_not_replaced(over: Over, scripted: Scripted) -> None:
    page, (first, *_) = over("http-500", "good", mode="One model")
    page.selectbox(key="model").select(first).run()
    page = ask(page, QUERY)
    for _ in range(2):
        assert talk(page).turns[0].job.candidates == (first,)
        assert f"{first} at 127.0.0.1\\:" in page.error[0].value
        page = press_and_wait(page, "Retry")
    assert scripted.count("good") == 0


def test_of_the_best_of_a_few_the_one_that_failed_is_named(over: Over) -> None:
    page, (first, second, _) = over("http-500", "good", "good", mode="Best of a few")
    page.slider(key="unsure").set_value(0.0).run()
    page = ask(page, QUERY)
    turn = talk(page).turns[0]
    assert (turn.job.candidates, turn.candidate) == ((first, second), second)
    assert f"{first} could not answer" in page.warning[0].value
    assert turn.settings.unsure_above == 0.0
    assert (turn.job.problem, len(turn.job.ranked or ())) == (None, 2)
    assert any(box.label == "Best of 1 by reward" for box in page.expander)
    assert f"**{second}** has the highest reward of 1" in words(page)


def test_compare_asks_the_one_that_failed_again(over: Over, scripted: Scripted) -> None:
    page, order = over("good", "recovers", page="compare")

    def ranked() -> list[str]:
        return [item.response.candidate for item in comparison(page).job.ranked or [] if item.rank]

    compare(page, QUERY)
    assert "the connection broke" in page.error[0].value
    assert ranked() == [order[0]]
    press(page, "Retry")
    comparison(page).job.wait(PATIENCE)
    assert not page.run().error
    assert sorted(ranked()) == sorted(order)
    assert (scripted.count("good"), scripted.count("recovers")) == (1, 2)
