"""A key that a server repeats is in nothing that is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zooter_core.backends.endpoint.connection import Watcher, _StreamReader
from zooter_core.backends.endpoint.events import Event
from zooter_core.backends.endpoint.redaction import MASK, Redaction

KEY = "sk-4f9a0c77b1d2"


def shown(raw: bytes, key: str = KEY) -> Event:
    """An event of a stream as it is shown."""

    class AnyToken(Watcher):
        def look(self, event: Event) -> bool:
            return True

    reader = _StreamReader(Redaction(key), AnyToken(), 10_000)
    reader.read(raw + b"\n\n")
    (event,) = reader.events
    return event


def event(**shape: Any) -> bytes:
    return b"data: " + json.dumps(shape).encode()


def test_a_short_key_is_replaced_in_messages_alone_and_without_a_key_nothing_changes():
    redact = Redaction("EMPTY")
    assert redact("the key EMPTY is wrong") == f"the key {MASK} is wrong"
    assert redact.data(b"an EMPTY box") == b"an EMPTY box"
    for none in (Redaction(None), Redaction("")):
        assert (none("text"), none.data(b"text"), none.shape(["text"])) == ("text", b"text", ["text"])


def test_events_without_the_key_pass_as_they_came():
    for raw in (event(delta="The job"), b"event: e\ndata: [DONE]", event(text="half \ud83d")):
        assert shown(raw) == Event.of(raw)


@pytest.mark.parametrize("written", [r"sk-test/ab\"cd", r"sk-test\/ab\"cd", r"\u0073k-test\/ab\"cd"])
def test_a_key_that_escapes_hide_is_masked(written):
    """As PHP writes a slash, and as any letter may be written."""
    key = 'sk-test/ab"cd'
    raw = event(id="PART", choices=[{"delta": {"content": "I am PART, ok"}}]).replace(b"PART", written.encode())
    assert shown(raw, key).chunk == {"id": MASK, "choices": [{"delta": {"content": f"I am {MASK}, ok"}}]}


def test_texts_and_names_of_any_event_are_masked():
    raw = f"event: {KEY}\n".encode() + event(type="response.output_text.done", text=f"{KEY} sk", **{KEY: 1})
    masked = shown(raw)
    assert masked.kind == MASK.encode()
    assert masked.chunk == {"type": "response.output_text.done", "text": f"{MASK} sk", MASK: 1}
