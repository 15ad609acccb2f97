"""Writes the tree of a Markdown text as Markdown again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.tree import SyntaxTreeNode

from zooter_core.ui.markdown import maths
from zooter_core.ui.markdown.escape import fence
from zooter_core.ui.markdown.words import Words

PAGE = 2  # levels of headings that are the page's; a text's headings come below them
DEEPEST = 20  # a quote counts one, a list two; deeper Markdown is shown as plain text
MOST_COLUMNS = 40
MOST_CELLS = 4_000  # of a table; short rows are filled up with empty cells
LANGUAGE = re.compile(r"[A-Za-z0-9][\w+#.-]{0,29}", re.ASCII)
DRAWN = ("mermaid", "math")  # languages that Streamlit draws as pictures, which may load other files
# Columns by which list items are indented. Streamlit looks for formulas before it parses, and would take the end of a
# fence with less indentation for the start of one.
INDENT = 4
TASK = re.compile(r"\\\[([ xX])\\\] (?=\S)")
ALIGNED = {"left": ":---", "center": ":---:", "right": "---:"}


class UndrawableError(Exception):
    """A text is nested too deeply."""


class Parser(MarkdownIt):
    """CommonMark with tables, strikethrough and formulas; HTML and definitions of link addresses are text."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": DEEPEST})
        self.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
        self.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
        maths.formulas(self)

    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Accept any address; `words` decides what to do with it."""
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        """Leave the address unchanged."""
        return url


def _small_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule for tables up to MOST_CELLS; the rows below are text."""
    if start + 1 >= end:
        return False
    columns = state.src.count("|", state.bMarks[start + 1], state.eMarks[start + 1]) + 1
    return columns <= MOST_COLUMNS and table(state, start, min(end, start + 2 + MOST_CELLS // columns), silent)


PARSER = Parser()


def rendered(text: str) -> str:
    """Markdown with the text's structure, but without images, HTML and links that hide their host.

    Raises:
        UndrawableError: it is nested too deeply.
    """
    tokens = PARSER.parse(text)
    if any(part.level >= DEEPEST - 1 for token in tokens for part in (token, *(token.children or ()))):
        raise UndrawableError
    return "\n".join(_blocks(SyntaxTreeNode(tokens).children))


def _blocks(nodes: Sequence[SyntaxTreeNode], tight: bool = False) -> list[str]:
    """The lines of blocks, separated by empty lines; a tight list follows its item's text directly."""
    lines: list[str] = []
    for node in nodes:
        block = _block(node)
        if block and lines and not (tight and _may_follow(node)):
            lines.append("")
        lines += block
    return lines


def _may_follow(node: SyntaxTreeNode) -> bool:
    """Whether a block directly below a paragraph is read as a separate block."""
    if node.type in ("bullet_list", "ordered_list"):
        return bool(node.children[0].children) and node.attrs.get("start", 1) == 1
    return node.type in ("fence", "code_block", "blockquote")


def _block(node: SyntaxTreeNode) -> list[str]:
    match node.type:
        case "paragraph":
            return _paragraph(node.children[0].children)
        case "heading":
            return [f"{'#' * min(6, int(node.tag[1]) + PAGE)} {_line(node)}".rstrip()]
        case "fence" | "code_block" if not node.content.strip():  # as while a model begins one, or breaks off in it
            return []
        case "fence" | "code_block":
            return fence(node.content.removesuffix("\n"), _language(node.info))
        case "blockquote":
            return [f"> {line}".rstrip(" ") if not line else f"> {line}" for line in _blocks(node.children)]
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "table":
            return _table(node)
        case "hr":
            return ["___"]
        case "maths_block":
            return maths.block(node.content, node.markup)
    raise ValueError(f"a block of Markdown of the kind {node.type}")


def _language(info: str) -> str:
    """The language of a fence, if Streamlit only highlights it."""
    first = info.split(maxsplit=1)[0] if info.strip() else ""
    return first if LANGUAGE.fullmatch(first) and not any(name in first.lower() for name in DRAWN) else ""


def _list(node: SyntaxTreeNode) -> list[str]:
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    number = int(node.attrs.get("start", 1))
    lines: list[str] = []
    for place, item in enumerate(node.children):
        mark = item.markup if node.type == "bullet_list" else f"{min(number + place, 999_999_999)}{item.markup}"
        mark = f"{mark} ".ljust(INDENT)
        first, *others = _blocks(item.children, tight) or [""]
        first = TASK.sub(r"[\1] ", first, count=1) if TASK.match(first) else first
        if place and not tight:
            lines.append("")
        lines.append((mark + first).rstrip(" ") if not first else mark + first)
        lines += [" " * len(mark) + line if line else "" for line in others]
    return lines


def _table(node: SyntaxTreeNode) -> list[str]:
    rows = [row.children for part in node.children for row in part.children]
    aligned = [ALIGNED.get(str(cell.attrs.get("style", "")).removeprefix("text-align:"), "---") for cell in rows[0]]
    head, *body = [[_line(cell, in_table=True) for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (head, aligned, *body)]


def _line(node: SyntaxTreeNode, in_table: bool = False) -> str:
    """The text of a heading or a cell, in one line."""
    return Words(in_table, one_line=True).written(node.children[0].children)


def _paragraph(nodes: Sequence[SyntaxTreeNode]) -> list[str]:
    """The lines of a paragraph; a display formula in it gets separate lines."""
    lines: list[str] = []
    for display, group in groupby(nodes, _is_display):
        run = list(group)
        for part in [maths.block(node.content, node.markup) for node in run] if display else [Words().lines(run)]:
            lines += [""] * bool(lines and part) + part
    return lines


def _is_display(node: SyntaxTreeNode) -> bool:
    return node.type == "maths" and node.markup == "\\["
