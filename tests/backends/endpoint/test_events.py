"""Server-sent events as bytes: wherever a stream is cut, and whatever it holds."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends.endpoint import events
from zooter_core.backends.endpoint.events import Splitter, begins, payload

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
