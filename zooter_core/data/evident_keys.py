"""The answer key that a query's own text holds: a sum to work out, equations to solve, a form that it asks for.

Only what leaves no doubt: "What is 17 * 23?", "the average of 4, 8 and 15", "Solve 3x - 4 = 11", "Write a poem",
"five bullet points", "under 50 words", "as JSON".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from zooter_core.base.records import Query
from zooter_core.base.sums import NUMBERS, sum_in, value_of
from zooter_core.data.answer_keys import AnswerKey

LONGEST = 600  # characters of a query that is looked at; longer ones quote texts
COUNT = rf"(\d{{1,4}}|{'|'.join(NUMBERS[1:])})"
MOST_DIGITS = 6  # to which a result without an end may be rounded
SOLVE = re.compile(r"^\W*(?:please |can you |could you )*(?:solve|find|what is|determine)\b", re.IGNORECASE)
EQUATION = re.compile(r"[-\d.a-z(][-\d.a-z()+*/^×÷·−\s]*?=[-\d.a-z()+*/^×÷·−\s]*[\d.a-z)]", re.IGNORECASE)
VARIABLE = re.compile(r"(?<![a-z])[a-z](?![a-z])", re.IGNORECASE)
BETWEEN = re.compile(r",|;|\band\b|\bfor\b|\bif\b|\bwhen\b|\bwhere\b|\bequations?\b|\bsystem\b|\bof\b|:", re.IGNORECASE)
PIECE = r"(?:poem|verse|rhyme|stanza|limerick|text|story|summary|answer|reply|slogan)"
VERSE = [2, None]  # lines
WANTED = r"\b(?:write|compose|create|give|make)(?: me| us)? (?:an?|another|one)"
KIND = (
    r"(?: (?!(?:of|about|for|on|from|to|in|with|a|an|the|prose)\b)[\w'-]+,?){0,3}"  # "short funny": of the piece itself
)
FORMS: tuple[tuple[str, str, Callable[[int], Any]], ...] = (  # a pattern, a check of a key, and its value for a count
    (rf"{WANTED}{KIND} haiku\b|^(?:an? )?haiku (?:about|on)\b", "lines", lambda count: 3),
    (rf"\b{COUNT}[- ]line {PIECE}\b", "lines", lambda count: count),
    (rf"\b{PIECE}\b[^.?!]{{0,60}}\b(?:of|in|with) (?:exactly )?{COUNT} lines?\b", "lines", lambda count: count),
    (
        rf"{WANTED}{KIND} (?:poem|limerick|sonnet|ballad)\b|^(?:an? )?(?:poem|limerick) (?:about|on)\b",
        "lines",
        lambda _: VERSE,
    ),
    (rf"\b{COUNT} (?:bullet points|bullets|bulleted items|list items)\b", "items", lambda count: count),
    (rf"\b(?:numbered|bulleted|bullet) list (?:of|with) {COUNT}\b", "items", lambda count: count),
    (rf"\bexactly {COUNT} words\b", "words", lambda count: count),
    (rf"\bat least {COUNT} words\b", "words", lambda count: [count, None]),
    (
        rf"\b(?:at most|no more than|a maximum of|up to|under|fewer than|less than) {COUNT} words\b",
        "words",
        lambda count: [None, count],
    ),
    (
        r"\b(?:as|return|output|respond (?:in|with)|answer (?:in|with)) (?:only )?(?:valid )?json\b",
        "json",
        lambda _: True,
    ),
)


def asks_form_alone(key: Mapping[str, Any]) -> bool:
    """Whether a key checks nothing but a form, such as three lines: a response that has it may still be a bad one."""
    return set(key) == {"check"} and set(key["check"]) <= {check for _, check, _ in FORMS}


def key_of(query: Query) -> AnswerKey | None:
    """The answer key from which a router learns: the one that a query came with, else what its text holds.

    Being in lines is no outcome of a poem: it only places prose below verse where responses are ranked.
    """
    if query.key:
        return dict(query.key)
    key = key_in(query.text)
    return None if key == {"check": {"lines": VERSE}} else key


def key_in(text: str) -> AnswerKey | None:
    """What a query's text asks for that can be checked; None if there is no such thing."""
    text = " ".join(text.split()).replace("’", "'")
    if not text or len(text) > LONGEST:
        return None
    if (parts := sum_in(text)) and (result := value_of(parts[1])) is not None:
        return {"answer": _forms_of(result)}
    if solution := _solution(text):
        return {"check": {"solution": solution}}
    checks: dict[str, Any] = {}
    for pattern, check, value in FORMS:
        if match := re.search(pattern, text, re.IGNORECASE):
            checks.setdefault(check, value(_count(match[1]) if match.lastindex else 0))
    return {"check": checks} if checks else None


def _count(word: str) -> int:
    return NUMBERS.index(word.lower()) if word.lower() in NUMBERS else int(word)


def _forms_of(value: Fraction) -> AnswerKey:
    """The number as a key: exact, or each way to round one without an end."""
    digits = next((digits for digits in range(MOST_DIGITS + 1) if 10**digits % value.denominator == 0), None)
    if digits is not None:
        return {"number": _decimal(value, digits)}
    return {"text": [_decimal(value, digits) for digits in range(1, MOST_DIGITS + 1)]}


def _decimal(value: Fraction, digits: int) -> str:
    return f"{float(round(value, digits)):.{digits}f}" if digits else str(round(value))


def _solution(text: str) -> dict[str, str] | None:
    """The only solution of one linear equation, or of two with two variables; None if the text asks for no such one."""
    if not SOLVE.search(text):
        return None
    equations = [match[0] for part in BETWEEN.split(SOLVE.sub("", text)) if (match := EQUATION.search(part))]
    names = sorted({name for equation in equations for name in VARIABLE.findall(equation)})
    if not 1 <= len(names) == len(equations) <= 2:
        return None
    rows = [row for equation in equations if (row := _row(equation, names))]
    values = _solved(rows) if len(rows) == len(equations) else None
    return dict(zip(names, map(str, values), strict=True)) if values else None


def _row(equation: str, names: list[str]) -> list[Fraction] | None:
    """The coefficients of an equation and what they give; None if it is not linear."""
    left, _, right = equation.partition("=")

    def difference(*values: int) -> Fraction | None:
        sides = []
        for side in (left, right):
            side = re.sub(r"(?<=[\d)])\s?\(", "*(", side)
            for name, value in zip(names, values, strict=True):
                side = re.sub(rf"(?<=[\d)])\s?{name}(?![a-z])", f"*({value})", side)
                side = re.sub(rf"(?<![a-z]){name}(?=\s?\()", f"({value})*", side)
                side = re.sub(rf"(?<![a-z]){name}(?![a-z])", f"({value})", side)
            sides.append(value_of(side) if not re.search(r"[a-z]", side, re.IGNORECASE) else None)
        return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]

    places = range(len(names))
    points = [
        [0 for _ in places],
        *([int(place == number) for place in places] for number in places),
        [3 for _ in places],
    ]
    values = [value for point in points if (value := difference(*point)) is not None]
    if len(values) < len(points):
        return None
    zero, *ones, further = values
    factors = [one - zero for one in ones]
    return [*factors, -zero] if further == zero + 3 * sum(factors) and any(factors) else None


def _solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    if len(rows) == 1:
        return [rows[0][1] / rows[0][0]] if rows[0][0] else None
    (a, b, e), (c, d, f) = rows
    determinant = a * d - b * c
    return [(e * d - b * f) / determinant, (a * f - e * c) / determinant] if determinant else None
