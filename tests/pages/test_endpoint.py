"""Every page of `zooter demo --endpoint`, in front of a running endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from streamlit.testing.v1 import AppTest

from support.app_pages import Open, draw_ended, press, talk, words
from support.scripted_answers import TEXT
from support.scripted_server import Scripted, serving
from zooter_core.ui.history import history

pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")

if TYPE_CHECKING:
    from support.running_endpoint import Endpoint

QUERY = "What is 2 + 3?"
COMPLETE = "".join(TEXT)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def endpoint(
    fleet_copy: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Endpoint]:
    """A running endpoint that the demo talks to; its parameter says whether its fleet has a reward model."""
    from support.running_endpoint import in_front_of

    reward = getattr(request, "param", True)
    with in_front_of(fleet_copy, server.url, "good", "good", reward=reward) as running:
        monkeypatch.setenv("ZOOTER_ENDPOINT", f"{running.url}/v1")
        yield running


def test_chat_routes_answers_and_explains(endpoint: Endpoint, open_page: Open) -> None:
    page = open_page("chat")
    assert f"2 models behind the endpoint `{endpoint.url}/v1`" in words(page)
    assert page.selectbox(key="mode").options == ["Router", "Best of a few", "All of them", "One model"]
    page.chat_input[0].set_value(QUERY).run()
    draw_ended(page)
    (turn,) = talk(page).turns
    assert (turn.text, turn.candidate) == (COMPLETE, endpoint.order[0])
    assert [exchange.model for exchange in endpoint.next_exchanges(1)] == [endpoint.order[0]]
    press(page, "Why")
    assert "saved without its training queries" in words(page)
    assert history().entries()[0].fleet == f"{endpoint.url}/v1"


def test_a_thumb_goes_to_the_endpoint(endpoint: Endpoint, open_page: Open) -> None:
    page = open_page("chat")
    page.chat_input[0].set_value(QUERY).run()
    draw_ended(page)
    page.feedback[0].set_value(0).run()
    file = endpoint.server.settings.data / "feedback.jsonl"
    (line,) = map(json.loads, file.read_text().splitlines())
    assert (line["request_id"], line["verdict"]) == (endpoint.next_exchange().request_id, "bad")
    file.unlink()
    file.mkdir()  # nothing can be stored there now
    page.feedback[0].set_value(1).run()
    assert "Your vote is stored here alone." in page.toast[0].value
    assert talk(page).turns[0].job.vote == 1


def test_an_endpoint_that_goes_away_is_one_message(
    fleet_copy: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch, open_page: Open
) -> None:
    from support.running_endpoint import in_front_of

    with in_front_of(fleet_copy, server.url, "good") as running:
        monkeypatch.setenv("ZOOTER_ENDPOINT", f"{running.url}/v1")
        page = open_page("chat")
    page.chat_input[0].set_value(QUERY).run()
    (error,) = page.error
    assert "cannot be reached" in error.value
    assert not talk(page).turns


def test_an_endpoint_that_is_not_there_is_one_message(monkeypatch: pytest.MonkeyPatch, open_page: Open) -> None:
    monkeypatch.setenv("ZOOTER_ENDPOINT", "http://127.0.0.1:9/v1")
    (error,) = open_page("chat").error
    assert "Start it with `zooter serve`" in error.value


def compare(page: AppTest) -> AppTest:
    """Compare all models, to the end."""
    page.chat_input[0].set_value(QUERY).run()
    page.session_state["comparison"].job.wait(60)
    page.run()
    assert not page.error
    assert words(page).count(COMPLETE) == 2
    return page


def test_compare_ranks_by_the_endpoints_rewards(endpoint: Endpoint, open_page: Open) -> None:
    page = compare(open_page("compare"))
    ranked = page.session_state["comparison"].ranked()
    assert [item.rank for item in ranked] == [1, 2]
    assert "reward model" in words(page)
    paths = [exchange.path for exchange in endpoint.next_exchanges(3)]
    assert sorted(paths) == ["/v1/chat/completions", "/v1/chat/completions", "/v1/rerank"]


def test_a_vote_on_compare_goes_to_the_endpoint(endpoint: Endpoint, open_page: Open) -> None:
    page = compare(open_page("compare"))
    file = endpoint.server.settings.data / "feedback.jsonl"
    ids = {exchange.request_id for exchange in endpoint.next_exchanges(3) if exchange.path != "/v1/rerank"}
    press(page, "Tie")
    assert not file.exists()
    press(page, f"{endpoint.order[0]} is best")
    press(page, "None is good")
    best, *nones = map(json.loads, file.read_text().splitlines())
    assert (best["request_id"] in ids, best["verdict"]) == (True, "good")
    assert {line["request_id"] for line in nones} == ids
    assert {line["verdict"] for line in nones} == {"bad"}


@pytest.mark.parametrize("endpoint", [False], indirect=True)
def test_without_rewards_nothing_is_ranked_and_all_answers_are_shown(endpoint: Endpoint, open_page: Open) -> None:
    chat = open_page("chat", mode="All of them")  # an address cannot ask for it
    assert "no answers are compared here" in words(chat)
    assert chat.selectbox(key="mode").options == ["Router", "One model"]
    page = compare(open_page("compare"))
    assert "There is no reward model, so the responses are not ranked." in words(page)
    assert {exchange.model for exchange in endpoint.next_exchanges(2)} == set(endpoint.order)
    page.session_state["comparison"].cast("tie")
    assert len(history().votes(f"{endpoint.url}/v1")) == 1


@pytest.mark.parametrize(
    ("page", "what"),
    [
        ("train", "Training a router"),
        ("benchmark", "The benchmark of a router"),
        ("explorer", "What the router has learned"),
    ],
)
def test_pages_that_need_the_fleets_files_say_so(endpoint: Endpoint, open_page: Open, page: str, what: str) -> None:
    drawn = open_page(page)
    (notice,) = drawn.info
    assert notice.value.startswith(what)
    assert "needs the folder of a fleet" in notice.value
    if page == "explorer":
        assert "would answer" in words(drawn)  # it routes while you type
