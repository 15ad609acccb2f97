"""Checks the final answer of a response by a number, a text, a letter of multiple choice, or a regular expression."""

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

from zooter_core.arithmetic.sums import NAME, number_in
from zooter_core.base.errors import NotInstalledError, ZooterError, listed, one_line

Number = Decimal | Fraction
REGEX_SECONDS = 1  # time limit of a search, since some expressions take exponential time
SHOWN = 60  # characters of a text in a reason
LONGEST_FRACTION = 1000  # the largest denominator in a reason

LATEX_FRACTION = re.compile(r"(?<!\d)(\d*)\\[dt]?frac(?:\{(\d{1,30})\}\{(\d{1,30})\}| ?(\d) ?(\d))")
VULGAR_FRACTION = re.compile("[¼-¾⅐-⅞]")
POWER_OF_TEN = re.compile(  # "3 × 10^8"
    r"((?<=\d)\s?(?:×|\\times|\\cdot|[x*·])\s?|(?<![\d.]))10(?:\^\{?([-−]?\d{1,3})(?!\d)\}?|([⁻⁰¹²³⁴-⁹]+))"
)
SPACED = re.compile(r"(?<![\d.,/])\d{1,3}(?:[ \u00a0\u2009\u202f'’]\d{3})+(?![\d-])")  # "100 000"
NEGATIVE = re.compile(r"(?:^|(?<=is )|(?<=[:=] ))(?:minus|negative) (?=\d)", re.IGNORECASE | re.MULTILINE)
NUMBER = re.compile(  # 5/6 and 2 1/2, but no dates; 2,5 and 1.234,50; 1,234.5 and 6.02e23; not in CO2 or cm^2
    r"(?<!\^)(?<!\^[{−-])(?!(?<=[A-Za-z])\d(?![\d.]))"
    r"(?:(?<![/\d.,])(?:(?P<whole>\d{1,30}) )?(?P<over>\d{1,30})/(?P<under>\d{0,30}[1-9]\d{0,30})(?!/?\d|\.\d)"
    r"|(?P<comma>(?<![\d.,])(?:\d{1,3}(?:\.\d{3})+|\d{1,30}),\d{1,2}(?![\d,]|\.\d)|\d{1,3}(?:\.\d{3}){2,}(?![\d.]))"
    r"|(?:(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3}(?!\w))?)"
)
SCALES = dict.fromkeys(("%", "percent", "¢", "cent"), Decimal("0.01")) | {"dozen": Decimal(12)}
SCALES |= dict.fromkeys(("thousand", "k"), Decimal(1000)) | dict.fromkeys(("million", "m"), Decimal(10**6))
SCALES |= dict.fromkeys(("billion", "bn", "b"), Decimal(10**9))
SCALE = re.compile(
    r"\s?\\?(%|percent|¢|cent|dozen|thousand|million|billion)(?!s?+[a-z])|(k|m|bn?)(?!\w)", re.IGNORECASE
)
LEADS_WITH_NUMBER = re.compile(  # "12 is 15% of 80", "12 g, or 0.4 oz", "There are 3 r's", or "42" before more lines
    r"There (?:are|is) \W*\d.*|[*$€£(]*[-−]?\d[\d.,/]*[*)%]*"
    r"(?:(?: [^\s\d,;:=]+){0,2}?(?:(?:[,:;!]| [—–-]) .*| (?:or|out of)\b.*)|\. .*|\s(?:(?:is|are)\b.*|=[^=]*)"
    r"|\s*\n[\s\S]*)"
)
# Its first number is the answer: "It takes 840 minutes to groom 5 dogs", but not "The 12 apples are 5".
STATES_NUMBER = re.compile(
    r"(?:(?:Therefore|Thus|So|Hence),? )?(?!.*\band (?!\d|the\b|an?\b))"
    r"(?:there (?:are|is) |(?:(?!(?:of|from|with|if|when|for|in|at|after|by|to)\b)[^\s\d,;:=]+ ){2,}|(?=\*\*))"
    r"\W{0,4}\d++(?:[.,/]\d++)*+\W{0,3}(?:[^\s\d,;:=]*(?: [^\s\d,;:=]+){0,4}?)"
    r"(?:, (?:saving|which|or|so|as)| (?:than|in|after|for|to|by|of|on|at|per|each|from|with|within|or))\b[^=]*",
    re.IGNORECASE,
)
QUOTIENT = re.compile(r"(?<![\d,])\d[\d,]*+(?=,? (?:with (?:a )?)?r(?:em(?:ainder)?)? ?(?:of )?\d+\W*$)", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
MINUS = re.compile(r"(?<!\w)(?<![\d)\]%])(?<![\d)\]%]\s)[-−–][$€£]?$|[$€£][-−]$")  # not a hyphen or a subtraction
ASIDE = re.compile(  # "32 (16 * 2)", "9, because 3 + 6 = 9", "5, not 6"
    r"(?<=\d)([%°]?[\w*]{0,4}(?: [^\s\d(=+*/×-]{1,20}){0,8}?)"
    r"(?: [(\[][^()\[\]]*[)\]][.!]?\s*|,? (?:because|since)\b(?:(?![.!?]\s)[^\n,]|,(?=\d))*"
    r"|,? (?:(?:and )?not|rather than|instead of) \W{0,4}\d\S*\s*)$",
    re.IGNORECASE,
)
# "Do you want the 3 steps?"
OFFER = re.compile(r"(?<=[.!\n])\s*(?:Do|Would|Can|Could|Shall|Should|Want|Need|Any)\b[^.!?\n]*\?\s*$")
NUMBER_WORD = re.compile(rf"{NAME}|\b(?:once|twice|(?:half )?an?(?= (?:dozen|million|billion)\b))", re.IGNORECASE)
WORDS = {"once": "1", "twice": "2", "half a": "0.5"}
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
MARK = r"[(\[{*_\"'`\s]*+"  # brackets, bold and quotes before a letter
ANSWER_LETTER = (
    re.compile(  # possessive `*+`, since adjacent patterns for spaces would otherwise try each way to split them
        r"\banswer\b(?:\s++(?:is|must be|would be|should be)\b)?(?:\s*+[:=])?(?:\s*+(?:choice|option|letter)\b)?\s*+:?+"
        rf"{MARK}([A-J])(?![\w'’])(?P<after>.?.?)",
        re.IGNORECASE,
    )
)
ALONE = re.compile(rf"{MARK}([A-J])[)\]}}*_\"'`\s.:,]*", re.IGNORECASE)
LEADS = re.compile(r"\s*\**[(\[]?([A-J])[)\].:,]")
OPTION = re.compile(rf"\b(?:[Oo]ption|[Cc]hoice){MARK}([A-J])(?![\w'’])")
BRACKETED = re.compile(r"\(([A-J])\)")
BARE = re.compile(r"(?<![\w'’(])([B-HJ])(?![\w'’])")  # without A and I, which are words


def library(name: str, user: str) -> ModuleType:
    """Import a module of the extra `verify`. If it is not installed, the error message contains `user`, which is the
    part of a key that needs the module."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotInstalledError(name, user, "pip install 'zooter[verify]'") from None


def judged(text: str, answer: Any) -> tuple[bool, str]:
    """Whether the final answer of a response is right, and the reason.

    Args:
        answer: a number, a text, a list of alternative numbers and texts, or an object with `number`, `text`, `regex`,
            or `choice` and optionally `choices`.
    """
    key = answer if isinstance(answer, Mapping) else {"text": answer}
    if "number" in key:
        return _numeric(text, [key["number"]])
    if "regex" in key:
        return _matches(text, key["regex"])
    if "choice" in key:
        return _choice(text, key["choice"].strip().upper(), key.get("choices"))
    return _check_any(text, key["text"] if isinstance(key["text"], list) else [key["text"]])


def final_number(text: str) -> Number | None:
    """The final number of a response; None if it has no number.

    This is the last marked number ("#### 18", a box, "the answer is 18"), otherwise the last number. "$1,234.50" is
    1234.5, "5/6" is a fraction, and units are ignored. An aside at the end ("32 (16 * 2)") does not count. Number words
    count if there are no digits.
    """
    return next(iter(_final(plain_numbers(text))), None)


def plain_numbers(text: str) -> str:
    """The text with numbers in the forms of NUMBER: "1/2" for ½ or LaTeX's fraction, "3e8" for 3 × 10^8, "100000" for
    100 000, and digits for number words if there are no digits."""
    text = LATEX_FRACTION.sub(lambda match: f"{match[1]} {match[2] or match[4]}/{match[3] or match[5]}".lstrip(), text)
    text = VULGAR_FRACTION.sub(lambda match: f" {unicodedata.normalize('NFKC', match[0]).replace('⁄', '/')}", text)
    text = POWER_OF_TEN.sub(_with_e, text)
    text = SPACED.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    text = re.sub(r"(?<=\d):00\b", "", text)
    return NEGATIVE.sub("-", text if re.search(r"\d", text) else _with_digits(text))


def first_number(text: str) -> Number | None:
    readings = _readings(text)
    return readings[0][0] if readings else None


def letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter that a response chooses ("B", "(B)", "B. 12", "Answer: B", "The answer is B because ..."), or the
    letter of the only choice whose text it quotes; None if it is unclear."""
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
    """Whether one of the answers is right. Numbers, also as texts, are compared with the final number, and other texts
    with the final answer."""
    texts = [answer for answer in answers if _decimal(answer) is None]
    numbers = [answer for answer in answers if _decimal(answer) is not None]
    if not texts:
        return _numeric(text, numbers)
    right, reason = _textual(text, texts)
    if not right and numbers and (outcome := _numeric(text, numbers))[0]:
        return outcome
    return right, reason


def _numeric(text: str, answers: Sequence[Any]) -> tuple[bool, str]:
    wanted = [number for answer in answers if (number := _decimal(answer)) is not None]
    shares = [number / 100 for answer in answers if str(answer).rstrip().endswith("%") and (number := _decimal(answer))]
    text = plain_numbers(text)
    final = _final(text)
    if not final:
        return False, "The response has no number."
    stated, digits = [("The final number is", final)], _with_digits(text.strip())
    if LEADS_WITH_NUMBER.fullmatch(digits):
        stated.append(("The answer begins with", _readings(digits)[0]))
    if not any(mark.search(text) for mark in MARKS):
        sentence = SENTENCE_END.split(text.strip())[-1]
        _, equals, after = text.strip().rpartition("\n")[2].rpartition("=")  # "5 * 8 = 40 hours in 8 weeks"
        parts = [after] if equals else [sentence] if STATES_NUMBER.fullmatch(sentence) else QUOTIENT.findall(sentence)
        stated += [("The result is", readings[0]) for part in parts if (readings := _readings(part))]
    for words, numbers in stated:
        if any(_equals(number, one) for number in numbers for one in wanted) or numbers[-1] in shares:
            return True, f"{words} {_shown(numbers[0])}."
    return False, f"The final number is {_shown(final[0])}, not {listed(map(_shown, wanted), ' or ')}."


def _equals(number: Number, wanted: Number | None) -> bool:
    """Whether two numbers are equal. A fraction may be rounded or truncated to some decimals."""
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
    """Texts that may be the answer of a response: the text after or inside a mark, the last line that is not empty, the
    part of this line after "is", or the whole response."""
    plain = LATEX_TEXT.sub(r"\1", text)
    marked = [parts[-1] for parts in (MARKED.findall(plain), BOXED.findall(plain), ANSWER_IS.split(plain)[1:]) if parts]
    lines = [part.split("\n")[0] for part in map(str.strip, marked) if part]
    last = text.strip().splitlines()[-1]
    return [*lines, last, IS.split(last)[-1], text]


def _normal(text: str) -> str:
    """The text, normalised as in SQuAD: lower case, without punctuation and articles, single spaces. Unlike in SQuAD,
    symbols are kept, so that C, C++ and C# are different answers."""
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


def _with_e(power: re.Match[str]) -> str:
    exponent = unicodedata.normalize("NFKC", power[2] or power[3]).replace("−", "-")
    return f"{'' if power[1] else 1}e{exponent}"


def _with_digits(text: str) -> str:
    """The text with digits instead of number words."""
    return NUMBER_WORD.sub(_in_digits, text)


def _in_digits(word: re.Match[str]) -> str:
    return WORDS.get(word[0].lower()) or str(number_in(word[0]))


def _final(text: str) -> list[Number]:
    """The possible values of the final number of a text with plain numbers; empty if there is no number."""
    for pattern in MARKS:
        for part in reversed(pattern.findall(text)):
            part = next((piece for piece in REASON.split(part) if _readings(piece)), "")
            after = part.rpartition("=")[2]
            if readings := _readings(after) or _readings(part):
                return readings[0]
    readings = _readings(ASIDE.sub(r"\1", OFFER.sub("", text))) or _readings(text)
    return readings[-1] if readings else []


def _readings(text: str) -> list[list[Number]]:
    """The numbers of a text, each with all its possible values: "25 cents" may be 25 or 0.25, "2.500" 2.5 or 2500.

    A minus directly before a number counts unless it is a subtraction ("10-5" is 10 and 5).
    """
    numbers: list[list[Number]] = []
    for match in NUMBER.finditer(text):
        before = text[max(0, match.start() - 5) : match.start()]
        negative = MINUS.search(before)
        if match["over"]:
            fraction = int(match["whole"] or 0) + Fraction(int(match["over"]), int(match["under"]))
            numbers.append([-fraction if negative else fraction])
            continue
        written = match[0].replace(".", "").replace(",", ".") if match["comma"] else match[0].replace(",", "")
        value = Decimal(written)
        value = value.copy_negate() if negative and value else value
        numbers.append([value])
        if scale := SCALE.match(text, match.end()):
            numbers[-1].append(value * SCALES[(scale[1] or scale[2]).lower()])
        elif before[-1:] in tuple("$€£") and abs(value) < 1:
            numbers[-1].append(value.scaleb(2))
        elif value.as_tuple().exponent == -3 and abs(value) >= 1:
            numbers[-1].append(value.scaleb(3))
    return numbers


def _decimal(value: Any) -> Number | None:
    """The value of a number in a key, or of a text that is a number ("18", "-$1,200", "5%", "5/6"); otherwise None."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        signs = str(value).strip(" -−$€£%")
        return first_number(str(value)) if NUMBER.fullmatch(signs) else None
    return number if number.is_finite() else None


def _shown(value: object) -> str:
    """The value for a reason: short and on one line. An irrational root is shown with the digits of a float."""
    if isinstance(value, Fraction) and value.denominator > LONGEST_FRACTION:
        value = f"{float(value):.6g}"
    return one_line(str(value)[: 4 * SHOWN], SHOWN)
