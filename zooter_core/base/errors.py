"""Errors that a user can fix. Each error says what was expected, what was found, and what to do next.

These three facts are fields, so code never parses a message.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

LONGEST_EXPECTED, LONGEST_FOUND, LONGEST_NEXT = 800, 2000, 800  # characters of each part of a message
MOST_LISTED, MOST_NAMED = 400, 80  # characters of a list of names, and of each name
MOST_FOREIGN = 200  # characters of an external text, such as a server's message
FIX_PERMISSIONS = "Fix its permissions, or use another one."


@dataclass(frozen=True, slots=True)
class Failure:
    """The facts of an error, as a value that can be stored. `str()` gives the message.

    Attributes:
        expected: the expected state; empty if `found` is the whole message.
        found: the actual state.
        next_step: a sentence with the command or edit to try next.
        sentence: replaces "Expected ..., but found ..." in the message.
    """

    expected: str
    found: str
    next_step: str = ""
    sentence: str = field(default="", repr=False)

    @classmethod
    def of(cls, problem: BaseException | str) -> Failure:
        """The failure that an exception or a message describes."""
        if isinstance(problem, ZooterError):
            return problem.failure
        return cls("", first_line(problem) if isinstance(problem, BaseException) else problem)

    @property
    def reason(self) -> str:
        """`found` on one line, for use inside another sentence."""
        return " ".join(self.found.split())

    def __str__(self) -> str:
        facts = f"Expected {self.expected}, but found {self.found.removesuffix('.')}." if self.expected else self.found
        return f"{self.sentence or facts} {self.next_step}".strip()


class ZooterError(Exception):
    """An error in the call or its input (exit code 2). The arguments are a `Failure`'s fields, and are shortened."""

    exit_code = 2

    def __init__(self, expected: str, found: str, next_step: str = "", *, sentence: str = "") -> None:
        self.failure = Failure(
            shortened(expected, LONGEST_EXPECTED),
            shortened(found, LONGEST_FOUND),
            shortened(next_step, LONGEST_NEXT),
            shortened(sentence, LONGEST_EXPECTED + LONGEST_FOUND),
        )
        super().__init__(str(self.failure))

    @classmethod
    def saying(cls, sentence: str, next_step: str = "") -> Self:
        """An error whose message is the given sentence and the next step."""
        return cls("", sentence, next_step)

    @classmethod
    def because(cls, failure: Failure, expected: str, next_step: str = "") -> Self:
        """An error for a failure. `expected` is used if the failure has none and its `found` is not a full sentence."""
        steps = f"{failure.next_step} {next_step}".strip()
        expected = "" if failure.found.endswith(".") else expected
        return cls(failure.expected or expected, failure.found, steps, sentence=failure.sentence)


class WorkError(ZooterError):
    """The call was valid but the work failed (exit code 1), for example because a model does not load."""

    exit_code = 1


class NotInstalledError(ZooterError):
    """A required package is not installed; `command` installs it."""

    def __init__(self, package: str, user: str, command: str, otherwise: str = "") -> None:
        """Create the error for a package.

        Args:
            user: the subject of the sentence "... needs the package NAME", such as "The model X".
            otherwise: an alternative to the command, for use after "Run ..., or".
        """
        sentence = f"{user} needs the package {package}, which is not installed."
        step = f"Run `{command}`, or {otherwise}." if otherwise else f"Run `{command}`."
        super().__init__(f"the package {package} for {user}", f"{package} is not installed", step, sentence=sentence)
        self.package, self.command = package, command


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """`Did you mean "x"?` with the most similar option; a list of the options if none is similar."""
    names = sorted(options)
    comparable = [entry for entry in names if len(entry) <= MOST_LISTED]  # comparing takes quadratic time
    near = difflib.get_close_matches(name[:MOST_LISTED], comparable, n=1, cutoff=0.6)
    return f'Did you mean "{shortened(near[0], MOST_NAMED)}"?' if near else f"Known: {listed(names)}."


def listed(names: Iterable[str], between: str = ", ") -> str:
    """The names as a text for a message. Long names are shortened; if not all names fit, the rest are counted."""
    short = [shortened(name, MOST_NAMED) for name in names]
    length, shown = 0, 0
    for name in short:
        length += len(name) + len(between)
        if length > MOST_LISTED:
            break
        shown += 1
    more = [f"and {len(short) - shown:,} more"] if shown < len(short) else []
    return between.join([*short[:shown], *more])


def shortened(text: str, most: int) -> str:
    """The text in at most `most` characters: of a longer text, the beginning and the end."""
    if len(text) <= most:
        return text
    end = (most - 5) // 3
    return f"{text[: most - 5 - end]} ... {text[-end:]}"


def one_line(text: str, most: int = MOST_FOREIGN) -> str:
    """An external text as one short line without control characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return shortened(line, most)


def first_line(problem: BaseException) -> str:
    """The first line of a library's error, for use in our own message."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


@contextmanager
def loading(what: str, next_step: str, reason: Callable[[BaseException], str] = first_line) -> Iterator[None]:
    """Turn the block's exceptions into one kind of error: libraries raise many kinds for a damaged file.

    Raises:
        WorkError: `what` does not load.
        ZooterError: the block raised it; it is passed on unchanged.
    """
    try:
        yield
    except ZooterError:
        raise
    except Exception as problem:
        raise WorkError(what, reason(problem), next_step) from problem


def check_text(text: str, what: str) -> None:
    """Refuse a text with lone surrogates, which no tokenizer accepts.

    Raises:
        ZooterError: `what` is not Unicode text.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ZooterError(f"{what} in UTF-8", f"bytes that are not ({problem.reason})", "Fix the text.") from problem
