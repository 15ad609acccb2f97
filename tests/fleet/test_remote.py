"""The demo's side of a running endpoint: decisions and answers come from there, and each mistake has one message."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.endpoint_fleet import NOWHERE
from support.scripted_answers import TEXT
from support.scripted_server import Scripted
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.remote import KEY, Endpoint, RemoteEnsemble, endpoint_url

if TYPE_CHECKING:
    from support import running_endpoint

QUERY = "What is 2 + 3?"
Start = Callable[..., "running_endpoint.Endpoint"]


def remote(endpoint: running_endpoint.Endpoint) -> RemoteEnsemble:
    return RemoteEnsemble(Endpoint(f"{endpoint.url}/v1"))


def test_it_decides_and_answers_as_the_endpoint_does(serve: Start) -> None:
    endpoint = serve("good", "good", extra='description = "the last one"\n')
    ensemble = remote(endpoint)
    decision = ensemble.route(QUERY)
    shape = endpoint.client.post("/v1/route", json={"messages": [{"role": "user", "content": QUERY}]}).json()
    assert {key: shape[key] for key in ("tags", "candidate", "certainty")}.items() <= decision.to_json().items()
    assert decision.probabilities == pytest.approx(shape["probabilities"], abs=2e-6)
    assert decision.order == endpoint.order
    assert ensemble.fleet.candidates[-1].description == "the last one"
    assert "".join(ensemble.stream(QUERY)) == "".join(TEXT)
    assert [exchange.model for exchange in endpoint.next_exchanges(1)] == [decision.candidate]


def test_a_conversation_is_routed_by_all_of_its_users_turns(serve: Start) -> None:
    ensemble = remote(serve("good", "good"))
    turns = ["Write a long poem about the sea.", "Shorter, please."]
    talk = [Message("user", turns[0]), Message("assistant", "No."), Message("user", turns[1])]
    assert ensemble.route(talk).tags == ensemble.route("\n".join(turns)).tags != ensemble.route(turns[1]).tags


def test_the_next_candidate_answers_if_the_first_one_cannot(serve: Start) -> None:
    endpoint = serve("http-503", "good")
    assert "".join(remote(endpoint).stream(QUERY)) == "".join(TEXT)
    assert {exchange.model: exchange.status for exchange in endpoint.next_exchanges(2)} == dict(
        zip(endpoint.order, (502, 200), strict=True)
    )


def test_it_explains_by_asking_again_without_each_word(serve: Start) -> None:
    ensemble = remote(serve("good", "good"))
    why = ensemble.explain(ensemble.route(QUERY))
    assert [piece.text for piece in why.pieces] == QUERY.split()
    assert (why.candidate, why.neighbours) == (ensemble.route(QUERY).candidate, [])


def test_it_ranks_by_the_endpoints_rewards(serve: Start) -> None:
    endpoint = serve("good", "echo")
    ensemble = remote(endpoint)
    here = Ensemble(endpoint.server.settings.fleet)
    responses = [Response("chat", "2 + 3 = 5"), Response("math", "I like cats."), Response("chat", "")]
    assert ensemble.can_rank
    ranked = ensemble.rank_responses(QUERY, responses)
    expected = here.rank_responses(QUERY, responses)
    assert [item.response for item in ranked] == [item.response for item in expected]
    assert [item.reward for item in ranked][:2] == pytest.approx([item.reward for item in expected][:2])
    assert {item.response.candidate for item in ensemble.rank(QUERY)} == set(endpoint.order)


def test_the_unsure_queries_go_to_several(serve: Start) -> None:
    ensemble = remote(serve("good", "good"))
    decision = ensemble.route(QUERY)
    unsure = ensemble.select(QUERY, 2, threshold=-1.0)
    assert (unsure.candidates, unsure.unsureness) == (decision.order, pytest.approx(1 - decision.margin))
    assert ensemble.select(QUERY, 2).candidates == decision.order[:1]  # an endpoint has no threshold of its own


def test_without_a_reward_model_it_ranks_nothing(serve: Start) -> None:
    ensemble = remote(serve("good", "good", reward=False))
    with pytest.raises(ZooterError, match="no reward model, so the responses are not ranked"):
        ensemble.rank(QUERY)
    assert not ensemble.can_rank


def test_a_reward_model_that_goes_away_is_told_in_the_endpoints_words(serve: Start) -> None:
    ensemble = remote(serve("good", "good", reward=False))
    ensemble.can_rank = True  # it was there when the demo began
    with pytest.raises(WorkError, match="says: This fleet has no reward model"):
        ensemble.rank(QUERY)


def test_feedback_names_the_request_of_the_answer(serve: Start) -> None:
    endpoint = serve("good", "good")
    ensemble = remote(endpoint)
    pieces = ensemble.run_candidates(endpoint.order[:1], QUERY, threading.Event())
    response = next(piece.response for piece in pieces if piece.response is not None)
    assert response.request_id == endpoint.next_exchange().request_id
    ensemble.give_feedback(response, good=True)
    ensemble.give_feedback(replace(response, request_id=None), good=False)  # nothing to name
    (line,) = (endpoint.server.settings.data / "feedback.jsonl").read_text().splitlines()
    assert json.loads(line).items() >= {"request_id": response.request_id, "verdict": "good"}.items()


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:8400", "http://127.0.0.1:8400/v1"),
        (" https://zooter.example.org/ ", "https://zooter.example.org/v1"),
        ("http://[::1]:8400/behind/v1/", "http://[::1]:8400/behind/v1"),
    ],
)
def test_an_address_without_a_path_gets_that_of_the_api(address: str, url: str) -> None:
    assert endpoint_url(address) == url


@pytest.mark.parametrize("address", ["", "127.0.0.1:8400", "ftp://host", "http://", "http://h?x=1", "http://h:0"])
def test_another_text_is_no_address(address: str) -> None:
    with pytest.raises(ZooterError, match="the web address of an endpoint") as caught:
        endpoint_url(address)
    assert caught.value.exit_code == 2


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ZooterError) as caught:
        endpoint_url("http://me:secret@host")
    assert "secret" not in str(caught.value)


def test_an_endpoint_that_is_not_there_is_one_message() -> None:
    with pytest.raises(WorkError, match=r"cannot be reached: .*refused.* Start it with `zooter serve`"):
        Endpoint(NOWHERE)


@pytest.mark.parametrize("path", ["/v1", "/elsewhere"])
def test_another_server_is_no_zooter_endpoint(scripted: Scripted, path: str) -> None:
    """It has a list of models, but no /v1/route; or not even that."""
    with pytest.raises(ZooterError, match=r"There is no Zooter endpoint at .* status 404") as caught:
        Endpoint(scripted.url.removesuffix("/v1") + path)
    assert caught.value.exit_code == 2


def test_keys_missing_wrong_and_right(serve: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zooter_core.serve.keys import Key, add_key

    file = tmp_path / "keys.json"
    key = add_key(file, Key("demo", "", 0.0, models=("math", "code")))
    endpoint = serve("good", "good", "good", options={"keys": file})
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(ZooterError, match=f"wants an API key.*{KEY}"):
        remote(endpoint)
    monkeypatch.setenv(KEY, f"{key}x")
    with pytest.raises(ZooterError, match=f"refuses the key in {KEY}") as caught:
        remote(endpoint)
    assert key not in str(caught.value)
    monkeypatch.setenv(KEY, key)
    ensemble = remote(endpoint)
    assert ensemble.fleet.pool == ("math", "code")
    decision = ensemble.route(QUERY)
    assert sum(decision.probabilities.values()) == pytest.approx(1)
    assert "".join(ensemble.stream(QUERY)) == "".join(TEXT)


def test_an_endpoint_that_goes_away_is_one_message(fleet_copy: Path, scripted: Scripted) -> None:
    from support.running_endpoint import in_front_of

    with in_front_of(fleet_copy, scripted.url, "reset-in-the-middle") as endpoint:
        ensemble = remote(endpoint)
        answer = ensemble.stream(QUERY)
        assert next(answer) == "Half of"
        with pytest.raises(WorkError, match=r"broke off|connection broke"):
            list(answer)
    with pytest.raises(WorkError, match="cannot be reached"):
        ensemble.route(QUERY)


def test_an_endpoint_with_other_models_now_is_one_message(serve: Start) -> None:
    connection = Endpoint(f"{serve('good', 'good').url}/v1")
    connection.candidates = (*connection.candidates, replace(connection.candidates[0], name="gone"))
    with pytest.raises(WorkError, match=r"serves other models now\. Start the demo again"):
        connection.route([[QUERY]])


def test_a_limit_is_told_in_the_endpoints_words(serve: Start) -> None:
    ensemble = remote(serve("good", "good", extra="\n[serve]\nrequests_per_minute = 2\n"))
    ensemble.route(QUERY)
    with pytest.raises(WorkError, match="has reached its limit of 2 requests a minute"):
        ensemble.route("Another one")
