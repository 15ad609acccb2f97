"""Untrusted text as Markdown that loads nothing, hides nothing and keeps its formatting."""

from __future__ import annotations

import re
from functools import lru_cache

from zooter_core.ui.markdown import escape
from zooter_core.ui.markdown.render import UndrawableError, rendered

MOST = 20_000  # characters of a text that a page draws; more would slow down the browser
LONGER = 4  # how many times longer than the text its Markdown may be, because of nested lists and empty cells
PROGRAM = re.compile(
    r"(def|class|import|from|return|print|for|while|if|else|elif|try|except|with|function|const|let|var|public|private|"
    r"static|int|void|using|#include|SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[:;({=,)\w]$"
    r"|[\w.]+ [-+*/]?= .+|[})\]]+;?|.*[;{]|</?\w+.*>"
)


def safe(text: str, most: int | None = MOST) -> str:
    """Markdown of a model or a person, made harmless.

    - An image, which would be fetched from its address, becomes its text and the address.
    - A link names its host, and leads nowhere unless that is a web page.
    - A single dollar sign stays one; only `$$`, `\\(` and `\\[` start a formula.
    - HTML and definitions of link addresses are shown as text.
    - A program without a fence gets one, so that its lines do not run together.

    Args:
        most: characters to draw; the end says how many are missing. None, for a file, draws all.
    """
    shown = _markdown(escape.visible(text[:most]))
    if most is not None and len(text) > most:
        return f"{shown}\n\n*… {len(text) - most:,} characters more, which an export has*"
    return shown


def plain(text: str) -> str:
    """A name, a query or a message as one line of Markdown in which no character has a meaning."""
    return escape.escaped(escape.unlinked(escape.visible(text)).strip())


def clipped(text: str, most: int) -> str:
    """The beginning of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def code(text: str) -> str:
    """A path or another short text as inline code."""
    return escape.code(escape.visible(text))


@lru_cache(maxsize=256)  # a page draws the complete conversation again on every change
def _markdown(text: str) -> str:
    if "```" in text or not _is_program(text):
        try:
            written = rendered(text)
        except UndrawableError:
            written = None
        if written is not None and len(written) <= LONGER * max(len(text), MOST):
            return written
    return "\n".join(escape.fence(text))


def _is_program(text: str) -> bool:
    """Whether most of two or more lines look like code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and sum(bool(PROGRAM.fullmatch(line)) for line in lines) > 0.6 * len(lines)
