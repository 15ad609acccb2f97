"""Removes secrets from what a server sends, so that an echoed key ends up in no answer, message, log or history.

Only complete keys are found; in a stream, these are keys within a single event.
"""

from __future__ import annotations

from typing import Any

MASK = "***"
SHORTEST = 8  # characters; local servers accept any word as a key, which may well be part of an answer


class Redaction:
    """Replaces a key in messages, bodies and events. Without a key it changes nothing."""

    def __init__(self, key: str | None) -> None:
        self._key = key or ""
        self._in_answers = self._key if len(self._key) >= SHORTEST else ""

    def __call__(self, text: str) -> str:
        """A message with every occurrence of the key masked."""
        return text.replace(self._key, MASK) if self._key else text

    def data(self, data: bytes) -> bytes:
        """The same for a body. Keys shorter than SHORTEST are not masked."""
        return data.replace(self._in_answers.encode(), MASK.encode()) if self._in_answers else data

    def shape(self, value: Any) -> Any:
        """The same for a parsed body, since escapes may hide a key from `data`."""
        return _masked(value, self._in_answers) if self._in_answers else value


def _masked(value: Any, key: str) -> Any:
    """A JSON value with the key masked in all of its texts."""
    if isinstance(value, str):
        return value.replace(key, MASK)
    if isinstance(value, list):
        return [_masked(part, key) for part in value]
    if isinstance(value, dict):
        return {name.replace(key, MASK): _masked(part, key) for name, part in value.items()}
    return value
