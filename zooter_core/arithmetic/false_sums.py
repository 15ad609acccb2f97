"""Finds sums with a wrong result in a text: "5 * 5 = 24" is wrong whatever the question.

Only clear cases count: numbers, signs between them, an equals sign and a result. Code is left out.
"""

from __future__ import annotations

import re
from fractions import Fraction

from zooter_core.arithmetic.sums import DOTTED, work_out
from zooter_core.arithmetic.units import KINDS

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
STARS = re.compile(r"^ *\* +|(?:^|(?<=[\s(]))\*\*(?=\S)|(?<=[\w.)%])\*\*(?=[\s.,;:!?)]|$)", re.MULTILINE)
NUMBER = r"[$€£]?(?:\d{1,3}(?:,\d{3})+|\d{1,30})(?:\.\d{1,12})?"  # more decimals are the noise of floats
SIGN = r"(?:\s?(?:\*\*|\\times|\\cdot|[-+*/^×÷·−–])\s?|\sx\s|(?<!\b0)x(?=\d))"
PART = rf"\({{0,3}}+{NUMBER}%?\){{0,3}}+"
BEFORE = re.compile(  # the end of a text before a sum that belongs to a longer expression
    r"(?:[\w.,)\]}%*/^+±×÷·√−–\"“-]|[)\]}%*/^+±×÷·−–-]\s|\d ?[ :'’] ?"
    r"|\b(?:x|plus|minus|times|by|of|over|and|from|than|per|percent|mod|twice|double|half|if|about|approximately|roughly"
    r"|sin|cos|tan|log|ln|step|day|week|month|year|page|chapter|question|level)\s)$",
    re.IGNORECASE,
)
AFTER = (
    r"(?!\w|[.,:'’]\d|\s?(?:[-−–+*/^×÷·=(%]|x\s|\\|\d{3}\b"
    r"|,? ?carry\b|mod\b|base\b|in (?:base|binary|hex|octal|mod)))"
)
UNIT = (  # may differ from the unit of the sum: "30 + 30 = 1 hour", "$1 / 2 = 50 cents", "500 + 500 = 1 kW"
    r"(?:[a-z]{1,3}|cents|pence|dollars?|euros?|square|cubic|dozen|hundred|[mbtr]+illion|thousand|pairs?|halves|thirds|quarters|\w+ths"
    rf"|{'|'.join(name for kind in KINDS for name in kind)})"
)
SUM = re.compile(
    rf"(?P<sum>(?<![\w.,])(?!(?<=\d, )\d{{3}}\b){PART}(?:{SIGN}{PART}){{1,20}}+)"
    rf"\s?=\s?(?P<result>[-−]?{NUMBER})(?P<percent>%)?{AFTER}(?P<unit>(?= {UNIT}(?!\w)))?",
    re.IGNORECASE,
)
NO_SUM = re.compile(r"\(?\d+[/–-]\d+\)?")  # "1/2 = 40" means half of something, "80-89 = 3" a range
BINARY = re.compile(r"[01]+(?: ?\+ ?[01]+)+ ?= ?[01]+")
SCALES = (Fraction(1), Fraction(100), Fraction(1, 100), Fraction(1, 1000))  # for percentages, cents, thousands
LONGEST = 20_000  # characters of a text that are searched
BEFORE_SUM = 16  # characters before a sum that are examined


def false_sums(text: str) -> list[str]:
    """The sums in a text with a wrong result, as they are written there.

    A result is right if it is correctly rounded to its digits.
    """
    text = STARS.sub("", CODE.sub(" ` ", text[:LONGEST]))
    return [
        match[0]
        for match in SUM.finditer(text)
        if not BEFORE.search(text, max(0, match.start() - BEFORE_SUM), match.start()) and _is_false(match)
    ]


def _is_false(match: re.Match[str]) -> bool:
    value = None if NO_SUM.fullmatch(match["sum"]) or DOTTED.search(match[0]) else work_out(match["sum"])
    if value is None:
        return False
    if BINARY.fullmatch(match[0]) and sum(int(n, 2) for n in re.findall("[01]+", match["sum"])) == int(
        match["result"], 2
    ):
        return False
    shown = match["result"].replace("−", "-")
    result, digits = Fraction(re.sub("[$€£,]", "", shown)), len(shown.partition(".")[2])
    exact = value.denominator == 1 or 10**digits % value.denominator == 0
    room = Fraction(0) if exact else Fraction(1, 2 * 10**digits) if digits else Fraction(1)  # 10 / 3 may be 3 or 4
    if match["unit"] is not None and not abs(value) / 2 <= abs(result) <= abs(value) * 2:
        return False
    cents = shown[0] in "$€£" and not re.search("[$€£]", match["sum"])
    scales = SCALES if cents or match["percent"] or "%" in match["sum"] else SCALES[:1]
    return all(
        abs(value - result * scale) > room * scale and int(value / scale * 10**digits) != result * 10**digits  # cut off
        for scale in scales
    )
