from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.backends.http.redaction import MASK, SHORTEST, Redaction

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
    stream = Redaction(KEY).stream()
    assert [stream.feed(part) for part in parts] == shown


@given(KEYS, st.data())
@settings(max_examples=5 * settings.default.max_examples)
def test_a_text_in_parts_is_the_whole_text_redacted(key, data):
    word = st.one_of(st.just(key), st.text("abc*", max_size=6), st.integers(1, len(key)).map(lambda n: key[:n]))
    text = "".join(data.draw(st.lists(word, max_size=8)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    stream, redact = Redaction(key).stream(), Redaction(key)
    shown, come = "", ""
    for part in parts:
        shown, come = shown + stream.feed(part), come + part
        longest = max(n for n in range(len(key)) if n == 0 or come.endswith(key[:n]))
        assert len(redact(come)) - len(shown) <= longest
        assert redact(come).startswith(shown)
    rest = stream.end()
    assert shown + rest == redact(text) or (rest == MASK and len(redact(text)) - len(shown) >= SHORTEST)


def test_a_key_of_which_the_end_is_missing_is_replaced():
    stream = Redaction(KEY).stream()
    assert stream.feed(f"It is {KEY[:-1]}") == "It is "
    assert stream.end() == MASK
    assert stream.feed(KEY[:3]) == ""
    assert stream.end() == KEY[:3]
    assert stream.end() == ""


def test_a_short_key_is_replaced_in_messages_alone():
    redact = Redaction("EMPTY")
    assert redact("the key EMPTY is wrong") == f"the key {MASK} is wrong"
    assert redact.stream().feed("an EMPTY box") == "an EMPTY box"


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_nothing_changes(key):
    assert Redaction(key)("text") == "text"
    stream = Redaction(key).stream()
    assert (stream.feed("text"), stream.end()) == ("text", "")
