"""Judge the final answer of a response: a number, a text, a letter of multiple choice, or a regular expression."""

from __future__ import annotations

import importlib
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from types import ModuleType
from typing import Any

from zooter_core.arithmetic.sums import NUMBERS
from zooter_core.base.errors import NotInstalledError, ZooterError, listed, one_line

Number = Decimal | Fraction
REGEX_SECONDS = 1  # of one search: some expressions take exponential time
SHOWN = 60  # characters of a text in a reason
LONGEST_FRACTION = 1000  # of a denominator in a reason

LATEX_FRACTION = re.compile(r"(?<!\d)(\d*)\\[dt]?frac\{(\d{1,30})\}\{(\d{1,30})\}")
NUMBER = re.compile(  # 5/6 and 2 1/2, but no date; 2,5; 1,234.5 and 6.02e23
    r"(?<![/\d.,])(?:(?P<whole>\d{1,30}) )?(?P<over>\d{1,30})/(?P<under>\d{0,30}[1-9]\d{0,30})(?!/?\d|\.\d)"
    r"|(?P<comma>(?<![\d.,])\d{1,30},\d{1,2}(?![\d,]|\.\d))"
    r"|(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?"
)
LEADS_WITH_NUMBER = re.compile(  # "12 is 15% of 80", "There are 3 r's", or "42" and more lines
    r"There (?:are|is) \**\d.*|[*$€£(]*[-−]?\d[\d.,/]*[*)%]*(?:[,:;.] .*|\s(?:is|are|because|since)\b.*|\s*\n[\s\S]*)"
)
MINUS = re.compile(r"(?<!\w)(?<![\d)\]%])(?<![\d)\]%]\s)[-−][$€£]?$|[$€£][-−]$")  # no hyphen, no subtraction
ASIDE = re.compile(r"(?<=\d)((?: [a-z]+)?) \([^()]*\)[.!]?\s*$", re.IGNORECASE)
NUMBER_WORDS = {name: value for value, name in enumerate(NUMBERS)} | {"once": 1, "twice": 2}
NUMBER_WORD = re.compile(rf"(?<![\w-])(?:{'|'.join(NUMBER_WORDS)})(?![\w-])", re.IGNORECASE)
MARKED = re.compile(r"####(.*)")
BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
ANSWER_IS = re.compile(r"\banswer(?:\s+is|\s*[:=])", re.IGNORECASE)
IS = re.compile(r"\b(?:is|are|was|were)\b|(?<=\w)['’]s\b")  # "The capital of France is Paris."
ANSWER = re.compile(f"{ANSWER_IS.pattern}(.*)", re.IGNORECASE)
REASON = re.compile(r"[,;]\s|\b(?:because|since)\b")  # "The answer is 9, since 3 + 6 = 9"
MARKS = (MARKED, BOXED, ANSWER)
LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm)\{([^{}]*)\}")
ARTICLES = {"a", "an", "the"}

LETTERS = string.ascii_uppercase[:10]
MARK = r"[(\[{*_\"'`\s]*+"  # before a letter: brackets, bold, quotes
ANSWER_LETTER = (
    re.compile(  # possessive `*+`: two patterns for the same spaces would otherwise try every way to share them
        r"\banswer\b(?:\s++(?:is|must be|would be|should be)\b)?(?:\s*+[:=])?(?:\s*+(?:choice|option|letter)\b)?\s*+:?+"
        rf"{MARK}([A-J])(?![\w'’])(?P<after>.?.?)",
        re.IGNORECASE,
    )
)
ALONE = re.compile(rf"{MARK}([A-J])[)\]}}*_\"'`\s.:,]*", re.IGNORECASE)
LEADS = re.compile(r"\s*\**[(\[]?([A-J])[)\].:,]")
OPTION = re.compile(rf"\b(?:[Oo]ption|[Cc]hoice){MARK}([A-J])(?![\w'’])")
BRACKETED = re.compile(r"\(([A-J])\)")
BARE = re.compile(r"(?<![\w'’(])([B-HJ])(?![\w'’])")  # A and I are words


def library(name: str, user: str) -> ModuleType:
    """A module of the extra `verify`. Where it is not installed, the error names `user`, the part of a key that needs
    it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotInstalledError(name, user, "pip install 'zooter[verify]'") from None


def judged(text: str, answer: Any) -> tuple[bool, str]:
    """Whether the final answer of a response is right, and why.

    Args:
        answer: a number, a text, a list of these of which any is right, or an object with `number`, `text`, `regex`,
            or `choice` and perhaps `choices`.
    """
    key = answer if isinstance(answer, Mapping) else {"text": answer}
    if "number" in key:
        return _numeric(text, [_decimal(key["number"])])
    if "regex" in key:
        return _matches(text, key["regex"])
    if "choice" in key:
        return _choice(text, key["choice"].strip().upper(), key.get("choices"))
    return _check_any(text, key["text"] if isinstance(key["text"], list) else [key["text"]])


def final_number(text: str) -> Number | None:
    """The final number of a response: the last marked number ("#### 18", a box, "the answer is 18"), or else the last
    number; None if it has none. "$1,234.50" is 1234.5, "5/6" is a fraction, and units are ignored. An aside at the end
    ("32 (16 * 2)") does not count, and words up to twenty do where there are no digits."""
    text = plain_fractions(text)
    for pattern in MARKS:
        for part in reversed(pattern.findall(text)):
            part = next((piece for piece in REASON.split(part) if _numbers(piece)), "")
            after = part.rpartition("=")[2] if _numbers(part.rpartition("=")[2]) else part
            if (number := first_number(after)) is not None:
                return number
    if numbers := _numbers(ASIDE.sub(r"\1", text)):
        return numbers[-1]
    words = NUMBER_WORD.findall(text)
    return Decimal(NUMBER_WORDS[words[-1].lower()]) if words else None


def plain_fractions(text: str) -> str:
    """A text with LaTeX's fractions as "5/6"."""
    return LATEX_FRACTION.sub(lambda match: f"{match[1]} {match[2]}/{match[3]}".lstrip(), text)


def first_number(text: str) -> Number | None:
    numbers = _numbers(text)
    return numbers[0] if numbers else None


def letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a response chooses ("B", "(B)", "B. 12", "Answer: B", "The answer is B because ..."), or that of
    the only choice whose text it quotes; None if it is unclear."""
    letters = LETTERS[: len(choices)]
    if (alone := ALONE.fullmatch(text)) and alone.group(1).upper() in letters:
        return alone.group(1).upper()
    for match in reversed(list(ANSWER_LETTER.finditer(text))):
        if match.group(1).upper() in letters and not _is_article(match):
            return match.group(1).upper()
    if (leads := LEADS.match(text)) and leads.group(1) in letters:
        return leads.group(1)
    for pattern in (OPTION, BRACKETED, BARE):
        marks = {mark for mark in pattern.findall(text) if mark in letters}
        if len(marks) == 1:
            return marks.pop()
    quoted = [
        mark
        for mark, choice in zip(letters, choices, strict=False)
        if choice.strip() and re.search(rf"(?<!\w){re.escape(choice.strip())}(?!\w)", text, re.IGNORECASE)
    ]
    return quoted[0] if len(quoted) == 1 else None


def _check_any(text: str, answers: Sequence[Any]) -> tuple[bool, str]:
    """Numbers, and texts that are one number, against the final number; other texts against the final answer."""
    numbers = [number for answer in answers if (number := _decimal(answer)) is not None]
    texts = [answer for answer in answers if _decimal(answer) is None]
    if not texts:
        return _numeric(text, numbers)
    right, reason = _textual(text, texts)
    if not right and numbers and (outcome := _numeric(text, numbers))[0]:
        return outcome
    return right, reason


def _numeric(text: str, wanted: Sequence[Number | None]) -> tuple[bool, str]:
    number = final_number(text)
    if number is None:
        return False, "The response has no number."
    if any(_equals(number, one) for one in wanted):
        return True, f"The final number is {_shown(number)}."
    digits = NUMBER_WORD.sub(lambda word: str(NUMBER_WORDS[word[0].lower()]), text.strip())
    first = first_number(digits) if LEADS_WITH_NUMBER.fullmatch(digits) else None
    if first is not None and any(_equals(first, one) for one in wanted):
        return True, f"The answer begins with {_shown(first)}."
    _, equals, after = text.strip().rpartition("\n")[2].rpartition("=")  # "5 * 8 = 40 hours in 8 weeks"
    result = first_number(after) if equals and not any(mark.search(text) for mark in MARKS) else None
    if result is not None and any(_equals(result, one) for one in wanted):
        return True, f"The result is {_shown(result)}."
    return False, f"The final number is {_shown(number)}, not {listed(map(_shown, wanted), ' or ')}."


def _equals(number: Number, wanted: Number | None) -> bool:
    """Whether two numbers are equal. A fraction may be rounded or cut off after some decimal."""
    if not isinstance(wanted, Fraction) or isinstance(number, Fraction):
        return number == wanted
    digits = -int(number.as_tuple().exponent)
    return number == wanted or (
        digits > 0 and number in (round(wanted, digits), Fraction(int(wanted * 10**digits), 10**digits))
    )


def _textual(text: str, wanted: Sequence[str]) -> tuple[bool, str]:
    answers = _final_texts(text)
    if right := {_normal(answer) for answer in wanted} & {_normal(answer) for answer in answers}:
        return True, f'The answer is "{_shown(right.pop())}".'
    names = listed((f'"{_shown(answer)}"' for answer in wanted), " or ")
    return False, f'The answer is "{_shown(answers[0])}", not {names}.'


def _matches(text: str, pattern: str) -> tuple[bool, str]:
    shown = _shown(pattern)
    regex = library("regex", "An answer key with `regex`")
    try:
        if match := regex.search(pattern, text, timeout=REGEX_SECONDS):
            return True, f'"{_shown(match.group())}" matches {shown}.'
    except regex.error as problem:
        raise ZooterError("a regular expression as `regex` of an answer key", f"{shown} ({problem})") from problem
    except (TimeoutError, MemoryError):
        return False, f"Searching {shown} took longer than {REGEX_SECONDS} s."
    return False, f"Nothing in the response matches {shown}."


def _choice(text: str, wanted: str, choices: Sequence[str] | None) -> tuple[bool, str]:
    chosen = letter(text, choices or [""] * len(LETTERS))
    if chosen is None:
        return False, f"It is not clear which choice the response makes; {wanted} is right."
    return chosen == wanted, f"The choice is {chosen}{'' if chosen == wanted else f', not {wanted}'}."


def _final_texts(text: str) -> list[str]:
    """What may be the answer of a response: after or inside a mark, its last line that is not empty, what that line
    ends in after "is", or all of it."""
    plain = LATEX_TEXT.sub(r"\1", text)
    marked = [parts[-1] for parts in (MARKED.findall(plain), BOXED.findall(plain), ANSWER_IS.split(plain)[1:]) if parts]
    lines = [part.split("\n")[0] for part in map(str.strip, marked) if part]
    last = text.strip().splitlines()[-1]
    return [*lines, last, IS.split(last)[-1], text]


def _normal(text: str) -> str:
    """A text as SQuAD compares answers: lower case, without punctuation and articles, single spaces. Symbols stay,
    unlike there: C, C++ and C# are three answers."""
    words = "".join(
        letter for letter in text.lower() if letter in "#%" or not unicodedata.category(letter).startswith("P")
    ).split()
    return " ".join(word for word in words if word not in ARTICLES) or " ".join(words) or text.strip().lower()


def _is_article(match: re.Match[str]) -> bool:
    """Whether the letter is the word "a" or "i", as in "the answer is a little odd"."""
    mark, after = match.group(1), match.group("after")
    if mark.islower():
        return not (after == "" or after[0] in ").]:,*")
    return mark == "I" and bool(re.match(r"\s[a-z]", after))


def _numbers(text: str) -> list[Number]:
    """The numbers of a text; a minus directly before one counts unless it is a subtraction ("10-5" is 10 and 5)."""
    numbers: list[Number] = []
    for match in NUMBER.finditer(text):
        negative = MINUS.search(text[max(0, match.start() - 5) : match.start()])
        if match["over"]:
            fraction = int(match["whole"] or 0) + Fraction(int(match["over"]), int(match["under"]))
            numbers.append(-fraction if negative else fraction)
        else:
            value = Decimal(match[0].replace(",", "." if match["comma"] else ""))
            numbers.append(value.copy_negate() if negative and value else value)
    return numbers


def _decimal(value: Any) -> Number | None:
    """A number of a key, or a text that is one ("18", "-$1,200", "5%", "5/6"); None for another text."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        signs = str(value).strip(" -−$€£%")
        return first_number(str(value)) if NUMBER.fullmatch(signs) else None
    return number if number.is_finite() else None


def _shown(value: object) -> str:
    """A part of a reason: short, on one line. A root that is no fraction is one to the digits of a float."""
    if isinstance(value, Fraction) and value.denominator > LONGEST_FRACTION:
        value = f"{float(value):.6g}"
    return one_line(str(value)[: 4 * SHOWN], SHOWN)
