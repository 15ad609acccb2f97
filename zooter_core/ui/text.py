"""Untrusted text as Markdown that loads nothing from elsewhere and shows what was meant."""

from __future__ import annotations

import re

CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
IMAGE = re.compile(r"!\[([^\]]*)\]\s*(?:\(([^)\s]*)[^)]*\)|\[([^\]]*)\])")
MONEY = re.compile(r"(?<!\\)\$")


def safe(text: str) -> str:
    """Markdown of a model or a person, made harmless outside its code.

    An image would be fetched from its address: it becomes its words and that address. A dollar sign would begin a
    formula: it stays a dollar sign. HTML is shown as text by Streamlit itself.
    """
    parts = CODE.split(text)
    return "".join(part if number % 2 else _prose(part) for number, part in enumerate(parts))


def _prose(text: str) -> str:
    text = IMAGE.sub(lambda found: f"{found[1] or 'image'} (`{found[2] or found[3] or 'no address'}`)", text)
    return MONEY.sub(r"\\$", text)
