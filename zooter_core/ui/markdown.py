"""Untrusted text as Markdown that loads nothing, hides nothing and keeps its formatting.

`markdown_parser` parses it, and each token is written so that Streamlit (remark with maths, directives and icons)
cannot read it as anything else: code stays code however deeply it is nested, and every character of a text is literal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from zooter_core.ui import formulas
from zooter_core.ui.markdown_parser import DEEPEST, PARSER, tokens_in
from zooter_core.ui.text import JOINER, code, escaped, fence, typed, visible

MOST = 20_000  # characters of a text that are drawn; more would slow down the browser
LONGER = 4  # the longest Markdown, as a multiple of the text's length: nested lists and empty cells add to it
MOST_MARKS = 500  # stars, underscores and tildes in a paragraph; emphasis can be nested half as deep
LONGEST = 300  # characters of an address that are shown: a data URL holds a whole image
PAGE = 2  # levels of headings that the page uses; a text's headings are below them
PROGRAM = re.compile(
    r"(def|class|import|return|print|function|public|private|static|int|void|using|#include|"
    r"SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[]:;({=,)\w]$"
    r"|(for|while|if|else|elif|try|except|with)\b.*[:;{)]|from \S+ import .+|(let|const|var) .*[=;].*"  # words of verse
    r"|[\w.]+ [-+*/]?= .+|[})\]]+[;,]?|(?![-*+\u2022] |\d+[.)] ).*[;{]|</?\w+.*>"
    r'|"[^"]*": .*(?:[]\d[{}",]|true|false|null)'
)
# Streamlit draws some languages as diagrams, which may load files.
LANGUAGE = re.compile(r"(?!.*(?:mermaid|math))[a-z0-9][\w+#.-]{0,29}(?!\S)", re.ASCII | re.IGNORECASE)
# The first line of a block that can interrupt a paragraph.
INTERRUPTS = re.compile(r"(?:[-+*]|1[.)]) +\S|>|`{3,}[^`]*\Z")
TASK = re.compile(r"\\\[([ xX])\\\] (?=\S)")
ALIGNED = {"left": ":---", "center": ":---:", "right": "---:"}
MARK = re.compile(r"(`[^`]+`)|[*~]|(?<![^\W_])_|_(?![^\W_])")  # marks of emphasis, outside code
BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")  # an unescaped bar
# In table rows, models forget to escape bars in code and formulas.
ROW = re.compile(r"^[> \t]*\|.*\|[ \t]*$", re.MULTILINE)
WITH_BARS = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\\\(.+?\\\)|\$(?=\S)[^$]*[^\s$]\$(?=[ \t]*\|)")
STAND_IN = "\a"  # for such a bar, then for a line break in a cell; `visible` has removed it from the text
BREAK = re.compile(r"(`+[^`]*`+)|<br ?/?>", re.IGNORECASE)  # outside code
# No user name, backslash, brackets or unusual number in the host, so that all browsers agree where it leads.
WEB = re.compile(
    r"https?://((?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*\.?|(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2}))"
    r"(?::\d{1,5})?(?:[/?#][^\s\\<>]*)?",
    re.ASCII | re.IGNORECASE,
)
UNQUOTED = "/?#%:;,=+!'@.-_~()*[]&"  # characters of an address that are not percent-encoded
PARTED = re.compile(r"https?(?=:)|www(?=\.)", re.IGNORECASE)  # Streamlit would make a link of it and its rest


def safe(text: str, most: int | None = MOST) -> str:
    """Markdown of a model or a person, made harmless.

    - An image, which the browser would fetch, becomes its text and its address.
    - A link names its host. One that does not lead to a web page becomes its text and its address, too.
    - A single dollar sign is text, unless it belongs to a formula.
    - HTML, footnotes and link definitions are shown as text.
    - A program without a fence gets one, so that its lines do not run together.

    Args:
        most: characters to draw; a note at the end says how many are missing. None, for a file, draws all.
    """
    shown = _markdown(visible(text[:most]))
    if most is not None and len(text) > most:
        return f"{shown}\n\n*… {len(text) - most:,} characters more, which an export has*"
    return shown


def message(text: str) -> str:
    """A message as Markdown with code, lists and addresses, but without emphasis: it may quote a server or a file."""
    return safe(MARK.sub(lambda part: part[1] or rf"\{part[0]}", text))


@lru_cache(maxsize=256)  # a page redraws the complete conversation on every change
def _markdown(text: str) -> str:
    if not re.search(r"[\w`]", text):  # an answer such as "#" would be an empty heading
        return "\n".join(typed(text))
    if text.count("```") == 1:  # a closing fence without an opening one: some models begin inside a code block
        text = re.sub(r"\n```\s*\Z", "", text)
    if "```" in text or not _is_program(text):
        tokens = PARSER.parse(ROW.sub(lambda row: WITH_BARS.sub(_cover_bars, row[0]), text))
        if all(token.level < DEEPEST - 1 for token in tokens):
            written = "\n".join(_blocks(SyntaxTreeNode(tokens).children)).replace(STAND_IN, "|")
            if len(written) <= LONGER * max(len(text), MOST):
                return written
    return "\n".join(fence(text))


def _cover_bars(part: re.Match[str]) -> str:
    return re.sub(r"(?<!\\)\|", STAND_IN, part[0])


def _is_program(text: str) -> bool:
    """Whether there are two or more lines, most of which look like code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and sum(bool(PROGRAM.fullmatch(line)) for line in lines) > 0.6 * len(lines)


def _blocks(nodes: Sequence[SyntaxTreeNode], tight: bool = False) -> list[str]:
    """The lines of blocks, separated by empty lines, except within a tight list."""
    lines: list[str] = []
    for node in nodes:
        block = _block(node)
        lines += [""] * bool(lines and block and not (tight and INTERRUPTS.match(block[0]))) + block
    return lines


def _block(node: SyntaxTreeNode) -> list[str]:
    match node.type:
        case "paragraph":
            lines = (line.strip(" \t") for line in node.children[0].content.split("\n"))
            return _words("\n".join(lines)).strip("\n").split("\n")
        case "heading":
            return [f"{'#' * min(6, int(node.tag[1]) + PAGE)} {_line(node)}".rstrip()]
        case "fence" | "code_block" if not node.content.strip():  # e.g. while it is streamed
            return []
        case "fence" | "code_block":
            language = LANGUAGE.match(node.info.strip())
            return fence(node.content.removesuffix("\n"), language[0].lower() if language else "")
        case "maths":
            return formulas.on_lines(node.content)
        case "blockquote":
            return [f"> {line}" if line else ">" for line in _blocks(node.children)]
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "table":
            head, *body = [[_line(cell) for cell in row.children] for part in node.children for row in part.children]
            styles = [str(cell.attrs.get("style", "")) for cell in node.children[0].children[0].children]
            aligned = [ALIGNED.get(style.removeprefix("text-align:"), "---") for style in styles]
            rows = [" | ".join(BAR.sub(r"\1\\|", cell) for cell in row) for row in (head, aligned, *body)]
            return [f"| {row} |" for row in rows]
        case _:
            return ["___"]


def _line(node: SyntaxTreeNode) -> str:
    """The text of a heading or a cell, on one line."""
    content = node.children[0].content.replace(STAND_IN, "|")
    if node.type in ("td", "th"):
        content = BREAK.sub(lambda part: part[1] or f" {STAND_IN} ", content)
    return re.sub(f" *{STAND_IN} *", "&#10;", re.sub(r"\s*\n\s*", " ", _words(content)).strip())


def _list(node: SyntaxTreeNode) -> list[str]:
    """The lines of a list, indented by four columns: with fewer, Streamlit would read a closing fence as an opening one
    when it looks for formulas."""
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    number = int(node.attrs.get("start", 1))
    lines: list[str] = []
    for place, item in enumerate(node.children):
        mark = item.markup if node.type == "bullet_list" else f"{min(number + place, 999_999_999)}{item.markup}"
        mark = f"{mark} ".ljust(4)
        first, *others = _blocks(item.children, tight) or [""]
        first = TASK.sub(r"[\1] ", first, count=1)
        lines += [""] * bool(place and not tight) + [mark + first if first else mark.rstrip()]
        lines += [" " * len(mark) + line if line else "" for line in others]
    return lines


def _words(text: str) -> str:
    """The lines of a paragraph: text, emphasis, code, formulas and links, none of which can be read as another."""
    if sum(map(text.count, "*_~")) > MOST_MARKS:
        return "\n".join(typed(text))
    return _inline(tokens_in(text))


def _inline(tokens: Sequence[Token], linked: bool = True) -> str:
    """The Markdown of inline tokens. `linked`: whether it may contain links."""
    parts: list[str] = []
    place = 0
    while place < len(tokens):
        token, end = tokens[place], place + 1
        if token.type == "link_open":
            closing = (n for n in range(end, len(tokens)) if tokens[n].nesting < 0 and tokens[n].level == token.level)
            end = next(closing) + 1
        before, after = parts[-1][-1:] if parts else "\n", tokens[end].content[:1] if end < len(tokens) else ""
        match token.type:
            case "softbreak" | "hardbreak":
                piece = "  \n"
            case "text":
                piece = _text(token.content, before == "\n")
            case "code_inline":
                piece = code(token.content)
            case "formula" if token.content.startswith("\\["):
                piece = "\n".join(["", "", *formulas.on_lines(token.content.strip()), "", ""])
            case "formula":
                piece = formulas.in_a_line(token.content)
            case "address":
                piece = _address(token.content.strip("<>"), linked)
            case "link_open":
                piece = JOINER * (not before.isspace()) + _link(token, tokens[place + 1 : end - 1], linked)
            # Between punctuation and a letter, as in languages without spaces, the marks would not be emphasis.
            case _ if token.nesting > 0:
                piece = token.markup + JOINER * (before.isalnum() and not after.isalnum())
            case _:
                piece = JOINER * (after.isalnum() and not before.isalnum()) + token.markup
        parts.append(JOINER * (before + piece[:1] in ("``", "$$", "$\\")) + piece)
        place = end
    return "".join(parts)


def _text(text: str, at_start: bool) -> str:
    return escaped(PARTED.sub(rf"\g<0>{JOINER}", text), at_start)


def _address(words: str, linked: bool) -> str:
    """An address in a text: a link if its target is unambiguous."""
    page = WEB.fullmatch(words if "://" in words else f"http://{words}")
    if page and not linked:
        return _text(words, at_start=False)
    return _web_link(escaped(words, at_start=False), page) if page else code(words)


def _link(opening: Token, inner: Sequence[Token], linked: bool) -> str:
    """A link to a web page, which names its host unless its text is the address. Any other link, and an image, becomes
    its text and its address."""
    address, words = str(opening.attrs["href"]), "".join(token.content for token in inner)
    page = None if opening.tag == "img" else WEB.fullmatch(address)
    if page and words in (page[0], page[0].split("://")[1]):
        return _web_link(escaped(words, at_start=False), page)
    if page:
        return _web_link(f"{_inline(inner, linked=False)} ({escaped(page[1].lower(), at_start=False)})", page)
    shown = code(address[:LONGEST] + "…" * (len(address) > LONGEST) or "no address")
    return shown if words == address else f"{_inline(inner, linked) or 'image'} ({shown})"


def _web_link(label: str, page: re.Match[str]) -> str:
    return f"[{label}](<{quote(page[0], safe=UNQUOTED).replace('&', '&amp;')}>)"
