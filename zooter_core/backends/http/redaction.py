"""Secrets taken out of what a server says: a key that it echoes is in no answer, message, log or history."""

from __future__ import annotations

BLOT = "***"
SHORTEST = 8  # characters; local servers take any word as a key, and such a word may well be part of an answer


class Redaction:
    """Replaces a key in whole texts; without a key it changes nothing."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, text: str) -> str:
        """The text with each occurrence of the key replaced."""
        return text.replace(self._key, BLOT) if self._key else text

    def stream(self) -> RedactedStream:
        """The same for one answer that comes in parts. A key shorter than SHORTEST stays."""
        return RedactedStream(self._key if self._key and len(self._key) >= SHORTEST else "")


class RedactedStream:
    """Replaces a key in a text that comes in parts, wherever the parts are split.

    All that came so far is passed on, save an end that may be the beginning of the key.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._waiting = ""  # the end of the text so far, while it is how the key begins

    def feed(self, text: str) -> str:
        """What can be shown now that this part has come."""
        if not self._key:
            return text
        *before, last = (self._waiting + text).split(self._key)
        shown = len(last) - self._overlap(last)
        self._waiting = last[shown:]
        return BLOT.join([*before, last[:shown]])

    def end(self) -> str:
        """What has waited. Most of a key is replaced too: the text was cut off in the middle of it."""
        waiting, self._waiting = self._waiting, ""
        return BLOT if len(waiting) >= max(SHORTEST, len(self._key) / 2) else waiting

    def _overlap(self, text: str) -> int:
        """How long the longest end of a text is with which the key begins, below the length of the key."""
        at = text.find(self._key[0], max(0, len(text) - len(self._key) + 1))
        while at >= 0:
            if self._key.startswith(text[at:]):
                return len(text) - at
            at = text.find(self._key[0], at + 1)
        return 0
