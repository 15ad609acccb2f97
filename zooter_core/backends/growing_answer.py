"""An answer of a model on this machine, while it is generated: its text, its thoughts, its times and its end."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from zooter_core.backends import Piece, Request
from zooter_core.backends.calculator import opening
from zooter_core.backends.thoughts import Splitter, overlap, still_thinking
from zooter_core.base.errors import Failure
from zooter_core.base.records import Finish, Response

# Small models at times write one line, or one sign, until the limit of tokens.
LEAST = 240  # characters of a repetition
TIMES = 4  # that something is written, however long it is
LONGEST = 300  # characters of what is repeated
EVERY = 40  # characters after which a text is looked at again
LETTERS = 12  # in a line whose numbers alone change: a list of numbers is no repetition
_NUMBER = re.compile(r"\d+")


class StopTexts:
    """Lets a text through, in pieces, up to the first stop text. What may become one waits.

    The first is the one that is complete first, or the longest of several, wherever the pieces are cut.

    Attributes:
        match: the stop text that has come; "" if none has.
        waiting: the end of the text so far, if a stop text begins with it.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.match, self.waiting = texts, "", ""

    def feed(self, piece: str) -> str:
        """Add a piece. Return what of the text is clear now."""
        if self.match:
            return ""
        text = self.waiting + piece
        if ends := [(place + len(stop), place, stop) for stop in self.texts if (place := text.find(stop)) >= 0]:
            _, clear, self.match = min(ends)
            self.waiting = ""
        else:
            clear = len(text) - max((overlap(text, stop) for stop in self.texts), default=0)
            self.waiting = text[clear:]
        return text[:clear]


class GrowingAnswer:
    """The answer to one request.

    Attributes:
        opening: what a calculator writes before the model begins; "" for most queries.
        text: all that has come, with thoughts and their tags.
        splitter: separates the thoughts; replace it if the prompt has opened them.
        started: when generation began; None if it has not.
    """

    def __init__(self, request: Request) -> None:
        self.request, self.text, self.splitter = request, "", Splitter()
        self.opening = opening(request.messages) if request.candidate.calculator else ""
        self.tokens = self.thought_tokens = 0
        self.started: float | None = None
        self._first_token_seconds: float | None = None
        self._looked_at = 0  # characters of the text
        self._stops, self._shown = StopTexts(request.stop), ""

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
        text = self._stops.feed(text)
        self._shown += text
        return Piece(self.request, text, thoughts=thoughts)

    @property
    def at_stop(self) -> bool:
        """Whether a stop text has come, behind which nothing belongs to the answer."""
        return bool(self._stops.match)

    @property
    def repeats(self) -> bool:
        """Whether the answer repeats itself; looked at every EVERY characters."""
        if len(self.text) < self._looked_at + EVERY:
            return False
        self._looked_at = len(self.text)
        return ends_in_repetition(self.text)

    def end(self, finish: Finish, error: Failure | None = None) -> Piece:
        """The last piece, with the response and text that has waited. Thoughts that have not ended are no answer."""
        parts, name = self.splitter.end(), self.request.candidate.name
        if parts.unfinished and finish in ("stop", "length", "repeated"):
            finish, error = "refused", still_thinking(name, self.tokens).failure
        stops = StopTexts(self.request.stop)
        text = stops.feed(parts.text) + stops.waiting
        response = Response(
            name,
            text.strip(),
            self.tokens,
            0.0 if self.started is None else time.perf_counter() - self.started,
            self._first_token_seconds,
            finish,
            error,
            thoughts=parts.thoughts,
            thought_tokens=min(self.thought_tokens, self.tokens),
        )
        rest = text.removeprefix(self._shown) if text.startswith(self._shown) else ""
        return Piece(self.request, rest, response, stop_text=stops.match)


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
