"""How an answer of a server ends, how many tokens it claims, and what becomes of a key that it echoes."""

from __future__ import annotations

import logging
import threading

import pytest

from support.read_stream import ASK
from support.scripted_answers import TEXT
from support.scripted_server import at
from zooter_core.backends import Request
from zooter_core.backends.endpoint.abilities import read_count
from zooter_core.backends.endpoint.events import finish_word
from zooter_core.backends.endpoint.faults import EndpointError, read_finish
from zooter_core.backends.endpoint.redaction import Redaction
from zooter_core.base.errors import WorkError
from zooter_core.base.records import Response
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import GenerationConfig

FULL_TEXT = "".join(TEXT)
HALF = "Half of"
KEY = "sk-test-4f9a0c77b1d2"
VARIABLE = "SCRIPTED_KEY"


@pytest.fixture
def key(monkeypatch) -> str:
    monkeypatch.setenv(VARIABLE, KEY)
    return KEY


def answered(backend, candidate: CandidateConfig) -> tuple[list[str], Response]:
    """The texts of the pieces as they came, and the response."""
    pieces = list(backend.stream([Request(candidate, ASK)], GenerationConfig(), threading.Event()))
    texts = [piece.text for piece in pieces if piece.text]
    response = pieces[-1].response
    assert response.text == "".join(texts)
    return texts, response


# Endings


@pytest.mark.parametrize(
    ("model", "text"), [("tool", ""), ("tool-after-text", HALF), ("tool-stop", ""), ("old-tool", "")]
)
def test_a_call_of_a_tool_is_no_answer(server, backend, model, text):
    """It is not asked for again, since nothing would be different, and not held against the candidate."""
    for number in (1, 2):
        _, response = answered(backend, at(server.url, model, retries=2, rest_after=1))
        assert (response.finish, response.text) == ("refused", text)
        assert "called a tool" in str(response.error)
        assert "but Zooter offers none" in str(response.error)
        assert server.count(model) == number


def test_a_call_that_the_server_runs_itself_is_no_fault(server, backend):
    _, response = answered(backend, at(server.url, "tool-info"))
    assert (response.finish, response.text, response.error) == ("stop", HALF, None)


def ending(reason: object, text: bool = True) -> str:
    return read_finish(finish_word({"finish_reason": reason}), text, False, Redaction(None))


def test_the_reason_says_whether_an_answer_is_complete_cut_off_or_held_back():
    """That of a server's failure: tests/faults/test_foreign_answers.py."""
    for reason in ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "STOP", "COMPLETE"):
        assert ending(reason) == ending(reason, text=False) == "stop"
    for reason in ("length", "max_tokens", "MAX_TOKENS", "wibble", 7, ["stop"]):
        assert ending(reason) == "length"
    with pytest.raises(EndpointError, match='without text ended with the finish reason "wib ble"'):
        ending("wib\x1bble", text=False)
    for reason in ("content_filter", "SAFETY", "recitation"):
        with pytest.raises(EndpointError, match="content filter") as caught:
            ending(reason)
        assert caught.value.refused


# Counts of tokens


def test_a_count_is_believed_if_it_can_be(server, backend):
    for count in (1, 5, 12, 64):
        assert read_count(count) == count
    for nonsense in (-5, 0, 10**30, 7.0, 3.5, "7", True, None, [7], {"n": 7}):
        assert read_count(nonsense) is None
    for sent, tokens in ((12, 12), (-5, len(TEXT))):
        _, response = answered(backend, at(server.url, f"counts {sent}"))
        assert (response.tokens, response.text, response.error) == (tokens, FULL_TEXT, None)


# Keys


def test_an_echoed_key_is_blotted_out_of_the_answer(server, backend, key):
    texts, response = answered(backend, at(server.url, "echo-key", api_key_env=VARIABLE))
    assert response.text == "Your key is ***, so x***x."
    assert texts[0] == "Your key is "  # nothing waits that need not
    assert response.error is None
    assert KEY not in repr(response)


@pytest.mark.parametrize("model", ["echo-key-error", "echo-key-redirect", "wrong-key", "hang-first"])
def test_the_key_is_in_no_error_and_no_log(server, backend, key, caplog, model):
    caplog.set_level(logging.DEBUG)
    failing = at(server.url, model, api_key_env=VARIABLE)
    _, response = answered(backend, failing)
    assert response.finish == "error"
    assert KEY[:6] not in str(response.error)
    assert KEY not in caplog.text + repr(failing)
    if model == "wrong-key":
        assert "***" in str(response.error)
        assert VARIABLE in str(response.error)


def test_an_echoed_key_is_in_no_list_of_models(scripted, backend, key):
    scripted.models = ["other", KEY]
    _, response = answered(backend, at(scripted.url, "goods", api_key_env=VARIABLE))
    assert KEY not in str(response.error)
    assert "***" in str(response.error)


def test_an_echoed_key_is_in_no_error_of_the_first_look(server, backend, monkeypatch):
    monkeypatch.setenv(VARIABLE, f"bad-key-{KEY}")
    with pytest.raises(WorkError, match=r"refuses the key.*Incorrect API key: \*\*\*") as raised:
        backend.load(at(server.url, "good", api_key_env=VARIABLE))
    assert KEY not in str(raised.value)
