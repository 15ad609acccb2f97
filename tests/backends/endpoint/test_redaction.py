from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.backends.endpoint.events import Event
from zooter_core.backends.endpoint.redaction import MASK, SHORTEST, RedactedText, Redaction

KEY = "sk-4f9a0c77b1d2"
KEYS = st.text("ab", min_size=SHORTEST, max_size=SHORTEST + 6)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([KEY], [MASK]),
        (["a", KEY, "b"], ["a", MASK, "b"]),
        ([*KEY], ["", "", "", *[""] * (len(KEY) - 4), MASK]),
        (["sk", "y"], ["", "sky"]),
        (["s", "s", KEY[1:]], ["", "s", MASK]),
        ([f"{KEY}{KEY}s"], [MASK * 2]),
        (["no part of it"], ["no part of it"]),
    ],
)
def test_no_more_waits_than_may_be_the_key(parts, shown):
    stream = RedactedText(KEY)
    assert [stream.feed(part) for part in parts] == shown


@given(KEYS, st.data())
@settings(max_examples=2 * settings.default.max_examples)
def test_a_text_in_parts_is_the_whole_text_redacted(key, data):
    word = st.one_of(st.just(key), st.text("abc*", max_size=6), st.integers(1, len(key)).map(lambda n: key[:n]))
    text = "".join(data.draw(st.lists(word, max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stream, redact = RedactedText(key), Redaction(key)
    shown, come = "", ""
    for part in parts:
        shown, come = shown + stream.feed(part), come + part
        longest = max(n for n in range(len(key)) if n == 0 or come.endswith(key[:n]))
        assert len(redact(come)) - len(shown) <= longest
        assert redact(come).startswith(shown)
    rest = stream.end()
    assert shown + rest == redact(text) or (rest == MASK and len(redact(text)) - len(shown) >= SHORTEST)


def test_a_key_of_which_the_end_is_missing_is_replaced():
    stream = RedactedText(KEY)
    assert stream.feed(f"It is {KEY[:-1]}") == "It is "
    assert stream.end() == MASK
    assert stream.feed(KEY[:3]) == ""
    assert stream.end() == KEY[:3]
    assert stream.end() == ""


def test_a_short_key_is_replaced_in_messages_alone_and_without_a_key_nothing_changes():
    redact = Redaction("EMPTY")
    assert redact("the key EMPTY is wrong") == f"the key {MASK} is wrong"
    assert redact.data(b"an EMPTY box") == b"an EMPTY box"
    assert redact.events() is None
    for none in (Redaction(None), Redaction("")):
        assert (none("text"), none.data(b"text"), none.events()) == ("text", b"text", None)


def event(**shape: Any) -> bytes:
    return b"data: " + json.dumps(shape).encode()


def delta(text: str | None, index: int = 0, field: str = "content", finish: str | None = None) -> bytes:
    part = {} if text is None else {field: text}
    return event(id="1", choices=[{"index": index, "delta": part, "finish_reason": finish}])


def masked(events: list[bytes], key: str = KEY) -> list[Event]:
    mask = Redaction(key).events()
    assert mask is not None
    return [shown for event in events for shown in mask.feed(Event.of(event))] + mask.end()


def chunk_of(event: Event) -> dict[str, Any]:
    """The chunk of an event as it is sent on."""
    chunk = Event.of(event.encode().strip()).chunk
    assert chunk is not None
    return chunk


def texts(events: list[Event]) -> dict[tuple[int, str], str]:
    """The texts of a stream by choice and field."""
    joined: dict[tuple[int, str], str] = {}
    for event in events:
        for choice in chunk_of(event)["choices"]:
            for field, text in choice["delta"].items():
                place = (choice["index"], field)
                joined[place] = joined.get(place, "") + text
    return joined


def test_events_without_the_key_pass_as_they_came():
    events = [delta("The job"), delta(" is now"), b": a comment", delta(" done."), delta(None, finish="stop")]
    assert masked(events) == [Event.of(event) for event in events]


@given(cuts=st.lists(st.integers(0, len(KEY) + 10), max_size=6), escaped=st.booleans())
def test_a_key_that_is_split_over_events_is_masked(cuts, escaped):
    text = f"I am {KEY}, ok"
    bounds = sorted({0, *cuts, len(text)})
    parts = [text[start:end] for start, end in itertools.pairwise(bounds)]
    events = [delta(part) for part in parts]
    if escaped:  # as some servers write every letter that is not plain
        events = [event.replace(b"-", b"\\u002d") for event in events]
    shown = masked([*events, delta(None, finish="stop")])
    assert texts(shown) == {(0, "content"): f"I am {MASK}, ok"}
    assert not any(KEY[:5].encode() in event.encode() for event in shown)


@pytest.mark.parametrize("written", [r"sk-test/ab\"cd", r"sk-test\/ab\"cd", r"\u0073k-test\/ab\"cd"])
def test_a_key_that_escapes_hide_is_masked(written):
    """As PHP writes a slash, and as any letter may be written."""
    key = 'sk-test/ab"cd'
    for at in range(len(written) - 2, len(written) + 1):
        parts = [part for part in (written[:at], written[at:]) if part]
        events = [delta("PART").replace(b"PART", part.encode()) for part in parts]
        assert texts(masked(events, key)) == {(0, "content"): MASK}
    (elsewhere,) = masked([event(id="PART", choices=[]).replace(b"PART", written.encode())], key)
    assert key not in str(chunk_of(elsewhere))


@pytest.mark.parametrize("length", [64, 65, 66, 2000])
def test_a_key_as_long_as_a_token_of_a_cloud_is_masked(length):
    key = "".join(random.Random(1).choices("abcdefghij.-_", k=length))
    for cut in (1, length // 2, length - 1):
        shown = masked([delta(f"I am {key[:cut]}"), delta(f"{key[cut:]}, ok"), delta(f"or {key} here")], key)
        assert texts(shown) == {(0, "content"): f"I am {MASK}, okor {MASK} here"}


def test_the_texts_of_several_choices_and_fields_do_not_mix():
    half, rest = KEY[:6], KEY[6:]
    events = [delta(half), delta(half, 1), delta(rest, 1), delta(rest), delta(half, 0, "reasoning_content")]
    assert texts(masked(events)) == {(0, "content"): MASK, (1, "content"): MASK, (0, "reasoning_content"): half}


def test_an_end_that_only_looked_like_the_key_comes_before_what_follows():
    first, rest, finish, last = masked([delta(f"a {KEY[:3]}"), delta(None, finish="stop"), event(choices=[], usage={})])
    assert texts([first, rest]) == {(0, "content"): f"a {KEY[:3]}"}
    assert (chunk_of(finish)["choices"][0]["finish_reason"], chunk_of(last)) == ("stop", {"choices": [], "usage": {}})


def test_texts_of_the_responses_api_are_masked_too():
    def part(text: str) -> bytes:
        kind = "response.output_text.delta"
        return f"event: {kind}\n".encode() + event(type=kind, output_index=0, content_index=0, delta=text)

    done = event(type="response.output_text.done", text=f"{KEY} sk")
    shown = masked([part(KEY[:4]), part(KEY[4:] + " "), part("sk"), done])
    assert all(event.kind == b"response.output_text.delta" for event in shown[:-1])
    assert [chunk_of(event)["delta"] for event in shown[:-1]] == ["", f"{MASK} ", "", "sk"]
    assert chunk_of(shown[-1])["text"] == f"{MASK} sk"
