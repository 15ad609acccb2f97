"""Text, code and formulas as Markdown in which none of their characters has another meaning."""

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
CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
# If Streamlit does not recognise a formula, it parses it as Markdown, so nothing in a formula may become a link, an
# image or code. Commands that load, link, define or draw over the page are refused, too.
REFUSED = re.compile(
    r"`|~~~|\$\$|^\$|://|www\.|:streamlit:|:material|\\\\\s*\[\s*-|"
    r"\\(?:includegraphics|href|url|html\w*|[gex]?def|let|futurelet|(?:re)?newcommand|providecommand|global|char|"
    r"rule|m?kern|[hm]skip|hspace|raisebox|[lrc]lap|math[lrc]lap|smash|vcenter)(?![A-Za-z])"
)
APART = re.compile(r"<(?=[A-Za-z!/?])|\](?=[(:\[])")  # would start HTML, or end the text of a link
BAR = re.compile(r"\\?\|")


def plain(text: str) -> str:
    """A name, a query or a message as one line of Markdown in which no character has a meaning."""
    return escaped(unlinked(visible(text)).strip())


def clipped(text: str, most: int) -> str:
    """The beginning of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


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
    """A path or another short text as inline code, between more backquotes than it has in a row; as text where a table
    does not allow code."""
    text = SPACE.sub(" ", visible(text))
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


def formula(inside: str, begin: str, in_table: bool = False) -> str:
    """A formula within a line, or code if it is not safe."""
    inside = " ".join(inside.split())
    if REFUSED.search(inside):
        return code(f"{begin}{inside}{CLOSING[begin]}", in_table)
    if in_table:
        inside = BAR.sub(lambda bar: r"\Vert " if len(bar[0]) == 2 else r"\vert ", inside)
    edge = " " if inside.endswith(("$", "\\")) else ""  # Streamlit does not see `\$` as the end
    inside = APART.sub(r"\g<0> ", inside)
    return f"$${inside}{edge}$$"


def formula_lines(inside: str, begin: str) -> list[str]:
    """The lines of a display formula, or of a code block if it is not safe."""
    if REFUSED.search(inside):
        return fence(f"{begin}\n{inside}\n{CLOSING[begin]}", "latex")
    return ["$$", *(APART.sub(r"\g<0> ", line.strip()) for line in inside.split("\n")), "$$"]
