"""Untrusted text as Markdown that loads nothing from elsewhere, pretends nothing and shows what was meant."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MOST = 20_000  # characters of a text that a page draws; a browser takes long over more
CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
MATHS = re.compile(r"(\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\))", re.DOTALL)
IMAGE = re.compile(r"!\[([^\]]*)\]\s*(?:\(([^)\s]*)[^)]*\)|\[([^\]]*)\])")
LINK = re.compile(r"\[([^\]\n]+)\]\(\s*<?([^)\s>]*)>?[^)\n]*\)")
REFERENCE = re.compile(r"^( {0,3})\[(?=[^\]\n]+\]:)", re.MULTILINE)  # would hide where a link leads
DIRECTIVE = re.compile(r":(?=[a-z]+(?:-[a-z]+)*\[|material/)")  # Streamlit's badges, colours and icons
MONEY = re.compile(r"(?<!\\)\$")
ELEMENT = re.compile(r"(?<!\\)<(?=[A-Za-z/!?])")  # in HTML backslashes are themselves, so a price would show its own
PROGRAM = re.compile(
    r"(def|class|import|from|return|print|for|while|if|else|elif|try|except|with|function|const|let|var|public|private|"
    r"static|int|void|using|#include|SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[:;({=,)\w]$"
    r"|[\w.]+ [-+*/]?= .+|[})\]]+;?|.*[;{]|</?\w+.*>"
)


def safe(text: str) -> str:
    """Markdown of a model or a person, made harmless outside its code.

    An image would be fetched from its address: it becomes its words and that address. A link names its host, and leads
    nowhere if that is no web page. A dollar sign alone would begin a formula: it stays a dollar sign; `$$`, `\\(` and
    `\\[` do begin one. HTML is shown as text. A program without a fence gets one: its lines would
    run together. A text of more than MOST characters ends with how many are not shown.
    """
    if len(text) > MOST:
        return f"{_markdown(_closed(text[:MOST]))}\n\n*… {len(text) - MOST:,} characters more, which an export has*"
    return _markdown(text)


def _markdown(text: str) -> str:
    if "```" not in text and _is_program(text):
        return f"```\n{text}\n```"
    parts = CODE.split(text)
    return "".join(part if number % 2 else _prose(part) for number, part in enumerate(parts))


def _closed(text: str) -> str:
    return text + "\n```" if text.count("```") % 2 else text


def _is_program(text: str) -> bool:
    """Whether most of two or more lines look like code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and sum(bool(PROGRAM.fullmatch(line)) for line in lines) > 0.6 * len(lines)


def _prose(text: str) -> str:
    parts = MATHS.split(text)
    return "".join(_formula(part) if number % 2 else _words(part) for number, part in enumerate(parts))


def _formula(text: str) -> str:
    inside = text[2:-2].strip()
    return f"${inside}$" if text.startswith("\\(") else f"$$\n{inside}\n$$"


def _words(text: str) -> str:
    text = IMAGE.sub(lambda found: f"{found[1] or 'image'} (`{found[2] or found[3] or 'no address'}`)", text)
    text = LINK.sub(_link, text)
    text = REFERENCE.sub(r"\1\\[", text)
    text = DIRECTIVE.sub(r"\:", text)
    text = re.sub(r"(?<=[^\n ])\n(?=[^\n])", "  \n", text)  # a line that ends stays ended
    return MONEY.sub(r"\\$", ELEMENT.sub(r"\\<", text))


def _link(found: re.Match[str]) -> str:
    words, address = found[1], found[2]
    try:
        parts = urlsplit(address)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    return f"[{words} ({host})]({address})" if host else f"{words} (`{address or 'no address'}`)"
