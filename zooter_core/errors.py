"""One kind of error for everything a user can mend: what was expected, what was found, what to do next."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MOST_EXPECTED, MOST_FOUND, MOST_NEXT = 800, 2000, 800  # characters of each part of a message
MOST_LISTED, MOST_NAMED = 400, 80  # characters of a list of names, and of one name in it
MEND_RIGHTS = "Mend its rights, or name another."


class ZooterError(Exception):
    """A mistake in the call or its input (exit code 2), told in one message of bounded length.

    Args:
        expected: what would have been right.
        found: what was there instead.
        next_step: the command or edit to try now.
    """

    exit_code = 2

    def __init__(self, expected: str, found: str, next_step: str) -> None:
        self.expected, self.found = shortened(expected, MOST_EXPECTED), shortened(found, MOST_FOUND)
        self.next_step = shortened(next_step, MOST_NEXT)
        super().__init__(f"Expected {self.expected}. Found {self.found}. {self.next_step}")


class WorkError(ZooterError):
    """The call was right but the work failed (exit code 1): a model that does not load, an endpoint that refuses."""

    exit_code = 1


def around(expected: str, message: str, next_step: str = "") -> WorkError:
    """An error because of another error's message, which, where it is one of these, already says what was expected."""
    problem = WorkError(expected, message, next_step)
    if message.startswith("Expected "):
        most = MOST_EXPECTED + MOST_FOUND + MOST_NEXT
        problem.args = (shortened(f"{message} {next_step}".strip(), most),)
    return problem


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean "x"?` for the nearest known name, else the list of known names."""
    names = sorted(known)
    comparable = [entry for entry in names if len(entry) <= MOST_LISTED]  # comparing takes the square of their length
    near = difflib.get_close_matches(name[:MOST_LISTED], comparable, n=1, cutoff=0.6)
    return f'Did you mean "{shortened(near[0], MOST_NAMED)}"?' if near else f"Known: {listed(names)}."


def listed(names: Iterable[str], between: str = ", ") -> str:
    """Names for a message, a long one shortened: all of them where they fit, else the first and how many more."""
    every = [shortened(name, MOST_NAMED) for name in names]
    length, shown = 0, 0
    for name in every:
        length += len(name) + len(between)
        if length > MOST_LISTED:
            break
        shown += 1
    more = [f"and {len(every) - shown:,} more"] if shown < len(every) else []
    return between.join([*every[:shown], *more])


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters: its beginning and its end, where it is longer."""
    if len(text) <= most:
        return text
    end = (most - 5) // 3
    return f"{text[: most - 5 - end]} ... {text[-end:]}"


def unreadable(problem: OSError, what: str) -> WorkError:
    """An error because a file of something is closed to this user, or is not there."""
    return WorkError(f"readable files of {what}", str(problem), MEND_RIGHTS)


def first_line(problem: Exception) -> str:
    """The first line of a library's error, for use inside one of ours."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def found_in(message: str) -> str:
    """What an error's message says was found, and what to do next; another message as it is. In one line."""
    return " ".join(message.partition(". Found ")[2].split() or message.split())


def reason_in(message: str) -> str:
    """What an error's message says was found, in one line without its full stop."""
    found = found_in(message)
    sentence = re.match(r'((?:"[^"]*"|[^"])*?)\.( [A-Z`]|$)', found)  # a full stop inside quotes ends nothing
    return sentence[1] if sentence else found


def check_text(text: str, what: str) -> None:
    """Refuse a text with half characters (lone surrogates), which no tokenizer takes.

    Raises:
        ZooterError: `what` is not Unicode text.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise ZooterError(f"{what} in UTF-8", f"bytes that are not ({problem.reason})", "Mend the text.") from problem
