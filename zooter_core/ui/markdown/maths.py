r"""Formulas in text: parses `$$...$$`, `\[...\]`, `\(...\)` and `$...$`, and writes them for Streamlit."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from zooter_core.ui.markdown.escape import code, fence

CLOSING = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
# As Pandoc has it: no white space inside the signs and no digit behind them. What is between them is one letter, or has
# one of the signs of a formula.
SINGLE = re.compile(r"(?<![\\$])\$(?![\s$])([A-Za-z]|[^$\n]{0,300}?[\\^_=][^$\n]{0,300}?)(?<!\s)\$(?![\d$])")
LONGEST = 2_000  # characters of a formula
REST = re.compile(r"[ \t]*(?=\n|\Z)")
# If Streamlit does not recognise a formula, it parses it as Markdown, so nothing in a formula may become a link, an
# image or code. Commands that load, link, define or draw over the page are refused, too.
REFUSED = re.compile(
    r"`|~~~|\$\$|^\$|://|www\.|:streamlit:|:material|\\\\\s*\[\s*-|"
    r"\\(?:includegraphics|href|url|html\w*|[gex]?def|let|futurelet|(?:re)?newcommand|providecommand|global|char|"
    r"rule|m?kern|[hm]skip|hspace|raisebox|[lrc]lap|math[lrc]lap|smash|vcenter)(?![A-Za-z])"
)
APART = re.compile(r"<(?=[A-Za-z!/?])|\](?=[(:\[])")  # would start HTML, or end the text of a link
BAR = re.compile(r"\\?\|")


def formulas(parser: MarkdownIt) -> None:
    """Add formulas to a parser: tokens `maths` and `maths_block`, with the opening characters as markup."""
    parser.inline.ruler.before("escape", "maths", _inline)
    parser.inline.ruler.after("maths", "maths_dollars", _dollars)
    parser.block.ruler.before(
        "fence", "maths_block", _block, {"alt": ["paragraph", "blockquote", "list"]}
    )  # fmt: skip


def _dollars(state: StateInline, silent: bool) -> bool:
    """A formula between single dollar signs; prices in a sentence are none."""
    match = SINGLE.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        token = state.push("maths", "", 0)
        token.content, token.markup = match[1], "$"
    state.pos = match.end()
    return True


def _inline(state: StateInline, silent: bool) -> bool:
    begin = state.src[state.pos : state.pos + 2]
    if begin not in CLOSING:
        return False
    start = state.pos + 2
    end = state.src.find(CLOSING[begin], start, min(state.posMax, start + LONGEST))
    inside = state.src[start:end].strip() if end >= 0 else ""
    if not inside or inside.startswith("$"):
        return False
    if not silent:
        token = state.push("maths", "", 0)
        token.content, token.markup = inside, begin
    state.pos = end + 2
    return True


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula on separate lines, without an empty line in it."""
    place = state.bMarks[start] + state.tShift[start]
    begin = state.src[place : place + 2]
    if begin not in ("$$", "\\[") or state.is_code_block(start):
        return False
    close = state.src.find(CLOSING[begin], place + 2, place + 2 + LONGEST)
    if close < 0 or not REST.match(state.src, close + 2):
        return False
    line = start
    while state.eMarks[line] < close:
        line += 1
        if line >= end or state.isEmpty(line) or state.sCount[line] < state.blkIndent:
            return False
    text = state.getLines(start, line + 1, state.blkIndent, False).strip()
    inside = text[2:-2].strip()
    if not inside or inside.startswith("$"):
        return False
    if not silent:
        token = state.push("maths_block", "", 0)
        token.content, token.markup = inside, begin
        token.map = [start, line + 1]
        state.line = line + 1
    return True


def inline(inside: str, begin: str, in_table: bool = False) -> str:
    """A formula within a line, or code if it is not safe."""
    inside = " ".join(inside.split())
    if REFUSED.search(inside):
        return code(f"{begin}{inside}{CLOSING[begin]}", in_table)
    if in_table:
        inside = BAR.sub(lambda bar: r"\Vert " if len(bar[0]) == 2 else r"\vert ", inside)
    edge = " " if inside.endswith(("$", "\\")) else ""  # Streamlit does not see `\$` as the end
    inside = APART.sub(r"\g<0> ", inside)
    return f"$${inside}{edge}$$"


def block(inside: str, begin: str) -> list[str]:
    """The lines of a display formula, or of a code block if it is not safe."""
    if REFUSED.search(inside):
        return fence(f"{begin}\n{inside}\n{CLOSING[begin]}", "latex")
    return ["$$", *(APART.sub(r"\g<0> ", line.strip()) for line in inside.split("\n")), "$$"]
