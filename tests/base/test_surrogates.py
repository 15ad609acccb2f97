from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.strict_json import parse_json
from zooter_core.base.surrogates import Joiner, clean, replace_surrogates

TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud800\ud83d\udbff\udc00\ude00\udfff"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ☕ 👩", "plain ☕ 👩"),
        ("a\ud800b", "a\ufffdb"),
        ("\udfff", "\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ud83d\ud83d\ude00\ude00", "\ufffd😀\ufffd"),
        ("end \ud83d", "end \ufffd"),
    ],
)
def test_halves_become_one_character_or_a_replacement(text, expected):
    assert replace_surrogates(text) == expected
    assert parse_json(json.dumps({text: [text, 1, {"x": text}]})) == {expected: [expected, 1, {"x": expected}]}
    raw = json.dumps([text], ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert parse_json(raw) == [expected]


@given(TEXT)
def test_every_text_can_be_written_afterwards(text):
    replace_surrogates(text).encode("utf-8")
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert replace_surrogates(text) == text
    assert parse_json(json.dumps(text)) == clean(json.loads(json.dumps(text)))


@given(st.lists(TEXT))
def test_pieces_join_to_the_whole(pieces):
    joiner = Joiner()
    shown = [joiner.add(piece) for piece in pieces]
    assert "".join(shown) + joiner.close() == replace_surrogates("".join(pieces))
    assert joiner.close() == ""
    for piece in shown:
        piece.encode("utf-8")
