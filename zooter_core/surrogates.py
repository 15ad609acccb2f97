r"""Half characters (lone surrogates), which JSON can carry (`"\ud800"`) and nothing can write down.

Where text of others comes in, from a server or a file, each becomes U+FFFD, as a decoder does with bytes that are no
text. So nothing behind that place has to expect them.
"""

from __future__ import annotations

import re
from typing import Any

HALF = re.compile("[\ud800-\udfff]")
FIRST_HALVES = ("\ud800", "\udbff")
ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")  # how a half gets into JSON
ESCAPED_BYTES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")  # or written by Python with `surrogatepass`


def replaced(text: str) -> str:
    """A text with each pair of halves as the character that it is, and each other half as U+FFFD."""
    if not HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(value: Any) -> Any:
    """A JSON value without half characters in its texts."""
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, list):
        return [clean(entry) for entry in value]
    if isinstance(value, dict):
        return {replaced(key): clean(entry) for key, entry in value.items()}
    return value


class Joiner:
    """Puts a text together that comes in pieces, of which one may end within a character."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """What is whole so far: all but a first half at the end, which waits for the next piece."""
        text = self._half + piece
        self._half = text[-1:] if FIRST_HALVES[0] <= text[-1:] <= FIRST_HALVES[1] else ""
        return replaced(text[: len(text) - len(self._half)])

    def close(self) -> str:
        """What was still waiting."""
        rest, self._half = replaced(self._half), ""
        return rest
