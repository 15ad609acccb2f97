"""An answer of a model on this machine, while it is generated: its text, its thoughts, its times and its end."""

from __future__ import annotations

import re
import time

from zooter_core.backends import Piece, Request
from zooter_core.backends.thoughts import Splitter, still_thinking
from zooter_core.base.errors import Failure
from zooter_core.base.records import Finish, Response

# Small models at times write one line, or one sign, until the limit of tokens.
LEAST = 240  # characters of a repetition
TIMES = 4  # that something is written, however long it is
LONGEST = 300  # characters of what is repeated
EVERY = 40  # characters after which a text is looked at again
LETTERS = 12  # in a line whose numbers alone change: a list of numbers is no repetition
_NUMBER = re.compile(r"\d+")


class GrowingAnswer:
    """The answer to one request.

    Attributes:
        text: all that has come, with thoughts and their tags.
        splitter: separates the thoughts; replace it if the prompt has opened them.
        started: when generation began; None if it has not.
    """

    def __init__(self, request: Request) -> None:
        self.request, self.text, self.splitter = request, "", Splitter()
        self.tokens = self.thought_tokens = 0
        self.started: float | None = None
        self._first_token_seconds: float | None = None
        self._looked_at = 0  # characters of the text

    def start(self) -> None:
        """Note that generation begins, unless it has begun."""
        self.started = self.started or time.perf_counter()

    def count(self, tokens: int = 1) -> None:
        """Count tokens that come next."""
        self.tokens += tokens
        if self.splitter.thinking:
            self.thought_tokens += tokens
        elif self._first_token_seconds is None and self.started is not None:
            self._first_token_seconds = time.perf_counter() - self.started

    def add(self, text: str) -> Piece:
        """Add text. Return what it adds to the answer and to the thoughts."""
        self.text += text
        thoughts, text = self.splitter.feed(text)
        return Piece(self.request, text, thoughts=thoughts)

    @property
    def repeats(self) -> bool:
        """Whether the answer repeats itself; looked at every EVERY characters."""
        if len(self.text) < self._looked_at + EVERY:
            return False
        self._looked_at = len(self.text)
        return ends_in_repetition(self.text)

    def end(self, finish: Finish, error: Failure | None = None) -> Piece:
        """The last piece, with the response. Thoughts that have not ended are no answer."""
        parts, name = self.splitter.end(), self.request.candidate.name
        if parts.unfinished and finish in ("stop", "length", "repeated"):
            finish, error = "refused", still_thinking(name, self.tokens).failure
        response = Response(
            name,
            parts.text.strip(),
            self.tokens,
            0.0 if self.started is None else time.perf_counter() - self.started,
            self._first_token_seconds,
            finish,
            error,
            thoughts=parts.thoughts,
            thought_tokens=min(self.thought_tokens, self.tokens),
        )
        return Piece(self.request, response=response)


def ends_in_repetition(text: str) -> bool:
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
