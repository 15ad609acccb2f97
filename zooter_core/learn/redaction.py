"""Texts without what must not be stored. A redaction is a function from text to text; packages can add kinds.

A package adds one by an entry point of the group `zooter.redactions`; `[learn] redact = "NAME"` uses it. A text for
which it raises is not stored at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from zooter_core.base.plugins import load_kind

LONGEST_TEXT = 20_000  # characters of a query
ACROSS = 500  # characters beyond the end that are read too: what the cut would halve is masked as a whole
KINDS = {"contacts": "zooter_core.learn.redaction:without_contacts"}
Redaction = Callable[[str], str]
# In this order: an address may hold digits that look like a telephone number.
PATTERNS = {
    "EMAIL": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"),
    "SECRET": re.compile(r"\b(?:sk|pk|ghp|gho|xoxb|hf|AKIA)[-_]?[A-Za-z0-9_-]{16,200}"),
    "IBAN": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "CARD": re.compile(r"\b(?:\d{4}[ -]?){3}\d{1,7}\b"),
    "PHONE": re.compile(r"(?<![\w.])(?:\+\d{1,3}[ /-]?)(?:\(?\d{1,5}\)?[ /-]?){2,5}\d{2,4}\b"),
}


def load_redaction(name: str | None) -> Redaction | None:
    """The redaction of a name; None for no name.

    Raises:
        ZooterError: there is no such kind, or the package that adds it cannot be imported.
    """
    return load_kind("redaction", KINDS, name) if name else None


def redacted(text: str, longest: int, redaction: Redaction | None) -> str:
    """The beginning of a text as it may be stored. It is redacted before it is cut."""
    return redaction(text[: longest + ACROSS])[:longest] if redaction else text[:longest]


def without_contacts(text: str) -> str:
    """A text with e-mail addresses, international telephone numbers, card and account numbers, and keys of APIs masked.

    Patterns miss what does not look like one: names, postal addresses, numbers without a country's prefix.
    """
    for name, pattern in PATTERNS.items():
        text = pattern.sub(f"[{name}]", text)
    return text
