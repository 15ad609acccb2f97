"""Server-sent events as bytes: wherever a stream is cut, and whatever it holds."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.serve.targets import events
from zooter_core.serve.targets.events import Splitter, begins, chunk_of, payload, renamed

MODEL = b'"model":"math"'
STREAM = b': hi\n\ndata: {"a": "x\\n\\n"}\r\n\r\nevent: e\ndata: {"b":1}\n\ndata: [DONE]\r\n\r\n'


@given(st.lists(st.integers(0, len(STREAM)), max_size=6))
def test_events_are_whole_wherever_the_stream_is_cut(cuts):
    bounds = [0, *sorted(cuts), len(STREAM)]
    splitter = Splitter()
    parts = [STREAM[start:end] for start, end in itertools.pairwise(bounds)]
    found = [event for part in parts for event in splitter.feed(part)]
    assert b"".join(found) == STREAM
    assert [payload(event) for event in found] == [b"", b'{"a": "x\\n\\n"}', b'{"b":1}', b"[DONE]"]


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
