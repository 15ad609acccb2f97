"""Server-sent events as bytes: wherever a stream is cut, and whatever it holds."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.serve.targets import events
from zooter_core.serve.targets.events import Splitter, begins, chunk_of, is_plain, payload, renamed, written

MODEL = b'"model":"math"'
STREAM = b': hi\n\ndata: {"a": "x\\n\\n"}\r\n\r\nevent: e\ndata: {"b":1}\n\ndata: [DONE]\r\n\r\n'


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_events_are_whole_wherever_the_stream_is_cut(cuts):
    bounds = [0, *sorted(cuts), len(STREAM)]
    splitter = Splitter()
    parts = [STREAM[start:end] for start, end in itertools.pairwise(bounds)]
    events = [event for part in parts for event in splitter.feed(part)]
    assert b"".join(events) == STREAM
    assert [payload(event) for event in events] == [b"", b'{"a": "x\\n\\n"}', b'{"b":1}', b"[DONE]"]


def test_the_last_event_needs_no_blank_line():
    splitter = Splitter()
    assert list(splitter.feed(b"data: 1\n\ndata: 2")) == [b"data: 1\n\n"]
    assert splitter.end() == b"data: 2\n\n"
    assert splitter.end() == b""


def test_an_event_without_an_end_is_not_kept(monkeypatch):
    monkeypatch.setattr(events, "LONGEST_EVENT", 10)
    with pytest.raises(events.EventTooLongError):
        list(Splitter().feed(b"data: 123456"))


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


@pytest.mark.parametrize(
    ("choice", "token"),
    [
        ({"delta": {"role": "assistant", "content": ""}}, False),
        ({"delta": {"content": "Hi"}}, True),
        ({"delta": {"tool_calls": [{"index": 0}]}}, True),
        ({"delta": {"reasoning_content": "Hm"}}, True),
        ({"delta": {}, "finish_reason": "stop"}, True),
        ({"delta": None}, False),
        ("text", False),
    ],
)
def test_where_an_answer_begins(choice, token):
    assert begins({"choices": [choice]}) is token


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
