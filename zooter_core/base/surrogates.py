r"""Lone surrogates: half characters that JSON can carry (`"\ud800"`) but no encoding can write.

Text from a server or a file has them replaced by U+FFFD where it comes in, as a decoder does with invalid bytes. The
rest of the code never sees one.
"""

from __future__ import annotations

import re
from typing import Any

SURROGATE = re.compile("[\ud800-\udfff]")
FIRST_HALVES = ("\ud800", "\udbff")
ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")  # how JSON writes one
ESCAPED_BYTES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")  # or Python with `surrogatepass`


def replace_surrogates(text: str) -> str:
    """Join each pair of surrogates into its character, and replace each other one by U+FFFD."""
    if not SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def clean(value: Any) -> Any:
    """A JSON value with the surrogates in its texts replaced."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, list):
        return [clean(entry) for entry in value]
    if isinstance(value, dict):
        return {replace_surrogates(key): clean(entry) for key, entry in value.items()}
    return value


class Joiner:
    """Joins a text that arrives in pieces, where a piece can end inside a character."""

    def __init__(self) -> None:
        self._half = ""

    def add(self, piece: str) -> str:
        """The complete characters so far; a first half at the end waits for the next piece."""
        text = self._half + piece
        self._half = text[-1:] if FIRST_HALVES[0] <= text[-1:] <= FIRST_HALVES[1] else ""
        return replace_surrogates(text[: len(text) - len(self._half)])

    def close(self) -> str:
        """The half that is still waiting, replaced."""
        rest, self._half = replace_surrogates(self._half), ""
        return rest
