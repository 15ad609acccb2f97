"""The state of an answer that a model on this machine generates: text, thoughts, times, stop texts and repetitions."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from zooter_core.backends import Piece, Request
from zooter_core.backends.calculator import opening
from zooter_core.backends.thoughts import Splitter, overlap, still_thinking
from zooter_core.base.errors import Failure
from zooter_core.base.records import Finish, Response

# Small models sometimes repeat a line or a character until the token limit.
LEAST = 240  # characters of all repetitions together
TIMES = 4  # repetitions
LONGEST = 300  # characters of the repeated part
EVERY = 40  # characters between two checks of a text
LETTERS = 12  # in a repeated line with changing numbers, so that a list of numbers does not count as a repetition
_NUMBER = re.compile(r"\d+")


class StopTexts:
    """Passes a streamed text on, up to the first stop text. Text that may be part of a stop text is held back.

    The first stop text is the one whose last character comes first; of several with the same end, it is the longest.
    The result does not depend on how the text is divided into pieces.

    Attributes:
        match: the stop text that ended the text; "" if none has yet.
        waiting: the text that is held back, since a stop text may begin with it.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.match, self.waiting = texts, "", ""

    def feed(self, piece: str) -> str:
        """Add a piece. Return the text that can be passed on now."""
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
        opening: text that the calculator writes before the model's text; "" for most queries.
        text: the complete text so far, with thoughts and their tags.
        splitter: separates the thoughts. Replace it if the prompt has opened them.
        started: when generation began (`time.perf_counter`); None if it has not begun.
    """

    def __init__(self, request: Request) -> None:
        self.request, self.text, self.splitter = request, "", Splitter()
        self.opening = opening(request.messages) if request.candidate.calculator else ""
        self.tokens = self.thought_tokens = 0
        self.started: float | None = None
        self._first_token_seconds: float | None = None
        self._checked = 0  # characters of the text at the last check for repetitions
        self._stops, self._shown = StopTexts(request.stop), ""

    def start(self) -> None:
        """Record the beginning of generation, if it has not begun."""
        self.started = self.started or time.perf_counter()

    def count(self, tokens: int = 1) -> None:
        """Count generated tokens. Call it before `add` with their text."""
        self.tokens += tokens
        if self.splitter.thinking:
            self.thought_tokens += tokens
        elif self._first_token_seconds is None and self.started is not None:
            self._first_token_seconds = time.perf_counter() - self.started

    def add(self, text: str) -> Piece:
        """Add generated text. Return a piece with the new parts of the answer and the thoughts."""
        self.text += text
        thoughts, text = self.splitter.feed(text)
        text = self._stops.feed(text)
        self._shown += text
        return Piece(self.request, text, thoughts=thoughts)

    @property
    def at_stop(self) -> bool:
        """Whether a stop text has ended the answer."""
        return bool(self._stops.match)

    @property
    def repeats(self) -> bool:
        """Whether the answer repeats itself. Checked every EVERY characters; otherwise False."""
        if len(self.text) < self._checked + EVERY:
            return False
        self._checked = len(self.text)
        return ends_in_repetition(self.text)

    def end(self, finish: Finish, error: Failure | None = None) -> Piece:
        """The last piece, with the response and the text that was held back. Without the end of its thoughts, a
        response is refused."""
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
    """Whether a text ends with repetitions of the same characters, or of the same line with different numbers.

    Together they must have at least LEAST characters, and the part must be there at least TIMES times.
    """
    end = text[-(LONGEST * TIMES) - LONGEST :]
    if _period(end):
        return True
    plain = _NUMBER.sub("0", end)
    unit = plain[-period:] if (period := _period(plain)) else ""
    return sum(letter.isalpha() for letter in unit) >= LETTERS


def _period(end: str) -> int:
    """The length of the part that is repeated at the end of a text; 0 if there is no repetition."""
    for period in range(1, min(LONGEST, len(end) // TIMES) + 1):
        length = max(LEAST, TIMES * period)
        is_possible = end[-1] == end[-1 - period]  # a fast test that rules out most periods
        if is_possible and len(end) >= length and end[-length:-period] == end[-length + period :]:
            return period
    return 0
