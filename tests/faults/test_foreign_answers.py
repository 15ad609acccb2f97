"""Answers in the forms of other people's servers, through the backend and the endpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import endpoint_fleet
from support.foreign_answers import FORMS, ODD, UNSTREAMED_FORMS
from support.patience import PATIENCE
from support.read_stream import stream
from support.scripted_server import Scripted, at, serving
from zooter_core.backends.endpoint import connection
from zooter_core.backends.endpoint.backend import OpenAIBackend
from zooter_core.base.records import Message
from zooter_core.config.fleet import GenerationConfig, load_fleet

TAKEN_BY_DEMO = {"empty finish, then done", "no finish, then the end", "a number as finish"}  # as cut off, no error
FLOOD = "flood of comments"  # one is enough where others read what the client has read
PASSED_ON = [name for name, form in FORMS.items() if form.outcome != "flood"] + [FLOOD]


@pytest.fixture(autouse=True)
def short_floods(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood is one after a tenth of the usual megabyte, which is read slowly."""
    monkeypatch.setattr(connection, "MOST_IDLE", 100_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with serving() as scripted:
        yield scripted


@pytest.mark.parametrize("name", FORMS)
def test_the_backend(server: Scripted, name: str) -> None:
    form, candidate = FORMS[name], at(server.url, name)
    texts, (response,) = stream(OpenAIBackend(), [candidate], messages=(Message("user", ODD),))
    assert [response.text] == texts
    assert response.text == (form.text if form.outcome in ("answer", "cut") else "")
    if form.outcome == "answer" or name in TAKEN_BY_DEMO:
        assert (response.error, response.finish) == (None, "stop" if form.outcome == "answer" else "length")
        return
    assert response.finish == ("refused" if form.outcome == "refused" else "error")
    assert form.words in str(response.error)


@pytest.fixture(scope="module")
def endpoint(server: Scripted, tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every form as a candidate of its own, none of which ever rests unless it fails twice."""
    pytest.importorskip("fastapi", reason="the extra zooter[serve] is not installed")
    from support.running_endpoint import running
    from zooter_core.serve.server import ServeSettings

    folder = Path(shutil.copytree(tiny_fleet, tmp_path_factory.mktemp("foreign") / "fleet"))
    endpoint_fleet.share_models(folder, tiny_fleet)
    models = {name: name for name in (*FORMS, *UNSTREAMED_FORMS)}
    endpoint_fleet.save(folder, server.url, models, router=True, rest_seconds=600)
    settings = ServeSettings(load_fleet(folder), port=0, data=tmp_path_factory.mktemp("data"))
    with running(settings) as started:
        yield started


def events_of(text: str) -> list[Any]:
    return [json.loads(event.removeprefix("data: ")) for event in text.split("\n\n") if event.startswith("data: {")]


@pytest.mark.parametrize("name", [*PASSED_ON, *UNSTREAMED_FORMS])
def test_the_endpoint(endpoint: Any, name: str) -> None:
    form = FORMS.get(name) or UNSTREAMED_FORMS[name]
    if form.outcome in ("answer", "cut"):
        response = endpoint.chat(ODD, model=name, stream=True)
        chunks = events_of(response.text)
        assert response.text.endswith("data: [DONE]\n\n")
        assert ("error" in chunks[-1]) == (form.outcome == "cut")
        answer = [chunk for chunk in chunks if "error" not in chunk]
        assert {chunk["model"] for chunk in answer} == {name}
        assert all(chunk["choices"] for chunk in answer), "a count of tokens that nobody asked for"
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in answer) == form.text
        return
    for _ in range(2):  # its words reach the client, and only failures of the server open its breaker
        response = endpoint.chat(ODD, model=name, stream=name in FORMS)
        assert response.status_code in ((400,) if form.outcome == "refused" else (500, 502, 504))
        assert form.words in response.json()["error"]["message"]
    breaker = endpoint.server.gateway.connections[name].breaker
    assert breaker.state == ("closed" if form.outcome == "refused" else "open")


@pytest.mark.parametrize("name", [name for name in FORMS if name.startswith("usage")])
def test_who_asks_for_the_count_of_tokens_gets_it_with_empty_choices(endpoint: Any, name: str) -> None:
    response = endpoint.chat(ODD, model=name, stream=True, stream_options={"include_usage": True})
    counts = [chunk for chunk in events_of(response.text) if chunk.get("usage")]
    assert [(chunk["choices"], chunk["usage"]["total_tokens"]) for chunk in counts] == [([], 5)]


def test_nothing_nested_is_renamed(endpoint: Any) -> None:
    chunks = events_of(endpoint.chat(ODD, model="keys in order", stream=True).text)
    assert (chunks[0]["a"], chunks[-1]["logprobs"]) == ({"model": "theirs"}, {"model": 1})


@pytest.mark.parametrize("name", ["finish error", "one piece of the server", FLOOD])
def test_where_nothing_has_come_the_next_candidate_answers(serve: Any, name: str) -> None:
    endpoint = serve(name, "good")
    response = endpoint.chat(ODD, stream=True)
    assert (response.status_code, response.headers["x-zooter-attempts"]) == (200, "2")
    assert response.headers["x-model-router-selected-model"] == endpoint.order[1]
    assert [failed for failed, _ in endpoint.next_exchange().outcome.failures] == [endpoint.order[0]]


def test_the_whole_answer_has_a_bound(server: Scripted) -> None:
    candidate = at(server.url, "slow", answer_seconds=0.5)
    _, (response,) = stream(OpenAIBackend(), [candidate], GenerationConfig())
    assert "no end of the answer within 0.5 s" in str(response.error)
    assert response.text.startswith("0 1 ")
    assert server.dropped.wait(PATIENCE)
