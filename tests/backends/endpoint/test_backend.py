"""The backend `openai` against a scripted server on loopback: what goes out, what comes back, and when."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from support.patience import NEVER, PATIENCE
from support.read_stream import ASK, stream
from support.scripted_answers import TEXT
from support.scripted_server import at
from zooter_core.backends import Request
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message
from zooter_core.config.fleet import GenerationConfig

GENERATION = GenerationConfig(max_new_tokens=99, temperature=0.5, seed=7)
KEY = "sk-not-to-be-seen-0123456789"


def answers(backend, candidates, messages=ASK, stop=None):
    """The texts of the pieces and the response of each request."""
    return stream(backend, candidates, GENERATION, messages, stop)


def test_an_answer_comes_in_pieces_that_join_to_the_response(server, backend):
    pieces = list(backend.stream([Request(at(server.url), ASK)], GENERATION, threading.Event()))
    assert [piece.text for piece in pieces if piece.response is None] == list(TEXT)
    response = pieces[-1].response
    assert (response.candidate, response.text) == ("good", "".join(TEXT))
    assert (response.finish, response.error, response.tokens) == ("stop", None, 7)
    assert 0 < response.first_token_seconds <= response.seconds


def test_half_characters_are_joined_or_replaced(server, backend):
    requests = [Request(at(server.url, "halves"), ASK)]
    pieces = list(backend.stream(requests, GENERATION, threading.Event()))
    assert pieces[-1].response.text == "a😀b\ufffdc\ufffdd\ufffd"
    assert "".join(piece.text for piece in pieces) == pieces[-1].response.text
    for piece in pieces:
        piece.text.encode("utf-8")


def test_the_request_says_what_the_fleet_and_the_call_say(server, backend):
    talk = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello!"), *ASK)
    ((text,), _) = answers(backend, [at(server.url, "echo")], talk)
    assert json.loads(text) == [{"role": message.role, "content": message.content} for message in talk]
    body = server.bodies[-1]
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("echo", 0.5, 99, 7)
    assert body["stream"] is True
    assert server.paths[-1] == "/v1/chat/completions"
    begun = (*ASK, Message("assistant", "The sea is"))  # an answer that has begun is the last message
    assert json.loads(answers(backend, [at(server.url, "echo")], begun)[0][0])[-1]["content"] == "The sea is"


def test_fields_that_a_server_does_not_know_are_found_out(server, backend):
    candidate = replace(at(server.url, "picky", extra_body={"service_tier": "flex"}), thinking="low")
    texts, responses = stream(backend, [candidate] * 4)  # all are refused before any is sent otherwise
    assert [response.error for response in responses] == [None] * 4
    fields = {"model": "picky", "service_tier": "flex", "reasoning_effort": "low", "max_completion_tokens": 4108}
    assert json.loads(texts[0]) == fields | {"seed": 0, "stream_options": {"include_usage": True}}
    count = server.count("picky")
    stream(backend, [candidate])
    assert server.count("picky") == count + 1  # what it has refused is not sent again


def test_equal_requests_are_sampled_each_on_its_own(server, backend):
    one = at(server.url, "seeded")
    assert answers(backend, [one, one, one])[0] == ["seed 7", "seed 8", "seed 9"]
    requests = [Request(one, ASK, seed=2**31 + 5)]
    (_, last) = backend.stream(requests, GENERATION, threading.Event())
    assert last.response.text == "seed 5"


def test_no_more_requests_than_allowed_are_under_way(scripted, backend):
    """Every request waits for another one, so that two are under way, and never more."""
    pair = threading.Barrier(2)
    scripted.replies["paired"] = lambda query: f"{pair.wait(PATIENCE) * 0}"
    _, responses = answers(backend, [at(scripted.url, "paired", parallel=2)] * 6)
    assert [response.text for response in responses] == ["0"] * 6
    assert scripted.most_under_way == 2


def test_thinking_counts_as_a_sign_of_life_but_is_no_text(server, backend):
    """It lasts longer than the first token may take."""
    (_, (response,)) = answers(backend, [at(server.url, "think", first_token_seconds=0.5, gap_seconds=0.5)])
    assert (response.text, response.finish) == ("42", "stop")


@pytest.mark.parametrize("model", ["hang-first", "hang-in-the-middle"])
def test_a_stop_ends_all_at_once_here_and_at_the_server(scripted, backend, model):
    stop = threading.Event()
    threading.Thread(target=lambda: scripted.wait_for(model, 2) or stop.set()).start()
    patient = at(scripted.url, model, first_token_seconds=NEVER, gap_seconds=NEVER)
    texts, responses = answers(backend, [patient] * 2, stop=stop)
    assert [(response.finish, response.error) for response in responses] == [("stopped", None)] * 2
    assert [response.text for response in responses] == texts
    assert scripted.dropped.wait(PATIENCE), "the server did not notice"


def test_stop_ends_a_pause_between_attempts(scripted, backend, monkeypatch):
    stop = threading.Event()
    threading.Thread(target=lambda: scripted.wait_for("http-503", 1) or stop.set()).start()
    monkeypatch.setattr("zooter_core.backends.endpoint.answer.retry_pause", lambda *_: 60.0)
    (_, (response,)) = answers(backend, [at(scripted.url, "http-503", retries=20)], stop=stop)
    assert response.finish == "stopped"
    assert scripted.count("http-503") == 1


def test_an_abandoned_answer_ends_at_the_server_too(scripted, backend):
    pieces = backend.stream([Request(at(scripted.url, "slow"), ASK)], GENERATION, threading.Event())
    next(pieces)
    pieces.close()
    assert scripted.dropped.wait(PATIENCE)


# The key


def test_the_key_comes_from_the_environment_variable_that_the_fleet_names(server, backend, monkeypatch):
    monkeypatch.setenv("SCRIPTED_KEY", KEY)
    answers(backend, [at(server.url, api_key_env="SCRIPTED_KEY")])
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"


def test_a_missing_key_is_told_before_anything_is_asked(server, backend, monkeypatch):
    monkeypatch.delenv("SCRIPTED_KEY", raising=False)
    needy, before = at(server.url, api_key_env="SCRIPTED_KEY"), len(server.bodies)
    _, (failed, good) = answers(backend, [needy, at(server.url)])
    assert "the key of good in the environment, but found no key in SCRIPTED_KEY" in str(failed.error)
    assert (good.error, len(server.bodies)) == (None, before + 1)


def test_a_key_that_no_header_takes_is_not_shown(server, backend, monkeypatch):
    monkeypatch.setenv("SCRIPTED_KEY", f"{KEY}\n€")
    with pytest.raises(ZooterError) as caught:
        backend.load(at(server.url, api_key_env="SCRIPTED_KEY"))
    assert KEY not in str(caught.value)


def test_nothing_of_this_machine_or_of_other_accounts_goes_out(server, backend, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: secret")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):  # which is not asked for this machine
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    (_, (response,)) = answers(backend, [at(server.url)])
    assert response.error is None
    sent = server.headers[-1]
    usual = {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent"}
    assert set(sent) <= usual
    assert not any(secret in json.dumps(sent) for secret in (KEY, "org-mine", "project-mine", "secret"))


def test_load_finds_a_server_also_without_a_list_of_models(server, backend):
    good = at(server.url)
    backend.load(good)
    assert server.paths[-1] == "/v1/models"
    backend.load(replace(good, endpoint=replace(good.endpoint, base_url=server.url + "/elsewhere")))
