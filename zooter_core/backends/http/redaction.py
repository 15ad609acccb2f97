"""Removes secrets from what a server sends, so that an echoed key is in no answer, message, log or history."""

from __future__ import annotations

MASK = "***"
SHORTEST = 8  # characters; local servers take any word as a key, and such a word may well be part of an answer


class Redaction:
    """Replaces a key in complete texts. Without a key it changes nothing."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, text: str) -> str:
        """The text with every occurrence of the key masked."""
        return text.replace(self._key, MASK) if self._key else text

    def stream(self) -> RedactedStream:
        """The same for one answer that comes in parts. It leaves keys shorter than SHORTEST alone."""
        return RedactedStream(self._key if self._key and len(self._key) >= SHORTEST else "")


class RedactedStream:
    """Masks a key in a text that comes in parts, wherever the parts are split.

    It passes on all text at once, except an end that could be the beginning of the key.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._waiting = ""  # the end of the text so far, if it is a beginning of the key

    def feed(self, text: str) -> str:
        """Add a part. Return what can be shown now."""
        if not self._key:
            return text
        *before, last = (self._waiting + text).split(self._key)
        shown = len(last) - self._overlap(last)
        self._waiting = last[shown:]
        return MASK.join([*before, last[:shown]])

    def end(self) -> str:
        """Return the rest. Most of a key is masked too: the text was cut off in the middle of it."""
        waiting, self._waiting = self._waiting, ""
        return MASK if len(waiting) >= max(SHORTEST, len(self._key) / 2) else waiting

    def _overlap(self, text: str) -> int:
        """The length of the longest end of the text that is a beginning of the key, and not all of it."""
        at = text.find(self._key[0], max(0, len(text) - len(self._key) + 1))
        while at >= 0:
            if self._key.startswith(text[at:]):
                return len(text) - at
            at = text.find(self._key[0], at + 1)
        return 0
