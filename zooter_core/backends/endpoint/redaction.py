"""Masks the API key in everything that a server sends, so that answers, messages, logs and histories do not contain it.

Only complete keys are masked; in a stream, these are keys within a single event.
"""

from __future__ import annotations

from typing import Any

MASK = "***"
SHORTEST = 8  # characters; local servers accept any word as a key, which may also be part of an answer


class Redaction:
    """Masks a key in messages, bodies and events. Without a key, nothing is changed."""

    def __init__(self, key: str | None) -> None:
        self._key = key or ""
        self._in_answers = self._key if len(self._key) >= SHORTEST else ""

    def __call__(self, text: str) -> str:
        """The message with every occurrence of the key masked."""
        return text.replace(self._key, MASK) if self._key else text

    def data(self, data: bytes) -> bytes:
        """The body with the key masked, unless the key is shorter than SHORTEST."""
        return data.replace(self._in_answers.encode(), MASK.encode()) if self._in_answers else data

    def shape(self, value: Any) -> Any:
        """The parsed body with the key masked as in `data`, since escapes may hide the key in bytes."""
        return _masked(value, self._in_answers) if self._in_answers else value


def _masked(value: Any, key: str) -> Any:
    """The JSON value with the key masked in all texts."""
    if isinstance(value, str):
        return value.replace(key, MASK)
    if isinstance(value, list):
        return [_masked(part, key) for part in value]
    if isinstance(value, dict):
        return {name.replace(key, MASK): _masked(part, key) for name, part in value.items()}
    return value
