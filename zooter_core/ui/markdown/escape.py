"""Text and code as Markdown in which none of their characters has a meaning."""

from __future__ import annotations

import re

JOINER = "\u2060"  # invisible; separates characters that Streamlit would read together
# Controls, marks that change the direction of writing (a host would read backwards), and unpaired surrogates.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SPACE = re.compile(r"[ \t\n\r\f\v]+")
SYNTAX = re.compile(r"[\\`*_\[\]<>&$~|^{}#]|:(?!\s|$)|!$")  # "!" may come before a link
LINE_START = re.compile(r"(?:\d{1,9}(?=[.)](?:\s|$)))?[-+=.)]")
# Streamlit replaces these after parsing, whether escaped or not: `:material/home:`, `:smile:`.
SHORTCODE = re.compile(r":(?=[\w+-]+:|material/)")
# It does so with addresses, too: https://..., www. ..., name@host.
ADDRESS = re.compile(r"(?:https?:(?=//)|www(?=\.)|@)", re.IGNORECASE)
RUN = re.compile(r"`+")
DELIMITERS = "`$*~"  # where two pieces meet in one of these, they would be read as one longer run


def visible(text: str) -> str:
    """The text without invisible characters that change how the rest is read."""
    return UNSEEN.sub("\ufffd", text)


def escaped(text: str, at_start: bool = True) -> str:
    """Text as Markdown; white space becomes single spaces. `at_start`: whether it starts a line."""
    text = SHORTCODE.sub(f":{JOINER}", SPACE.sub(" ", text))
    start = LINE_START.match(text) if at_start else None
    place = start.end() - 1 if start else 0
    mark = "\\" if start else ""
    return text[:place] + mark + SYNTAX.sub(r"\\\g<0>", text[place:])


def unlinked(text: str) -> str:
    """Text in which Streamlit does not turn addresses into links."""
    return ADDRESS.sub(rf"\g<0>{JOINER}", text)


def code(text: str, in_table: bool = False) -> str:
    """Text as inline code, between more backquotes than it has in a row; as text where a table does not allow code."""
    text = SPACE.sub(" ", text)
    if not text:
        return ""
    if in_table and "\\|" in text:  # a cell's code cannot hold both characters
        return escaped(unlinked(text))
    text = text.replace("|", r"\|") if in_table else text
    marks = "`" * (longest_run(text) + 1)
    edge = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{marks}{edge}{text}{edge}{marks}"


def fence(text: str, language: str = "") -> list[str]:
    """The lines of a code block, between more backquotes than it has in a row."""
    marks = "`" * max(3, longest_run(text) + 1)
    return [marks + language, *text.split("\n"), marks]


def longest_run(text: str) -> int:
    return max(map(len, RUN.findall(text)), default=0)


def joined(pieces: list[str]) -> str:
    """Pieces of Markdown in sequence, none of which runs into the next."""
    parts: list[str] = []
    last = ""
    for piece in pieces:
        if piece and last in DELIMITERS and piece[0] == last:
            parts.append(JOINER)
        parts.append(piece)
        last = piece[-1:] or last
    return "".join(parts)
