"""What the endpoint does with events: the candidate's name in them, and what it need not parse."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends.endpoint.events import chunk_of, payload
from zooter_core.serve.targets import is_plain, renamed, written

MODEL = b'"model":"math"'


TEXTS = st.text() | st.sampled_from(['"model":"x"', '\\"model\\":"x"', 'model":"x", "model', "{}[],:\n"])


@given(text=TEXTS, name=TEXTS, model_first=st.booleans(), compact=st.booleans())
def test_only_the_model_of_a_chunk_changes(text, name, model_first, compact):
    choices = {"choices": [{"index": 0, "delta": {"content": text}}]}
    shape = {"id": "1", "model": name} | choices if model_first else choices | {"model": name, "id": "1"}
    event = b"data: " + json.dumps(shape, separators=(",", ":") if compact else None).encode() + b"\n\n"
    assert chunk_of(payload(renamed(event, MODEL))) == shape | {"model": "math"}


def test_a_chunk_without_a_model_gets_one():
    event = b'data: {"choices": []}\n\n'
    assert chunk_of(payload(renamed(event, MODEL))) == {"choices": [], "model": "math"}
    assert renamed(b"data: [DONE]\n\n", MODEL) == b"data: [DONE]\n\n"
    assert renamed(b": a comment\n\n", MODEL) == b": a comment\n\n"
    assert chunk_of(payload(renamed(b'data: {"model": null, "choices": []}\n\n', MODEL)))["model"] == "math"


@pytest.mark.parametrize("between", [",", ", "])
@pytest.mark.parametrize(
    ("more", "plain"),
    [
        ({}, True),
        ({"usage": None, "error": None}, True),
        ({"delta": {"content": 'says "usage": 3, "finish_reason": "stop" and "error": 1'}}, True),
        ({"usage": {"completion_tokens": 3}}, False),
        ({"error": {"message": "no"}}, False),
        ({"finish_reason": "stop"}, False),
        ({"choices": [{"finish_reason": None}, {"finish_reason": "stop"}]}, False),
        ({"delta": {"reasoning_details": [{"data": "secret"}]}}, False),
    ],
)
def test_a_chunk_with_text_alone_is_plain(more, plain, between):
    choice = {"index": 0, "delta": more.get("delta", {"content": "Hi"}), "finish_reason": more.get("finish_reason")}
    shape = {"id": "1", "choices": more.get("choices", [choice])} | {
        n: more[n] for n in ("usage", "error") if n in more
    }
    separators = (between, between.replace(",", ":"))
    assert is_plain(b"data: " + json.dumps(shape, separators=separators).encode() + b"\n\n") is plain


def test_what_has_no_choice_is_not_plain():
    assert not is_plain(b"data: [DONE]\n\n")
    assert not is_plain(b": a comment\n\n")


def test_the_text_of_a_whole_answer_is_measured():
    call = {"function": {"name": "f", "arguments": "{}"}}
    assert written({"choices": [{"message": {"content": "caf\u00e9", "reasoning": "so", "tool_calls": [call]}}]}) == 9
    assert written({"output": [{"content": [{"text": "four"}]}, {"arguments": "{}"}, {"summary": []}]}) == 6
    assert written({"choices": [None, {"message": None}], "output": "x"}) == 0
