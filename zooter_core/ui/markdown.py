"""Untrusted text as Markdown that loads nothing, hides nothing and keeps its formatting.

markdown-it-py parses a text, and only what is allowed is written again for Streamlit, which parses with remark:
CommonMark, GitHub's tables, strikethrough, footnotes and bare addresses, maths, directives such as `:red[...]`, and its
icons. Text is escaped so that it forms none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Literal, NamedTuple
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from zooter_core.ui.text import CLOSING, code, escaped, fence, formula, formula_lines, joined, visible

MOST = 20_000  # characters of a text that a page draws; more would slow down the browser
LONGER = 4  # how many times longer than the text its Markdown may be, because of nested lists and empty cells
PROGRAM = re.compile(
    r"(def|class|import|from|return|print|for|while|if|else|elif|try|except|with|function|const|let|var|public|private|"
    r"static|int|void|using|#include|SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[:;({=,)\w]$"
    r"|[\w.]+ [-+*/]?= .+|[})\]]+;?|.*[;{]|</?\w+.*>"
)


def safe(text: str, most: int | None = MOST) -> str:
    """Markdown of a model or a person, made harmless.

    - An image, which would be fetched from its address, becomes its text and the address.
    - A link names its host, and leads nowhere unless that is a web page.
    - A single dollar sign stays one; only `$$`, `\\(` and `\\[` start a formula.
    - HTML and definitions of link addresses are shown as text.
    - A program without a fence gets one, so that its lines do not run together.

    Args:
        most: characters to draw; the end says how many are missing. None, for a file, draws all.
    """
    shown = _markdown(visible(text[:most]))
    if most is not None and len(text) > most:
        return f"{shown}\n\n*… {len(text) - most:,} characters more, which an export has*"
    return shown


@lru_cache(maxsize=256)  # a page draws the complete conversation again on every change
def _markdown(text: str) -> str:
    if "```" in text or not _is_program(text):
        try:
            written = rendered(text)
        except UndrawableError:
            written = None
        if written is not None and len(written) <= LONGER * max(len(text), MOST):
            return written
    return "\n".join(fence(text))


def _is_program(text: str) -> bool:
    """Whether most of two or more lines look like code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and sum(bool(PROGRAM.fullmatch(line)) for line in lines) > 0.6 * len(lines)


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
# As Pandoc has it: no white space inside the signs and no digit behind them. What is between them is one letter, or has
# one of the signs of a formula.
SINGLE = re.compile(r"(?<![\\$])\$(?![\s$])([A-Za-z]|[^$\n]{0,300}?[\\^_=][^$\n]{0,300}?)(?<!\s)\$(?![\d$])")
LONGEST_FORMULA = 2_000  # characters of a formula
REST = re.compile(r"[ \t]*(?=\n|\Z)")


class UndrawableError(Exception):
    """A text is nested too deeply."""


class Parser(MarkdownIt):
    """CommonMark with tables, strikethrough and formulas; HTML and definitions of link addresses are text."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": DEEPEST})
        self.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
        self.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
        # Formulas become tokens `maths` and `maths_block`, with their opening characters as markup.
        self.inline.ruler.before("escape", "maths", _formula_in_line)
        self.inline.ruler.after("maths", "maths_dollars", _formula_in_dollars)
        self.block.ruler.before(
            "fence", "maths_block", _formula_block, {"alt": ["paragraph", "blockquote", "list"]}
        )  # fmt: skip

    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Accept any address; `Words` decides what to do with it."""
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


def _formula_in_dollars(state: StateInline, silent: bool) -> bool:
    """A formula between single dollar signs; prices in a sentence are none."""
    match = SINGLE.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        token = state.push("maths", "", 0)
        token.content, token.markup = match[1], "$"
    state.pos = match.end()
    return True


def _formula_in_line(state: StateInline, silent: bool) -> bool:
    begin = state.src[state.pos : state.pos + 2]
    if begin not in CLOSING:
        return False
    start = state.pos + 2
    end = state.src.find(CLOSING[begin], start, min(state.posMax, start + LONGEST_FORMULA))
    inside = state.src[start:end].strip() if end >= 0 else ""
    if not inside or inside.startswith("$"):
        return False
    if not silent:
        token = state.push("maths", "", 0)
        token.content, token.markup = inside, begin
    state.pos = end + 2
    return True


def _formula_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula on separate lines, without an empty line in it."""
    place = state.bMarks[start] + state.tShift[start]
    begin = state.src[place : place + 2]
    if begin not in ("$$", "\\[") or state.is_code_block(start):
        return False
    close = state.src.find(CLOSING[begin], place + 2, place + 2 + LONGEST_FORMULA)
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
            return formula_lines(node.content, node.markup)
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
    for display, group in groupby(nodes, lambda node: node.type == "maths" and node.markup == "\\["):
        run = list(group)
        for part in [formula_lines(node.content, node.markup) for node in run] if display else [Words().lines(run)]:
            lines += [""] * bool(lines and part) + part
    return lines


BARE = re.compile(r"(?:https?://|www\.)[^\s<]*", re.IGNORECASE)
# No user before the host, no backslash, no brackets: browsers and this pattern agree where it leads.
WEB = re.compile(r"(https?)://([^\s/?#\\@:\[\]]{1,253})(:\d{1,5})?([/?#].*)?", re.IGNORECASE | re.DOTALL)
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
UNQUOTED = "/?#%:;,=+!'@.-_~()*[]&"  # of an address, not percent-encoded
TRAILING = "?!.,:;*_~'\""
BRACKETS = {")": "(", "]": "[", "}": "{"}
LONGEST = 300  # characters of an address that are shown: an image's address may be the image itself


class Web(NamedTuple):
    """A web address in ASCII, as a browser reads it, and its host."""

    address: str
    host: str


def web(address: str) -> Web | None:
    """Where an address leads; None unless it is clearly a web page."""
    match = WEB.fullmatch(address.strip())
    if match is None:
        return None
    scheme, host, port, rest = match.groups(default="")
    try:
        host = host.encode("idna").decode("ascii").lower()
    except UnicodeError:  # an empty label, or one of more than 63 characters
        return None
    if not HOST.fullmatch(host):
        return None
    return Web(f"{scheme.lower()}://{host}{port}{quote(rest, safe=UNQUOTED)}", host)


def link(words: str, raw: str, address: str, to: Web) -> str:
    """Markdown of a link that names its host.

    Args:
        words: its text as Markdown; raw: the text before that.
        address: where it leads, as written; to: as a browser reads it.
    """
    if raw.strip() not in (address, address.split("://")[-1]) or to.host not in raw.lower():
        words = f"{words} ({escaped(to.host, at_start=False)})"
    return f"[{words}](<{to.address.replace('&', '&amp;')}>)"


def shown(address: str, in_table: bool = False) -> str:
    """An address as code, so that it cannot be followed."""
    address = address.strip() or "no address"
    return code(address if len(address) <= LONGEST else address[:LONGEST] + "…", in_table)


def linked(text: str, in_table: bool = False) -> Iterator[tuple[bool, str]]:
    """The parts of a text: False with plain text, or True with the Markdown of a bare address."""
    end = 0
    for match in BARE.finditer(text):
        address = trimmed(match[0])
        full = address if "://" in address else f"http://{address}"
        to = web(full) if "." in address else None
        if match.start() > end:
            yield False, text[end : match.start()]
        yield True, link(escaped(address), address, full, to) if to else code(address, in_table)
        end = match.start() + len(address)
    if end < len(text):
        yield False, text[end:]


def trimmed(address: str) -> str:
    """A bare address without the sentence's punctuation behind it."""
    counts = {mark: address.count(mark) for mark in "()[]{}"}
    end = len(address)
    while end > 0:
        last = address[end - 1]
        if last in BRACKETS and counts[last] > counts[BRACKETS[last]]:
            counts[last] -= 1
        elif last not in TRAILING:
            break
        end -= 1
    return address[:end]


MARKS = {"em": "*", "strong": "**", "s": "~~"}
Kind = Literal["text", "markdown", "break"]


class Words:
    """Writes a sequence of nodes. Neighbouring text is joined before it is escaped, because Streamlit joins it, too."""

    def __init__(self, in_table: bool = False, one_line: bool = False) -> None:
        self.in_table = in_table
        self.one_line = one_line
        self._within: set[str] = set()  # kinds of the nodes around the current one

    def lines(self, nodes: Sequence[SyntaxTreeNode], at_start: bool = True) -> list[str]:
        """The lines of nodes, none of them empty; each but the last ends in two spaces, so that it stays ended.

        Args:
            at_start: whether the nodes begin a line.
        """
        lines: list[list[str]] = [[]]
        for kind, pieces in groupby(self._pieces(nodes), lambda piece: piece[0]):
            texts = [piece[1] for piece in pieces]
            if kind == "break":
                lines.append([])
            elif kind == "markdown":
                lines[-1] += texts
            else:
                first = not lines[-1] and (at_start or len(lines) > 1)
                lines[-1] += self._text("".join(texts), first)
        written = [line for line in (joined(pieces).rstrip(" ") for pieces in lines) if line]
        return [line + "  " for line in written[:-1]] + written[-1:]

    def written(self, nodes: Sequence[SyntaxTreeNode], at_start: bool = True) -> str:
        return "\n".join(self.lines(nodes, at_start))

    def _text(self, text: str, at_start: bool) -> list[str]:
        text = text.lstrip() if at_start else text
        if "link" in self._within:
            return [escaped(text, at_start)]
        return [
            part if is_link else escaped(part, at_start and not number)
            for number, (is_link, part) in enumerate(linked(text, self.in_table))
        ]

    def _pieces(self, nodes: Sequence[SyntaxTreeNode]) -> Iterator[tuple[Kind, str]]:
        for node in nodes:
            match node.type:
                case "text":
                    yield "text", node.content
                case "softbreak" | "hardbreak":
                    yield ("text", " ") if self.one_line else ("break", "")
                case "code_inline":
                    yield "markdown", code(node.content, self.in_table)
                case "maths":
                    yield "markdown", formula(node.content, node.markup, self.in_table)
                case "image":
                    yield "text", f"{_raw(node) or 'image'} ("
                    yield "markdown", shown(str(node.attrs["src"]), self.in_table)
                    yield "text", ")"
                case "link":
                    yield from self._link(node)
                case "em" | "strong" | "s":
                    yield from self._marked(node)
                case _:
                    raise ValueError(f"Markdown within a paragraph of the kind {node.type}")

    def _link(self, node: SyntaxTreeNode) -> Iterator[tuple[Kind, str]]:
        address = str(node.attrs["href"])
        if "link" in self._within:
            yield from self._pieces(node.children)
        elif (to := web(address)) is None:
            yield from self._pieces(node.children)
            if address.removeprefix("mailto:") != _raw(node):
                yield "text", " ("
                yield "markdown", shown(address, self.in_table)
                yield "text", ")"
        else:
            self._within.add("link")
            words = self.written(node.children, at_start=False)
            self._within.discard("link")
            yield "markdown", link(words, _raw(node), address, to)

    def _marked(self, node: SyntaxTreeNode) -> Iterator[tuple[Kind, str]]:
        """Emphasis; not inside the same kind of emphasis, and not around white space, where the marks fail."""
        raw = _raw(node)
        if node.type in self._within or not raw or raw != raw.strip():
            yield from self._pieces(node.children)
            return
        self._within.add(node.type)
        words = self.written(node.children, at_start=False)
        self._within.discard(node.type)
        yield "markdown", f"{MARKS[node.type]}{words}{MARKS[node.type]}"


def _raw(node: SyntaxTreeNode) -> str:
    """The text of a node without marks."""
    if node.type in ("softbreak", "hardbreak"):
        return " "
    if node.type != "image" and not node.children:
        return node.content
    return "".join(map(_raw, node.children))
