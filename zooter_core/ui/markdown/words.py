"""Writes the content of a paragraph, a heading or a cell as Markdown again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal, NamedTuple
from urllib.parse import quote

from markdown_it.tree import SyntaxTreeNode

from zooter_core.ui.markdown import maths
from zooter_core.ui.markdown.escape import code, escaped, joined

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
                    yield "markdown", maths.inline(node.content, node.markup, self.in_table)
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
