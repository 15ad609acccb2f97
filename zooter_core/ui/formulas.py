"""Formulas for KaTeX, which Streamlit uses. One that is unsafe, or that KaTeX does not know, becomes text or code."""

from __future__ import annotations

import re

from zooter_core.ui.text import code, fence, plain

# Streamlit may read a formula as text, so nothing in it may become a link, an image or code. Commands that load files,
# link, define macros or draw over the page are refused, too.
REFUSED = re.compile(
    r"`|~~~|\$\$|^\$|://|www\.|:streamlit:|:material|\\\\\s*\[\s*-|"
    r"\\(?:includegraphics|href|url|html\w*|[gex]?def|let|futurelet|(?:re)?newcommand|providecommand|global|char|"
    r"rule|m?kern|[hm]skip|hspace|raisebox|[lrc]lap|math[lrc]lap|smash|vcenter)(?![A-Za-z])"
)
# Unknown to KaTeX, which would show an error: packages for chemistry, units and physics, references, environments.
UNKNOWN = re.compile(
    r"\\(?:ce|pu|SI|si|SIrange|num|qty|unit|ang|p?dv|abs|norm|nicefrac|sfrac|textsc|(?:eq)?ref|cite|(?:short)?intertext|"
    r"multi(?:column|row)|sideset|prescript|tensor|enclose|longdiv|DeclareMathOperator)(?![A-Za-z])|"
    r"\\begin\{(?:multline|eqnarray|flalign|tabular|itemize|enumerate|center|tikzpicture|IEEEeqnarray)"
)
LABEL = re.compile(r"\\label\{[^{}]*\}")  # nothing here refers to labels
APART = re.compile(r"<(?=[A-Za-z!/?])|\](?=[(:\[])")  # would start HTML, or end the text of a link


def _as_katex(formula: str) -> str:
    """A formula with commands that KaTeX lacks replaced or removed."""
    return LABEL.sub("", formula).replace("\\mbox{", "\\text{")


def in_a_line(source: str) -> str:
    """An inline formula; one that is unsafe or unknown is shown as it was written."""
    edge = 2 if source.startswith(("\\", "$$")) else 1
    inside = " ".join(_as_katex(source[edge:-edge]).split())
    if REFUSED.search(inside):
        return plain(source)
    if UNKNOWN.search(inside):
        return code(source)
    if "\\begin" not in inside:  # bars separate columns in a table
        inside = inside.replace("\\|", "\\Vert ").replace("|", "\\vert ")
    space = " " if inside.endswith(("$", "\\")) else ""  # Streamlit does not read `\$` as the end
    inside = APART.sub(r"\g<0> ", inside)
    return f"$${inside}{space}$$"


def on_lines(source: str) -> list[str]:
    """The lines of a display formula, or of a code block if the formula is unsafe or unknown."""
    inside = _as_katex(source[2:-2]).strip()
    if REFUSED.search(inside) or UNKNOWN.search(inside):
        return fence(source, "latex")
    return ["$$", *(APART.sub(r"\g<0> ", line.strip()) for line in inside.split("\n")), "$$"]
