"""Names, paths and code as Markdown in which none of their characters has another meaning."""

from __future__ import annotations

import re
from unicodedata import bidirectional

JOINER = "\u2060"  # invisible; separates characters that Streamlit would read together
# Controls, marks that change the direction of writing (a host would read backwards), and unpaired surrogates.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SPACE = re.compile(r"[ \t\n\r\f\v]+")
SYNTAX = re.compile(r"[\\`*_\[\]<>&$~|^{}#]|:(?!\s|$)|!$")  # "!" may come before a link
LINE_START = re.compile(r"\A(?:\d{1,9}(?=[.)](?:\s|$)))?(?=[-+=.)])")
# Streamlit replaces these after parsing, whether escaped or not: `:material/home:`, `:smile:`.
SHORTCODE = re.compile(r":(?=[\w+-]+:|material/)")
ARROW = re.compile(r"(?:(?<=\s)|\A)(?=(?:<?->|<-|--|[<>~]=)(?:\s|\Z))")  # these, too: arrows and comparisons
# Streamlit makes links of addresses, too: https://..., www. ..., name@host.
ADDRESS = re.compile(r"(?:https?:(?=//)|www(?=\.)|@)", re.IGNORECASE)
RUN = re.compile(r"`+")
COMMAND = re.compile(r"(`(?:zooter [a-z]+(?: --[a-z-]+)*|auto)`)")  # `auto` is the model that clients ask for


def plain(text: str) -> str:
    """A name, a query or a message as one line of Markdown in which no character has a meaning."""
    return escaped(unlinked(visible(text)).strip())


def with_commands(text: str) -> str:
    """One of our own sentences, escaped like `plain`, except that commands stay code."""
    parts = COMMAND.split(unlinked(visible(text)).strip())
    return "".join(part if place % 2 else escaped(part, place == 0) for place, part in enumerate(parts))


def typed(text: str) -> list[str]:
    """The lines of Markdown that shows a text as it was typed; white space within a line becomes single spaces."""
    lines = [plain(line) for line in text.split("\n")]
    return [f"{line}  " if line and after else line for line, after in zip(lines, [*lines[1:], ""], strict=True)]


def clipped(text: str, most: int) -> str:
    """The beginning of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def is_from_right(text: str) -> bool:
    """Whether a text begins in a language that is written from right to left."""
    return next((way != "L" for way in map(bidirectional, text) if way in ("L", "R", "AL")), False)


def visible(text: str) -> str:
    """The text without invisible characters that change how the rest is read."""
    return UNSEEN.sub("\ufffd", text)


def escaped(text: str, at_start: bool = True) -> str:
    """Text as Markdown; white space becomes single spaces. `at_start`: whether it starts a line."""
    text = SHORTCODE.sub(f":{JOINER}", ARROW.sub(JOINER, SPACE.sub(" ", text)))
    text = SYNTAX.sub(r"\\\g<0>", text)
    return LINE_START.sub(r"\g<0>\\", text) if at_start else text


def unlinked(text: str) -> str:
    """Text in which Streamlit does not turn addresses into links."""
    return ADDRESS.sub(rf"\g<0>{JOINER}", text)


def code(text: str) -> str:
    """A path or another short text as inline code, delimited by more backquotes than any run in it."""
    text = SPACE.sub(" ", visible(text))
    if not text:
        return ""
    marks = "`" * (longest_run(text) + 1)
    edge = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{marks}{edge}{text}{edge}{marks}"


def fence(text: str, language: str = "") -> list[str]:
    """The lines of a code block, delimited by more backquotes than any run in it."""
    marks = "`" * max(3, longest_run(text) + 1)
    return [marks + language, *text.split("\n"), marks]


def longest_run(text: str) -> int:
    return max(map(len, RUN.findall(text)), default=0)
