"""Derives answer keys from the texts of queries: arithmetic to compute, equations to solve, or a form to write in.

Only unambiguous texts give a key: "What is 17 * 23?", "How many r are in berry?", "Solve 3x - 4 = 11", "Write a poem",
"five bullet points", "under 50 words", "as JSON".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from zooter_core.arithmetic.exact_answers import exact_answer
from zooter_core.arithmetic.exercises import LONGEST, equations_in, sum_in
from zooter_core.arithmetic.sums import NUMBERS, rounded, work_out
from zooter_core.base.records import Query
from zooter_core.data.answer_keys import AnswerKey

COUNT = rf"(\d{{1,4}}|{'|'.join(NUMBERS[1:])})"
MOST_DIGITS = 6  # of a decimal result; other results are fractions
PIECE = r"(?:poem|verse|rhyme|stanza|limerick|text|story|summary|answer|reply|slogan|essay|paragraph)"
WITH = r"(?:(?!stanzas|verses)[^.?!]){0,60}\b(?:of|in|with)"
QUOTE = re.compile(r"\"[^\"]*\"|“[^”]*”")  # a quoted request is not a request to the model
DOUBT = re.compile(  # a count of a part of the response; an existing text; or a question on how to write one
    rf"\b(?:then|and (?:its|explain|describe|{COUNT})|each|every|prose|translate)\b"
    rf"|\b(?:I have|these|following|the|my|your) {COUNT}[- ](?:bullet|list|line|word)"
    r"|\b(?:has|have|had|is|are|was|were) exactly\b"
    r"|^(?:is|are|how (?:do|can|should|to) (?:I |you |we )?(?:write|compose|create|make))\b",
    re.IGNORECASE,
)
VERSE = [2, None]  # lines
WANTED = r"\b(?:write|compose|create|give|make)(?: me| us)? (?:an?|another|one)"
KIND = r"(?: (?!(?:of|about|for|on|from|to|in|with|a|an|the)\b)[\w'-]+,?){0,3}"  # as in a "short funny" poem
ENDS = r"\b(?= (?:about|on|of|for|in|with|that|to|from|using)\b|[^\w\s]|$)"  # a "poem generator" is not a poem
POEM = rf"{WANTED}{KIND} (?:poem|limerick|sonnet|ballad){ENDS}|^(?:an? )?(?:poem|limerick) (?:about|on)\b"
# The text before a count of the response; it must not be "sentences with", "no less than", "about" or "should be".
REPLY = r"(?:answer|reply|respond|response)(?: with)?"
ITS = rf"(?:^|[,:;.?!(] ?|\b(?:as|in|into|using|use|write|give|me|it|{REPLY}) |{WANTED}{KIND} {PIECE} (?:of|with) )"
WORDS = rf"{COUNT} words\b(?! per | a minute)"
UP_TO = rf"{ITS}(?:at most|no more than|a maximum of|up to|under|fewer than|less than) {WORDS}"
LINES = rf"(?<!the )(?<!my )(?<!this )\b{PIECE}\b{WITH} (?:exactly )?{COUNT} lines?\b(?! or)"
BULLETS = r"(?:bullet points|bullets|bulleted items|list items)\b(?! or\b| max)"
ABOUT = r"(?:what|who|which|how|is|are|do|does)\b"  # the beginning of a question about such a form
PROGRAM = r"\b(?:how (?:do|can|to)|what does|function|method|script|code|program|file|endpoint|api|python|javascript)\b"
SHOW = r"(?:please |can you )?(?:give|list|show|write|make|create|return|output|provide|generate|extract)\b.* as"
TELL = r"(?:.*(?<!not )(?<!n't )\b)?(?:return|output|(?:respond|answer|reply) (?:in|with|as)|^as)"
AS_JSON = rf"^(?!.*{PROGRAM})(?:{SHOW}|{TELL}) (?:only )?(?:valid )?json\b"
FORMS: tuple[tuple[str, str, Callable[[int], Any]], ...] = (  # pattern, a check in keys, its value for a count
    (rf"{WANTED}{KIND} haiku{ENDS}|^(?:an? )?haiku (?:about|on)\b", "lines", lambda count: 3),
    (rf"^(?!{ABOUT})(?:.*\b(?:an?|write) )?{COUNT}[- ]line {PIECE}\b", "lines", lambda count: count),
    (rf"^(?!{ABOUT}).*{LINES}", "lines", lambda count: count),
    (POEM, "lines", lambda _: VERSE),
    (rf"(?:{ITS}|\b(?:with|list|exactly) ){COUNT} {BULLETS}", "items", lambda count: count),
    (rf"\b(?:numbered|bulleted|bullet) list (?:of|with) {COUNT}\b", "items", lambda count: count),
    (rf"{ITS}exactly {WORDS}", "words", lambda count: count),
    (rf"{ITS}at least {WORDS}", "words", lambda count: [count, None]),
    (UP_TO, "words", lambda count: [None, count]),
    (rf"{ITS}{WORDS} or (?:less|fewer)\b", "words", lambda count: [None, count]),
    (AS_JSON, "json", lambda _: True),
)


def asks_form_alone(key: Mapping[str, Any]) -> bool:
    """Whether a key checks only a form, such as three lines. A response with this form may still be bad."""
    return set(key) == {"check"} and set(key["check"]) <= {check for _, check, _ in FORMS}


def derive_key(query: Query) -> AnswerKey | None:
    """The answer key from which a router learns: the query's own key, otherwise the key from its text."""
    return dict(query.key) if query.key else outcome_in(query.text)


def outcome_in(text: str) -> AnswerKey | None:
    """The key from a text, if it decides whether a response is right.

    The number of lines of a poem does not. It is only used to rank prose below verse.
    """
    key = key_in(text)
    return None if key == {"check": {"lines": VERSE}} else key


def key_in(text: str) -> AnswerKey | None:
    """The key from a query's text; None if nothing in it can be checked."""
    text = " ".join(text.split()).replace("’", "'")
    if not text or len(text) > LONGEST:
        return None
    if (parts := sum_in(text)) and (result := work_out(parts[1])) is not None:
        return {"answer": _spell_out(result)}
    if equations := equations_in(text):
        return {"check": {"solution": {name: str(value) for name, value in equations.solution.items()}}}
    if (exact := exact_answer(text)) and exact[1].isdigit():
        return {"answer": {"number": exact[1]}}
    text = QUOTE.sub("", text)
    if DOUBT.search(text):
        return None
    checks: dict[str, Any] = {}
    for pattern, check, value in FORMS:
        if match := re.search(pattern, text, re.IGNORECASE):
            checks.setdefault(check, value(_count(match[1]) if match.lastindex else 0))
    return {"check": checks} if checks else None


def _count(word: str) -> int:
    return NUMBERS.index(word.lower()) if word.lower() in NUMBERS else int(word)


def _spell_out(value: Fraction) -> AnswerKey:
    value = value.limit_denominator(10**12)  # √2 * √2 is 2
    digits = next((digits for digits in range(MOST_DIGITS + 1) if 10**digits % value.denominator == 0), None)
    if digits is None:
        return {"text": str(value)}
    return {"number": rounded(value, digits)}
