"""Untrusted text as Markdown that loads nothing from elsewhere and shows what was meant."""

from __future__ import annotations

import re

CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
IMAGE = re.compile(r"!\[([^\]]*)\]\s*(?:\(([^)\s]*)[^)]*\)|\[([^\]]*)\])")
MONEY = re.compile(r"(?<!\\)\$")
PROGRAM = re.compile(
    r"(def|class|import|from|return|print|for|while|if|else|elif|try|except|with|function|const|let|var|public|private|"
    r"static|int|void|using|#include|SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[:;({=,)\w]$"
    r"|[\w.]+ [-+*/]?= .+|[})\]]+;?|.*[;{]|</?\w+.*>"
)


def safe(text: str) -> str:
    """Markdown of a model or a person, made harmless outside its code.

    An image would be fetched from its address: it becomes its words and that address. A dollar sign would begin a
    formula: it stays a dollar sign. HTML is shown as text by Streamlit itself. A program without a fence gets one: its
    lines would run together.
    """
    if "```" not in text and _is_program(text):
        return f"```\n{text}\n```"
    parts = CODE.split(text)
    return "".join(part if number % 2 else _prose(part) for number, part in enumerate(parts))


def _is_program(text: str) -> bool:
    """Whether most of two or more lines look like code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and sum(bool(PROGRAM.fullmatch(line)) for line in lines) > 0.6 * len(lines)


def _prose(text: str) -> str:
    text = IMAGE.sub(lambda found: f"{found[1] or 'image'} (`{found[2] or found[3] or 'no address'}`)", text)
    text = re.sub(r"(?<=[^\n ])\n(?=[^\n])", "  \n", text)  # a line that ends stays ended
    return MONEY.sub(r"\\$", text)
