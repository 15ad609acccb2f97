"""Answer keys, by which responses to a query are verified. They are the fields `answer`, `tests` and `check` of a line.

    answer   18                                     the final number of the response
             "Paris", ["Paris", "Paris, France"]    its answer, in any of these forms
             "B"                                    a letter; the line may have the texts of the `choices`
             {"regex": "[0-9]{4}"}                  found anywhere in it; or {"number"}, {"text"}, {"choice", "choices"}
    tests    ["assert add(1, 2) == 3"]              Python that its function passes in the sandbox
             {"function": "add", "code": "..."}     a program that calls the function; `prompt` is a program before it
    check    {"words": [50, 100], "items": 3}       counts, or [least, most] with null for no bound; also `characters`
             {"contains": "sea", "lacks": ["fish"]} texts, whatever their case
             {"json_schema": {...}, "json": true}   the response is JSON of this schema, or any
             {"solution": {"x": 5}}                 the values of variables
             {"language": "de"}                     ISO 639-1

A response is right if it satisfies all fields. `evaluation/verified` checks it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.strict_json import is_number

FIELDS = ("answer", "tests", "check")
MARK = "####"  # precedes the final answer of a worked solution, as in GSM8K
LETTER = re.compile(r"[A-J]")
LANGUAGE = re.compile(r"[a-z]{2}")
LONGEST_ANSWER = 80  # characters; longer texts are answers in logs, which responses do not repeat literally
AnswerKey = dict[str, Any]


def read_key(place: str, record: Mapping[str, Any]) -> AnswerKey | None:
    """The key of a line, normalised to one form per kind of answer; None if the line has no key.

    Raises:
        ZooterError: a field has an invalid form; the message names the line and the field.
    """
    fields = {name: record[name] for name in FIELDS if record.get(name) is not None}
    if _is_prose(fields.get("answer")) and record.get("choices") is None:
        del fields["answer"]
    if "answer" in fields:
        fields["answer"] = _answer(place, fields["answer"], record.get("choices"))
    if "tests" in fields:
        _tests(place, fields["tests"])
    if "check" in fields:
        _check(place, fields["check"])
    return fields or None


def _wrong(place: str, field: str, expected: str, value: Any) -> ZooterError:
    step = "Correct the line, or rename the field if it is none."
    return ZooterError(f'"{field}" as {expected} in {place}', repr(value)[:60], step)


def _answer(place: str, value: Any, choices: Any) -> AnswerKey:
    if _is_list(choices, _is_text) and not isinstance(value, dict):
        value = _lettered(place, value, choices)
    if is_number(value):
        return {"number": str(value)}
    if isinstance(value, str) and MARK in value:
        value = value.rpartition(MARK)[2].strip()
    if isinstance(value, str) and LETTER.fullmatch(value):
        value = {"choice": value} | ({"choices": choices} if choices is not None else {})
    if _is_texts(value):
        return {"text": value}
    return _checked(place, value)


def _lettered(place: str, value: Any, choices: Sequence[str]) -> Any:
    """The letter of an answer with a list of choices, which may be an index, a text, a letter or an answer of GSM8K."""
    if _is_count(value) and value < len(choices):  # an index, as in MMLU on the hub
        return chr(ord("A") + value)
    if value in choices:
        return chr(ord("A") + choices.index(value))
    if isinstance(value, str) and (MARK in value or LETTER.fullmatch(value)):
        return value
    raise _wrong(place, "answer", "a letter of `choices`, or the text of one", value)


def _checked(place: str, value: Any) -> AnswerKey:
    """An answer as an object, `{"number": ...}`, `{"text": ...}`, `{"regex": ...}` or `{"choice": ...}`."""
    kinds = set(value) - {"choices"} if isinstance(value, dict) else set()
    if len(kinds) != 1 or not kinds <= set(ANSWERS):
        expected = "a number, a text, a list of texts, or an object with number, text, regex or choice"
        raise _wrong(place, "answer", expected, value)
    kind = kinds.pop()
    good, expected = ANSWERS[kind]
    if not good(value[kind]):
        raise _wrong(place, f"answer.{kind}", expected, value[kind])
    if "choices" in value and not (kind == "choice" and _choices(value)):
        raise _wrong(place, "choices", "a list of two to ten texts that has the letter of `choice`", value["choices"])
    return dict(value)


def _choices(value: Mapping[str, Any]) -> bool:
    choices = value["choices"]
    return _is_list(choices, _is_text) and 2 <= len(choices) <= 10 and ord(value["choice"]) - ord("A") < len(choices)


def _tests(place: str, value: Any) -> None:
    if _is_texts(value):
        return
    names = ("function", "code", "prompt")
    if not isinstance(value, dict) or not set(value) <= set(names) or not {"function", "code"} <= set(value):
        raise _wrong(place, "tests", f"asserts in Python, or an object with {listed(names)}", value)
    for name, text in value.items():
        if not isinstance(text, str) or (name == "function" and not text.isidentifier()):
            raise _wrong(place, f"tests.{name}", "the name of a function" if name == "function" else "a text", text)


def _check(place: str, value: Any) -> None:
    if not isinstance(value, dict) or not value or not set(value) <= set(CHECKS):
        raise _wrong(place, "check", f"an object with one or more of {listed(list(CHECKS))}", value)
    for name, content in value.items():
        good, expected = CHECKS[name]
        if not good(content):
            raise _wrong(place, f"check.{name}", expected, content)


def _is_numeral(value: Any) -> bool:
    try:
        return is_number(value) or (isinstance(value, str) and math.isfinite(float(value)))
    except ValueError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_prose(value: Any) -> bool:
    return isinstance(value, str) and MARK not in value and len(value.strip()) > LONGEST_ANSWER


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(of, value))


def _is_texts(value: Any) -> bool:
    return _is_text(value) or _is_list(value, _is_text)


def _is_solution(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_is_numeral, value.values()))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_range(value: Any) -> bool:
    if not isinstance(value, list):
        return _is_count(value)
    if len(value) != 2 or value == [None, None] or not all(part is None or _is_count(part) for part in value):
        return False
    return None in value or value[0] <= value[1]


def _is_pattern(value: Any) -> bool:
    try:
        return _is_text(value) and re.compile(value) is not None
    except re.error:
        return False


Form = tuple[Callable[[Any], bool], str]  # a test of whether a value has the form, and the form's name
TEXTS: Form = (_is_texts, "a text or a list of texts")
RANGE: Form = (_is_range, "a whole number, or [least, most] with null for no bound")
ANSWERS: dict[str, Form] = {
    "number": (_is_numeral, "a finite number"),
    "text": TEXTS,
    "regex": (_is_pattern, "a regular expression of Python"),
    "choice": (lambda value: isinstance(value, str) and bool(LETTER.fullmatch(value)), "a letter from A to J"),
}
CHECKS: dict[str, Form] = {
    "json_schema": (lambda value: isinstance(value, dict), "a JSON schema"),
    "items": RANGE,
    "words": RANGE,
    "characters": RANGE,
    "lines": RANGE,
    "json": (lambda value: value is True, "true"),
    "solution": (_is_solution, "an object with the value of each variable"),
    "language": (lambda value: isinstance(value, str) and bool(LANGUAGE.fullmatch(value)), 'a code such as "de"'),
    "contains": TEXTS,
    "lacks": TEXTS,
}
