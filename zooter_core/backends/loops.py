"""Answers that repeat themselves: small models at times write one line, or one sign, until the limit of tokens."""

from __future__ import annotations

import re

LEAST = 240  # characters of a repetition
TIMES = 4  # that something is written, however long it is
LONGEST = 300  # characters of what is repeated
EVERY = 40  # characters after which a text is looked at again
LETTERS = 12  # in a line whose numbers alone change: a list of numbers is no repetition
_NUMBER = re.compile(r"\d+")


def repeats(text: str) -> bool:
    """Whether a text ends in a repetition: the same characters again and again, or the same line with other numbers.

    It is at least LEAST characters long and has what is repeated at least TIMES.
    """
    end = text[-(LONGEST * TIMES) - LONGEST :]
    if _period(end):
        return True
    plain = _NUMBER.sub("0", end)
    unit = plain[-period:] if (period := _period(plain)) else ""
    return sum(letter.isalpha() for letter in unit) >= LETTERS


def _period(end: str) -> int:
    """The length of what is repeated at the end of a text; 0 if nothing is."""
    for period in range(1, min(LONGEST, len(end) // TIMES) + 1):
        length = max(LEAST, TIMES * period)
        quick = end[-1] == end[-1 - period]  # most periods end here
        if quick and len(end) >= length and end[-length:-period] == end[-length + period :]:
            return period
    return 0


class Watch:
    """Looks at one answer while it grows."""

    def __init__(self) -> None:
        self._looked = 0

    def repeats(self, text: str) -> bool:
        """Whether the answer repeats itself; it is looked at every EVERY characters."""
        if len(text) < self._looked + EVERY:
            return False
        self._looked = len(text)
        return repeats(text)
