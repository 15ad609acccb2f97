"""Makes control characters visible: escapes and other characters that terminals interpret, such as direction marks.

Names, tags, answers, files and error messages are untrusted. Sent to a terminal unchanged, they could clear the screen,
fake output, set the clipboard or hide a link's address. `guarded` therefore escapes everything that is written to
stdout and stderr if they are terminals. Files and pipes get the text unchanged.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from zooter_core.base.errors import MOST_NAMED, shortened
from zooter_core.base.strict_json import dump_json

# C0 except for tab, newline and a carriage return before a newline; DEL, C1, bidirectional overrides and isolates; and
# lone surrogates, which no terminal can show.
ACTING = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST_NAME = 200  # characters in the name of a candidate or a fleet
NOT_IN_NAMES = re.compile(rf"{ACTING.pattern}|[\t\r\n\u2028\u2029]")  # these, tabs and line separators


def visible(text: str) -> str:
    r"""The text with control characters escaped: Escape as `\x1b`, a right-to-left override as `\u202e`."""
    return ACTING.sub(_escape, text)


def visible_name(text: str) -> str:
    """The name on one line, with the characters that names may not contain escaped."""
    return NOT_IN_NAMES.sub(_escape, text)


def wrong_name(name: object) -> tuple[str, str, str] | None:
    """Why a name is invalid: what was expected, what was found and the next step; None if the name is valid."""
    if not isinstance(name, str):
        return "a name as a text", f"{name!r:.60}", "Write it in quotes."
    if not any(letter.isprintable() and not letter.isspace() for letter in name):
        return "a name that is not blank", repr(shortened(name, MOST_NAMED)), "Give a name."
    if NOT_IN_NAMES.search(name):
        step = "Remove line breaks and control characters."
        return "a name in one line without control characters", repr(shortened(name, MOST_NAMED)), step
    if len(name) > LONGEST_NAME:
        return f"a name of at most {LONGEST_NAME} characters", f"{len(name):,}", "Shorten it."
    return None


def _escape(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def json_text(shape: Any, indent: int | None = None) -> str:
    """The value as JSON that is safe to show on a terminal: control characters are JSON escapes."""
    text = dump_json(shape, ensure_ascii=False, indent=indent)
    return ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Screen:
    """Replaces stdout or stderr on a terminal and makes control characters visible.

    `isatty` returns False, so that libraries send no colours. Our consoles write to the terminal `behind` it, and
    escape what they print themselves.
    """

    def __init__(self, stream: TextIO) -> None:
        self.behind = stream

    def write(self, text: str) -> int:
        self.behind.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


def guard() -> None:
    """Escape control characters on stdout and stderr until the process ends, if they are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, cast(TextIO, Screen(stream)))


def guard_logs() -> None:
    """Do the same as `guard`, also for log handlers that already hold the streams."""
    import logging  # here, since importing it takes a fiftieth of `zooter --help`

    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    guard()
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):
            for name, stream in streams.items():
                if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                    handler.setStream(getattr(sys, name))


@contextmanager
def guarded() -> Iterator[None]:
    """Escape control characters on stdout and stderr while the block runs, if they are terminals.

    Stdout also escapes characters that its encoding does not have, as stderr always does.
    """
    streams = sys.stdout, sys.stderr
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
