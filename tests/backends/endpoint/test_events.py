"""Server-sent events: wherever a stream is cut, and whatever it holds."""

from __future__ import annotations

import pytest

from zooter_core.backends.endpoint.events import Event, EventSplitter, begins

ENDS = (b"\n", b"\r\n", b"\r")
EVENTS = [b'data: {"a": "x\\n\\n"}', b'event: e\ndata: {"b":1}', b"data: [DONE]"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("empty_lines", [1, 3])
def test_events_are_whole_wherever_the_stream_is_cut_in_two(end, empty_lines):
    """In single bytes: tests/faults/test_foreign_answers.py."""
    text = b"".join(event.replace(b"\n", end) + end * (1 + empty_lines) for event in (b": alive", *EVENTS))
    for cut in range(len(text)):
        splitter = EventSplitter()
        split = [Event.of(event) for part in (text[:cut], text[cut:]) for event in splitter.feed(part)]
        assert [(event.others, event.data, event.chunk) for event in split] == [
            ([], b'{"a": "x\\n\\n"}', {"a": "x\n\n"}),
            ([b"event: e"], b'{"b":1}', {"b": 1}),
            ([], b"[DONE]", None),
        ]
        assert splitter.end() == b""


def test_the_last_event_needs_no_empty_line():
    splitter = EventSplitter()
    assert list(splitter.feed(b"data: 1\n\ndata: 2")) == [b"data: 1"]
    assert [splitter.end(), splitter.end()] == [b"data: 2", b""]


CHUNKS = {
    b'data:{"a":1}': {"a": 1},
    b'data: {"a":\ndata: 1}': {"a": 1},
    **dict.fromkeys((b"data: null", b"data: [1]", b"data: {half", b"data: " + b'{"a":' * 100_000)),
    b'error: {"code": 400}': {"error": {"code": 400}},
    b"error: out of memory": {"error": "out of memory"},
    b'{"error": {\n"code": 400}}': {"error": {"code": 400}},
}


def test_what_is_in_an_event():
    assert {raw: Event.of(raw).chunk for raw in CHUNKS} == CHUNKS


def test_what_is_no_json_goes_on_too_and_half_a_character_stays_escaped():
    for raw in (b"event: ping\ndata: pong", b"data: a\ndata: b", rb'data: {"a":"\ud83d"}'):
        assert Event.of(raw).encode() == raw + b"\n\n"


def test_where_an_answer_begins():
    deltas = ({"content": "Hi"}, {"tool_calls": [{"index": 0}]}, {"reasoning_content": "Hm"})
    for choice in (*({"delta": delta} for delta in deltas), {"delta": {}, "finish_reason": "stop"}):
        assert begins({"choices": [choice]})
    for finish in ("", " ", False, None):
        assert not begins({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": finish}]})
    for choice in ({"delta": None}, "text"):
        assert not begins({"choices": [choice]})
