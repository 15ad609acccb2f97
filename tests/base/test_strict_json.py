from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.base.errors import WorkError
from zooter_core.base.strict_json import Joiner, clean, dump_json, parse_json, replace_surrogates

ROOT = Path(__file__).resolve().parents[2]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(SCALARS, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=20)
TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\ud800\ud83d\udbff\udc00\ude00\udfff"))


@given(VALUES)
def test_what_is_written_is_json_or_an_error_and_reads_back(value):
    try:
        text = dump_json(value)
    except WorkError:
        with pytest.raises(ValueError, match="Out of range"):
            json.dumps(value, allow_nan=False)
        return
    assert json.loads(text, parse_constant=pytest.fail) == parse_json(text) == value  # others know no NaN


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_not_finite_is_refused(number):
    with pytest.raises(ValueError, match=f"{number} is not a finite number"):
        parse_json(f'{{"scores": [1, {{"b": {number}}}]}}')


@pytest.mark.parametrize("text", ['"NaN"', '{"NaN": "Infinity"}', "1e308", "-1.5", "123456789012345678901234567890"])
def test_what_only_looks_like_one_is_read(text):
    assert parse_json(text) == json.loads(text)


@pytest.mark.parametrize("inner", ["NaN", '"\\ud800"', "1"])
def test_json_of_any_depth_is_read_or_refused(inner):
    for depth in (*range(900, 1000, 7), 10_000):
        with suppress(ValueError):  # at some depths Python reads it and something after that does not
            parse_json("[" * depth + inner + "]" * depth)


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


def test_no_other_module_writes_or_reads_json():
    """But for programs that run apart from this package (sandbox, the process of llama.cpp), files and tables of other
    programs, where NaN stands for what is missing, rewards of an endpoint, for which it is the same, and the events of
    an upstream server, which are passed on as they came."""
    files = [path for folder in ("zooter_core", "recipes", "pages") for path in (ROOT / folder).rglob("*.py")]
    apart = {
        "zooter_core/backends/gguf/child.py",
        "zooter_core/backends/endpoint/events.py",
        "zooter_core/base/strict_json.py",
        "zooter_core/data/json_records.py",
        "zooter_core/data/scores.py",
        "zooter_core/labelling/rewards/http.py",
    }
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    calls = ("json.dump", "json.load", "JSONDecoder(", "JSONEncoder(", "from json ")
    others = {name for name, text in texts.items() if any(call in text for call in calls)} - apart
    assert {name for name in others if not name.startswith("zooter_core/evaluation/sandbox/")} == set()
