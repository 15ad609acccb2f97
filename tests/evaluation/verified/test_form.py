from __future__ import annotations

import sys

import pytest

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation.verified import Verification, verify

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}


def right(text, **check):
    return verify(text, {"check": check}).right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "Ana", "age": 3}', True), ('Here it is:\n```json\n{"name": "Ana"}\n```\nDone.', True),
        ('Here it is: {"name": "Ana"}', False),
        ('```json\n{"name": "Ana"}\n```\nor\n```json\n{"name": "Bo"}\n```', False), ('{"age": 3}', False),
        ('{"name": "ana"}', False), ('{"name": "Ana", "age": -1}', False), ('{"name": "Ana", "age": NaN}', False),
        ('{"name": "Ana"', False), ("[" * 100_000 + "]" * 100_000, False),
    ],
)  # fmt: skip
def test_json(text, expected):
    assert right(text, json_schema=PERSON) is expected


def test_a_reason_says_where_json_differs():
    reason = "The JSON does not fit the schema: $.age: 'x' is not of type 'integer'."
    assert verify('{"name": "Ana", "age": "x"}', {"check": {"json_schema": PERSON}}) == Verification(False, reason)


def test_extreme_json_is_wrong_and_does_not_raise():
    nested = {"type": "array", "items": {"$ref": "#"}}
    assert not right("[" * 900 + "]" * 900, json_schema=nested)
    assert not right("9" * 5000, json_schema={"type": "integer"})
    assert not right("1" + "0" * 400, json_schema={"multipleOf": 0.3})


def test_no_schema_is_fetched_from_elsewhere():
    with pytest.raises(ZooterError, match="complete"):
        right("{}", json_schema={"$ref": "http://127.0.0.1:9/schema.json"})


LIST = "Three of them:\n- one\n  - more of one\n- two\n* three"


@pytest.mark.parametrize(
    ("text", "check", "expected"),
    [
        (LIST, {"items": 3}, True), (LIST, {"items": [4, None]}, False), ("1. a\n2) b\n• c", {"items": 3}, True),
        ("   9. a\n  10. b", {"items": 2}, True), ("**Bold** and -5, no list\n---", {"items": 0}, True),
        ("+ a\n- b\n**3.** c\n▪ d\n\n* * *", {"items": 4}, True), ("- a – b\n2. c ...", {"words": 3}, True),
        ("**Snow**\n\na\nb\nc", {"lines": 3}, True), ("# Snow\na\n---\nb", {"lines": 2}, True),
        ("Snow\n\na\nb\nc\n\nDo you like it?", {"lines": 3}, True), ("a\n\nb\n\nc", {"lines": 3}, True),
        ("a\n\nb\nc", {"lines": 4}, False), ("— a\n(2) b\nc) d\n✅ e", {"items": 4}, True),
        ("*a*\n*b*\nc:\nd", {"lines": 4}, True), ("> 1. a\n> 2. b", {"items": 2}, True),
        ("one two  three", {"words": 3}, True), ("one two three", {"words": [None, 2]}, False),
        ("one two three", {"words": [2, 4]}, True), (" four\n", {"characters": 4}, True),
        ("four", {"characters": [5, None]}, False), ("Dear ANA", {"contains": "ana"}, True),
        ("Dear Ana", {"contains": ["ana", "bo"]}, False), ("Dear Ana", {"lacks": "Bo"}, True),
        ("Dear Ana", {"lacks": ["bo", "ana"]}, False),
        ("Guten Morgen, wie geht es dir heute?", {"language": "de"}, True),
        ("Good morning, how are you today?", {"language": "de"}, False),
        ("one two", {"words": 2, "contains": "two"}, True), ("one two", {"words": 2, "contains": "three"}, False),
        (r"$x = \frac{1}{3}$ and $y = -\frac{2}{3}$", {"solution": {"x": "1/3", "y": "-2/3"}}, True),
        ("x = - 3 1/2", {"solution": {"x": "-7/2"}}, True), ("x = 3,5", {"solution": {"x": "7/2"}}, True),
        ("That is 2/3.", {"solution": {"x": "1/3"}}, False), ("1/3 of it", {"solution": {"x": "1/3"}}, True),
    ],
)  # fmt: skip
def test_checks(text, check, expected):
    assert right(text, **check) is expected


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ({"words": 2}, "The response has 2 words."), ({"words": 3}, "The response has 2 words, not 3."),
        ({"words": [3, 5]}, "The response has 2 words, not 3 to 5."),
        ({"words": [3, None]}, "The response has 2 words, not at least 3."),
        ({"words": [None, 1]}, "The response has 2 words, not at most 1."),
        ({"contains": ["one", "six"]}, 'The response lacks "six".'),
        ({"lacks": "one"}, 'The response contains "one".'),
        ({"words": 2, "lacks": "six"}, "All 2 parts of the key hold."),
    ],
)  # fmt: skip
def test_reasons_are_sentences(check, reason):
    assert verify("One two", {"check": check}).reason == reason
    assert verify("It is 5.79.", {"check": {"solution": {"x": "5"}}}).reason == "x is 5, not 5.79."


@pytest.mark.parametrize(
    ("package", "key"),
    [
        ("regex", {"answer": {"regex": "a"}}),
        ("jsonschema", {"check": {"json_schema": {}}}),
        ("py3langid", {"check": {"language": "en"}}),
    ],
)
def test_a_library_that_is_not_installed_is_named(monkeypatch, package, key):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ZooterError, match=rf"needs the package {package}.*zooter\[verify\]"):
        verify("{}", key)
