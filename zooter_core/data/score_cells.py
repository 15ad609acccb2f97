"""Reads cells of score files: scores (numbers, words or signs), responses, and missing values."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import LARGEST_SCORE
from zooter_core.base.strict_json import is_number
from zooter_core.data.json_records import as_number

MISSING = re.compile(r"[-–—?.]*|n[./]?a\.?|<na>|nan|null|none|#[\w/]+[!?]?")  # the last are errors of spreadsheets
# The last words of each set are those of Excel in German, French, Spanish, Italian, Portuguese and Dutch.
RIGHT = """pass passed correct right yes y win won good like liked thumbs_up 👍 ✓ ✔ ✅
true wahr vrai verdadero vero verdadeiro waar"""
WRONG = """fail failed incorrect wrong no n loss lose lost bad dislike disliked thumbs_down 👎 ✗ ✘ ❌
false falsch faux falso onwaar"""
TIE = "tie tied draw"
WORDS = {word: score for words, score in ((RIGHT, 1.0), (TIE, 0.5), (WRONG, 0.0)) for word in words.split()}
SHARE = re.compile(r"\s*[\d.,]+\s*(/|out of |%)")
STARS, NO_STAR = "★⭐☆", "☆"
LARGEST_SCALE = 100
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
THOUSANDS = re.compile(r"(?<=\d)(\.(?=(\d{3}\.)*\d{3},\d)|,(?=(\d{3},)*\d{3}\.\d))")  # in 1.234,5 or 1,234.5


@dataclass
class Scale:
    """Reads the scores of a file, which must have the same scale: shares such as 8/10 or 80%, or other numbers."""

    share: str = ""  # the first share in the file, with its place
    high: str = ""  # the first other number above 1

    def read(self, value: object, whose: str) -> float | None:
        """The score in a cell: a number, which may have a decimal comma or a percent sign, or a word such as true.

        Returns:
            The score; None if it is missing.

        Raises:
            ZooterError: the cell is not a score, or the file has scores on two scales.
        """
        if is_missing(value):
            return None
        number = read_number(value)
        if number is None:
            step = "Write numbers (higher is better), true and false, or yes and no; leave missing scores empty."
            raise ZooterError(f"a number as the score of {whose}", repr(value)[:40], step)
        if not -LARGEST_SCORE <= number <= LARGEST_SCORE:
            expected = f"a number from {-LARGEST_SCORE:g} to {LARGEST_SCORE:g} as the score of {whose}"
            raise ZooterError(expected, repr(value)[:40], "Rescale the scores, or remove the line.")
        if isinstance(value, str) and SHARE.match(value):
            self.share = self.share or f"{value.strip()} for {whose}"
        elif number > 1:
            self.high = self.high or f"{value} for {whose}"
        if self.share and self.high:
            step = "Write all of them as shares, such as 8/10 or 80%, or none."
            raise ZooterError("scores on one scale", f"{self.share} and {self.high}", step)
        return number


def is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and MISSING.fullmatch(value.strip().lower()) is not None)


def read_number(value: object) -> float | None:
    """The number in a cell or a JSON value; None if it is not a number."""
    if isinstance(value, str):
        return _number_in_text(value.replace("\ufe0f", "").strip().lower())
    return float(value) if isinstance(value, bool) or is_number(value) else None


def _number_in_text(text: str) -> float | None:
    text = text.replace(" out of ", "/")
    if text[:1].isdigit():
        text = text.partition("(")[0].rstrip()  # "4 (good)"
    if text.endswith("%"):
        percent = _as_decimal(text[:-1].rstrip())
        return None if percent is None else percent / 100
    if text and not text.strip(STARS):
        return float(len(text) - text.count(NO_STAR))
    points, slash, scale = (part.strip() for part in text.partition("/"))  # 4/5, but not a date
    number = WORDS.get(points, _as_decimal(points))
    if not slash or number is None:
        return number
    most = as_number(scale)
    return number / most if most and number <= most <= LARGEST_SCALE else None


def _as_decimal(text: str) -> float | None:
    """The number in a text, which may have a decimal comma or thousands separators."""
    if "," in text:
        text = THOUSANDS.sub("", text)
    return as_number(text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text)


def as_response(value: object) -> str | None:
    """The response in a cell, which may be a number in JSON; None if there is none."""
    return value if isinstance(value, str) else str(value) if is_number(value) else None
