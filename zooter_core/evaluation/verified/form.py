"""Checks the form of a response: its JSON, its length, its language, and the texts that it contains."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from zooter_core.base.errors import ZooterError, listed, one_line
from zooter_core.base.strict_json import parse_json
from zooter_core.evaluation.verified.answers import final_number, first_number, library, plain_numbers
from zooter_core.evaluation.verified.code import BLOCK

Check = Callable[[str, Any], tuple[bool, str]]  # (response, value in the key) -> (right, reason)
ITEM = re.compile(
    r"^([ \t>]*)(?:[-*+–—]\s|[•‣●▪◦○·✅]|\*{0,2}\(?(?:\d+[.)]|[a-z]\))\*{0,2}\s)(?=.*[^-*\s])", re.MULTILINE
)
SCHEMAS = ("jsonschema", "jsonschema_specifications")
TITLE = re.compile(r"\A(?:#.*|([*_]{1,3})[^*_\n]+\1|.*:[* ]*)\n\s*(?![*_\s])")  # or a line that introduces others
APART = re.compile(r"\A.*\n[ \t]*\n|\n[ \t]*\n.*\Z")  # an optional first or last line, such as "Sure!"
LANGUAGE_CHARACTERS = 20_000  # enough to recognise the language


def has_json(text: str, schema: Any) -> tuple[bool, str]:
    """Whether the response, or its only fenced block, is JSON that is valid against a schema."""
    jsonschema, drafts = (library(name, "An answer key with `json_schema`") for name in SCHEMAS)
    if not (outcome := is_json(text, True))[0]:
        return outcome
    try:
        data = parse_json(_json_in(text))
        difference = next(_differences(data, schema, jsonschema, drafts), "")
    except (RecursionError, ArithmeticError, ValueError) as problem:
        difference = type(problem).__name__  # for example for extreme values
    if difference:
        return False, f"The JSON does not fit the schema: {one_line(difference)}."
    return True, "The JSON fits the schema."


def _differences(data: Any, schema: Any, jsonschema: Any, drafts: Any) -> Iterator[str]:
    """The differences of JSON from a schema. References to other documents are not followed."""
    from referencing.exceptions import Unresolvable

    validator = jsonschema.validators.validator_for(schema)(schema, registry=drafts.REGISTRY)
    try:
        yield from (f"{error.json_path}: {error.message}" for error in validator.iter_errors(data))
    except (Unresolvable, re.error) as problem:
        raise ZooterError("a JSON schema that is complete, as `json_schema`", one_line(str(problem))) from problem


def is_in_language(text: str, code: str) -> tuple[bool, str]:
    """Whether a response is in the language of an ISO 639-1 code, according to py3langid."""
    language = library("py3langid", "An answer key with `language`").classify(text[:LANGUAGE_CHARACTERS])[0]
    return language == code.lower(), f"The language is {language}{'' if language == code.lower() else f', not {code}'}."


def _contains(wanted: bool) -> Check:
    """A check that a response contains all of the texts (if `wanted`) or none of them, ignoring case."""
    has, misses = ("contains", "lacks") if wanted else ("lacks", "contains")

    def check(text: str, texts: str | list[str]) -> tuple[bool, str]:
        parts = [texts] if isinstance(texts, str) else texts
        wrong = [part for part in parts if (part.casefold() in text.casefold()) != wanted]
        quoted = listed(f'"{one_line(part)}"' for part in wrong)
        return not wrong, f"The response {misses} {quoted}." if wrong else f"The response {has} what it should."

    return check


def items(text: str) -> int:
    """The number of list items, without those of nested lists."""
    indents = [len(indent) for indent in ITEM.findall(text)]
    outermost = min(indents, default=0) + 1  # numbers may be aligned to the right
    return sum(indent <= outermost for indent in indents)


def words(text: str) -> int:
    """The number of words, without the marks of list items."""
    return sum(any(map(str.isalnum, word)) for word in ITEM.sub("", text).split())


def lines(text: str) -> int:
    """The number of lines with text, without a title."""
    return sum(bool(line.strip(" \t`-=*_")) for line in TITLE.sub("", text.lstrip()).splitlines())


def is_json(text: str, wanted: Any) -> tuple[bool, str]:
    """Whether the response, or its only fenced block, is JSON."""
    try:
        parse_json(_json_in(text))
    except (ValueError, RecursionError) as problem:
        return False, f"The response is not JSON ({one_line(str(problem))})."
    return True, "The response is JSON."


def _json_in(text: str) -> str:
    blocks: list[str] = BLOCK.findall(text)
    return blocks[0] if len(blocks) == 1 else text


def solves(text: str, solution: dict[str, Any]) -> tuple[bool, str]:
    """Whether a response gives each variable its value, by the last "x = ...". If there is only one variable and no
    equals sign, by the final number."""
    text = plain_numbers(text)
    for name, value in solution.items():
        stated = re.findall(
            rf"(?<![A-Za-z\d)*/^]){name}\s*=\s*([-−]?\s?(?:\d+ (?=\d+/))?[\d.,/]*\d)(?![\d.]*\s?[-+*/^(]|\w)", text
        )
        final = first_number(re.sub(r"([-−])\s", r"\1", stated[-1])) if stated else None
        if final is None and len(solution) == 1:
            final = final_number(text)
        if final is None:
            return False, f"The response does not say what {name} is."
        number = Fraction(final)
        if abs(number - Fraction(value)) >= Fraction(1, 100) or (number != Fraction(value) and number.denominator == 1):
            return False, f"{name} is {value}, not {stated[-1] if stated else final}."
    return True, f"The solution is {listed(f'{name} = {value}' for name, value in solution.items())}."


def _counted(name: str) -> Check:
    """A check that a number equals an integer, or is between two bounds. A bound of null is open."""

    def check(text: str, wanted: Any) -> tuple[bool, str]:
        numbers = [COUNTS[name][0](part) for part in (text, APART.sub("", text.strip()))]
        least, most = (wanted, wanted) if isinstance(wanted, int) else wanted
        fitting = [n for n in numbers if (least is None or n >= least) and (most is None or n <= most)]
        right, number = bool(fitting), (fitting or numbers)[0]
        return right, f"The response has {_amount(name, number)}{'' if right else f', not {_range(wanted)}'}."

    return check


def _amount(name: str, number: int) -> str:
    noun = COUNTS[name][1]
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}"


def _range(wanted: Any) -> str:
    least, most = (wanted, wanted) if isinstance(wanted, int) else wanted
    if least is None or most is None:
        return f"at least {least}" if most is None else f"at most {most}"
    return f"{least}" if least == most else f"{least} to {most}"


def lacking(text: str, check: Mapping[str, Any]) -> str:
    """A few words on what a response has instead of the form that the query's text asks for (numbers or JSON); "" if it
    has this form."""
    for name, wanted in check.items():
        if not CHECKS[name](text, wanted)[0]:
            return f"{_amount(name, COUNTS[name][0](text))}, {_range(wanted)} asked" if name in COUNTS else "no JSON"
    return ""


COUNTS: dict[str, tuple[Callable[[str], int], str]] = {
    "items": (items, "list items"),
    "words": (words, "words"),
    "characters": (lambda text: len(text.strip()), "characters"),
    "lines": (lines, "lines"),
}
CHECKS: dict[str, Check] = {
    **{name: _counted(name) for name in COUNTS},
    "contains": _contains(True),
    "lacks": _contains(False),
    "language": is_in_language,
    "json_schema": has_json,
    "json": is_json,
    "solution": solves,
}
