"""What a terminal acts on, made visible: escapes, other control characters, and marks that turn the order of writing.

Names, tags, answers, files and error messages are written by others. Sent to a terminal as they are, they could clear
the screen, fake output, set the clipboard or hide a link's address. So `guarded` puts a wall before stdout and stderr
where they are terminals; into a file or a pipe everything goes unchanged.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from zooter_core.strict_json import dump_json

# C0 without tab and newline (a carriage return only alone), DEL, C1, bidirectional overrides and isolates, and half
# characters, which no terminal can show.
ACTING = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""A text with what a terminal acts on written out: an escape as `\x1b`, a right-to-left override as `\u202e`."""
    return ACTING.sub(lambda found: repr(found[0])[1:-1], text)


def json_text(shape: Any, indent: int | None = None) -> str:
    """JSON that is safe to show: the same value, with what a terminal acts on in JSON's own escapes."""
    text = dump_json(shape, ensure_ascii=False, indent=indent)
    return ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Screen:
    """stdout or stderr where it is a terminal: whatever is written there becomes visible.

    It is not a terminal itself, so that nobody sends it colours. Our own consoles write to the one `behind` it, and
    see to what they print themselves.
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
    """Put the wall before stdout and stderr, where they are terminals, for as long as this process lives."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, cast(TextIO, Screen(stream)))


@contextmanager
def guarded() -> Iterator[None]:
    """Put the wall before stdout and stderr, where they are terminals, for a while.

    No text is too odd for stdout either: what its encoding lacks is written out, as it always is on stderr.
    """
    before = sys.stdout, sys.stderr
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    guard()
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
