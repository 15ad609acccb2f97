"""Untrusted text as Markdown that loads nothing from elsewhere, pretends nothing and shows what was meant."""

from __future__ import annotations

import re
from functools import lru_cache

from zooter_core.ui.markdown import escape
from zooter_core.ui.markdown.render import UndrawableError, rendered

MOST = 20_000  # characters of a text that a page draws; a browser takes long over more
LONGER = 4  # times: what is written may be longer than the text, nested lists and empty cells are; more is not drawn
PROGRAM = re.compile(
    r"(def|class|import|from|return|print|for|while|if|else|elif|try|except|with|function|const|let|var|public|private|"
    r"static|int|void|using|#include|SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[:;({=,)\w]$"
    r"|[\w.]+ [-+*/]?= .+|[})\]]+;?|.*[;{]|</?\w+.*>"
)


def safe(text: str, most: int | None = MOST) -> str:
    """Markdown of a model or a person, made harmless.

    An image would be fetched from its address: it becomes its words and that address. A link names its host, and leads
    nowhere if that is no web page. A dollar sign alone would begin a formula: it stays a dollar sign; `$$`, `\\(` and
    `\\[` do begin one. HTML is shown as text, and so is a definition of a link's address. A program without a fence
    gets one: its lines would run together.

    Args:
        most: characters that are drawn; what is cut off is counted at the end. None, for a file, draws all.
    """
    shown = _markdown(escape.visible(text[:most]))
    if most is not None and len(text) > most:
        return f"{shown}\n\n*… {len(text) - most:,} characters more, which an export has*"
    return shown


def plain(text: str) -> str:
    """A name, a query or a message as one line of Markdown that shows its characters and means nothing."""
    return escape.escaped(escape.unlinked(escape.visible(text)).strip())


def code(text: str) -> str:
    """A path or another short text as inline code."""
    return escape.code(escape.visible(text))


@lru_cache(maxsize=256)  # a page draws a whole conversation anew whenever something on it changes
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
