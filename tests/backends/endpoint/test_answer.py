"""How an answer of a server ends, how many tokens it claims, and what becomes of a key that it echoes."""

from __future__ import annotations

import json
import threading

import pytest

from support.scripted_answers import TEXT
from support.scripted_server import serving

pytest.importorskip("aiohttp", reason="the extra zooter[openai] is not installed")

from zooter_core.backends import Request
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.endpoint import EndpointConfig
from zooter_core.config.fleet import GenerationConfig

FULL_TEXT = "".join(TEXT)
HALF = "Half of"
KEY = "sk-test-4f9a0c77b1d2"
VARIABLE = "SCRIPTED_KEY"


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setenv(VARIABLE, KEY)
    return KEY


def at(url: str, model: str, **config) -> CandidateConfig:
    waits = {"connect_seconds": 20, "first_token_seconds": 20, "gap_seconds": 20, "retries": 0, "rest_after": 99}
    return CandidateConfig(model, "openai", model, endpoint=EndpointConfig(url, **(waits | config)))


def answered(backend, candidate: CandidateConfig, query: str = "What is the sea?") -> tuple[list[str], Response]:
    """The texts of the pieces as they came, and the response."""
    request = Request(candidate, (Message("user", query),))
    pieces = list(backend.stream([request], GenerationConfig(), threading.Event()))
    texts = [piece.text for piece in pieces if piece.text]
    response = pieces[-1].response
    assert response is not None
    assert response.text == "".join(texts)
    return texts, response


# Endings


@pytest.mark.parametrize(
    ("model", "text"), [("tool", ""), ("tool-after-text", HALF), ("tool-stop", ""), ("old-tool", "")]
)
def test_a_call_of_a_tool_is_no_answer(server, backend, model, text):
    _, response = answered(backend, at(server.url, model, retries=2))
    assert (response.finish, response.text) == ("refused", text)
    assert "called a tool" in str(response.error)
    assert "Zooter offers none" in str(response.error)
    assert server.count(model) == 1  # nothing would be different the next time


def test_a_call_of_a_tool_is_not_held_against_the_candidate(server, backend):
    resting = at(server.url, "tool", rest_after=1)
    for _ in range(3):
        assert "called a tool" in str(answered(backend, resting)[1].error)


def test_a_tool_that_the_server_runs_itself_is_no_fault(server, backend):
    _, response = answered(backend, at(server.url, "tool-info"))
    assert (response.finish, response.text, response.error) == ("stop", HALF, None)


def test_a_call_of_a_tool_without_a_stream(server, backend):
    _, response = answered(backend, at(server.url, "plain-tool"))
    assert response.finish == "error"
    assert "one piece of JSON" in str(response.error)


@pytest.mark.parametrize("reason", ["stop", "eos", "eos_token", "stop_sequence", "end_turn", "STOP", "COMPLETE"])
def test_an_answer_that_came_to_its_end(server, backend, reason):
    for model, text in (("ends", FULL_TEXT), ("ends-empty", "")):
        _, response = answered(backend, at(server.url, f"{model} {json.dumps(reason)}"))
        assert (response.finish, response.text, response.error) == ("stop", text, None)


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "wibble", 7, True, ["stop"], {"a": 1}])
def test_an_answer_whose_end_is_cut_off_or_unknown_is_marked(server, backend, reason):
    _, response = answered(backend, at(server.url, f"ends {json.dumps(reason)}"))
    assert (response.finish, response.text, response.error) == ("length", FULL_TEXT, None)


def test_nothing_but_an_unknown_reason_is_an_error_that_shows_it(server, backend):
    _, response = answered(backend, at(server.url, 'ends-empty "wib\\u001bble"'))
    assert response.finish == "error"
    assert 'an answer without text ended with the finish reason "wib ble"' in str(response.error)


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "safety", "recitation"])
def test_an_answer_that_a_filter_held_back_is_refused(server, backend, reason):
    for model, text in (("ends", FULL_TEXT), ("ends-empty", "")):
        _, response = answered(backend, at(server.url, f"{model} {json.dumps(reason)}"))
        assert (response.finish, response.text) == ("refused", text)
        assert "content filter" in str(response.error)


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_failed_on_the_server_is_an_error(server, backend, reason):
    for model, text in (("ends", FULL_TEXT), ("ends-empty", "")):
        _, response = answered(backend, at(server.url, f"{model} {json.dumps(reason)}"))
        assert (response.finish, response.text) == ("error", text)
        assert f'ended with the finish reason "{reason}"' in str(response.error)


# Counts of tokens


@pytest.mark.parametrize("tokens", [1, 5, 12, 64])
def test_a_count_that_can_be_is_believed(server, backend, tokens):
    assert answered(backend, at(server.url, f"counts {tokens}"))[1].tokens == tokens


@pytest.mark.parametrize("tokens", [-5, 0, 10**9, 10**30, 7.0, 3.5, "7", True, None, [7], {"n": 7}])
def test_a_count_that_cannot_be_is_not_believed(server, backend, tokens):
    _, response = answered(backend, at(server.url, f"counts {json.dumps(tokens)}"))
    assert (response.tokens, response.text, response.error) == (len(TEXT), FULL_TEXT, None)


@pytest.mark.parametrize("model", ["deep-json", "long-number"])
def test_json_that_python_does_not_read_is_one_clear_error(server, backend, model):
    _, response = answered(backend, at(server.url, model))
    assert (response.finish, response.text) == ("error", HALF)
    assert "after 7 characters" in str(response.error)


# Keys


def test_an_echoed_key_is_blotted_out_of_the_answer(server, backend, key):
    texts, response = answered(backend, at(server.url, "echo-key", api_key_env=VARIABLE))
    assert response.text == "Your key is ***, or ***, so x***x."
    assert texts[0] == "Your key is "  # nothing waits that need not
    assert response.error is None
    assert KEY not in repr(response)


def test_a_key_that_is_cut_off_is_blotted_out_too(server, backend, key):
    assert answered(backend, at(server.url, "echo-key-cut", api_key_env=VARIABLE))[1].text == "Your key is ***"
    short = at(server.url, "echo-key", api_key_env=VARIABLE, most_characters=20)
    response = answered(backend, short)[1]
    assert (response.text, response.finish) == ("Your key is ***, or ", "length")


def test_what_only_begins_like_the_key_stays(server, backend, key):
    _, response = answered(backend, at(server.url, "echo-key-start", api_key_env=VARIABLE))
    assert response.text == "Keys begin like sk- or end so: sk-"


def test_text_that_waited_comes_when_the_connection_breaks(server, backend, key):
    _, response = answered(backend, at(server.url, "echo-key-reset", api_key_env=VARIABLE))
    assert (response.finish, response.text) == ("length", "*** and sk")  # only its end says how long such a stream is


@pytest.mark.parametrize("model", ["echo-key-error", "echo-key-redirect", "wrong-key"])
def test_an_echoed_key_is_in_no_error(server, backend, key, model):
    _, response = answered(backend, at(server.url, model, api_key_env=VARIABLE))
    assert response.finish == "error"
    assert KEY[:6] not in str(response.error)


@pytest.mark.parametrize("address", ["http://\x07", "http://" + "x" * 60_000, "http://[", ""])
def test_a_redirect_to_no_address_is_one_clear_error(backend, address):
    with serving() as other:
        other.elsewhere = address
        _, response = answered(backend, at(other.url, "redirect"))
        assert "status 307: it redirects to " in str(response.error)


def test_an_echoed_key_is_in_no_list_of_models(backend, key):
    with serving() as other:
        other.models = ["other", KEY]
        _, response = answered(backend, at(other.url, "goods", api_key_env=VARIABLE))
        assert KEY not in str(response.error)
        assert "***" in str(response.error)


def test_an_echoed_key_is_in_no_error_of_the_first_look(server, backend, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"bad-key-{KEY}")
    with pytest.raises(WorkError, match=r"Incorrect API key: \*\*\*") as raised:
        backend.load(at(server.url, "good", api_key_env=VARIABLE))
    assert KEY not in str(raised.value)


# Pauses


def test_an_impossible_pause_is_no_reason_to_give_up(backend):
    with serving() as other:
        _, response = answered(backend, at(other.url, "waits 99999999999", retries=1))
        assert (response.text, response.error) == (FULL_TEXT, None)
