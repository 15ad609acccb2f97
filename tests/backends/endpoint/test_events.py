"""Server-sent events: wherever a stream is cut, and whatever it holds."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends.endpoint.events import Event, EventSplitter, begins

ENDS = (b"\n", b"\r\n", b"\r")
EVENTS = [b'data: {"a": "x\\n\\n"}', b'event: e\ndata: {"b":1}', b"data: [DONE]"]


def check_cut(end: bytes, cuts: Sequence[int], more: int = 0) -> None:
    text = b": alive" + end * 2 + b"".join(event.replace(b"\n", end) + end * (2 + more) for event in EVENTS)
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    splitter = EventSplitter()
    parts = [text[start:stop] for start, stop in itertools.pairwise(bounds)]
    split = [Event.of(event) for part in parts for event in splitter.feed(part)]
    assert [(event.others, event.data, event.chunk) for event in split] == [
        ([], b'{"a": "x\\n\\n"}', {"a": "x\n\n"}),
        ([b"event: e"], b'{"b":1}', {"b": 1}),
        ([], b"[DONE]", None),
    ]
    assert splitter.end() == b""


@pytest.mark.parametrize("end", ENDS)
def test_events_are_whole_wherever_the_stream_is_cut_in_two(end):
    for cut in range(90):
        check_cut(end, [cut])


@given(st.sampled_from(ENDS), st.lists(st.integers(0, 90), max_size=6), st.integers(0, 2))
def test_events_are_whole_however_often_the_stream_is_cut_and_however_lines_end(end, cuts, more):
    check_cut(end, cuts, more)


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.booleans())
def test_what_nobody_changes_goes_on_as_it_came(chunk, escaped):
    event = Event.of(b"id: 7\ndata: " + json.dumps(chunk, ensure_ascii=escaped).encode("utf-8", "replace"))
    again = Event.of(event.encode().strip())
    assert (again.others, again.chunk) == ([b"id: 7"], event.chunk)


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
