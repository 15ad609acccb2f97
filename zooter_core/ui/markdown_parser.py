"""A parser for Markdown as models write it: formulas, sums, file names, wildcards, and languages without spaces."""

from __future__ import annotations

import re
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_inline import StateInline, link
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

from zooter_core.ui.text import visible

DEEPEST = 20  # levels: a quote counts one, a list two. Deeper Markdown is shown as plain text
MOST_COLUMNS = 40
MOST_CELLS = 4_000  # of a table, with the empty cells that fill short rows
LONGEST_FORMULA = 2_000  # characters
DISPLAY = re.compile(r"\s*(?:\\\[|\$\$)(?:(?!\\\]|\$\$).)+(?:\\\]|\$\$)[ \t]*(?:\n|\Z)", re.DOTALL)
# LaTeX's environments for display formulas, which many models write without delimiters.
BARE = re.compile(
    r"\s*\\begin\{((?:align(?:ed)?|equation|gather|cases|[bpv]?matrix)\*?)\}(?:(?!\$\$).)+?\\end\{\1\}[ \t]*(?:\n|\Z)",
    re.DOTALL,
)
# Between single dollars, by Pandoc's rule: no white space just inside them and no digit after them. Inside, there are
# no words, or there is a sign of a formula. Prices may have the dollar behind (5$, 10$), or be only dollars ($$).
FORMULA = re.compile(
    r"""\\\((?!\s*\\\)).{1,2000}?\\\) | \\\[(?!\s*\\\]).{1,2000}?\\\][\ \t]*
    | \$\$(?!\s*(?:[$)\],.;:]|(?:and|or|to)\b)).{1,2000}?\$\$
    | (?<!\$)(?<!\d(?=\$[^\\A-Z]))(?<![A-Z](?=\$\d))\$(?![\s$/])
        (?:[A-Z]{1,3} | (?:(?![A-Z]{2})[^\]["#$%&@`{}~\n]){1,100}(?<=[\w)|'!])
        | (?:\\\$|[^$\n]){0,300}?(?:\\\$|[\\^_=])(?:\\\$|[^$\n]){0,300}?) (?<![\s\\])\$(?![\d$])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
# Without the punctuation after it.
ADDRESS = re.compile(
    r"""(?P<angle><)? (?:https?://|www\.) (?: (?!\]\()[^\s<>()\\`SIGN] | \([^\s<>()\\`SIGN]*\) )*
    (?<![?!.,:;*_~'"\]}]) (?(angle)>)""".replace(
        "SIGN", "\u2014\u2018-\u201d\u2026\u3001\u3002\u3008-\u3011\uff01-\uff1f"
    ),
    re.VERBOSE | re.IGNORECASE,
)
# Text without a meaning in Markdown, up to the next character that may have one.
WORDS = re.compile(r"(?:[^\n\\`$&*_~\[\]<!hw]|h(?!ttps?://)|w(?!ww\.)|!(?!\[))+", re.IGNORECASE)
# Literal signs: single tildes, the underscores of `__init__` and of an index, and the backslash in a pattern such as
# `a\.b` or in a path (`C:\*`, `dir\*.txt`).
LITERAL = re.compile(
    r"""~(?!~) | ~~~+ | (?<!\w)__[A-Z0-9]\w+?__(?!\w) | (?<=})_(?={)
    | \\(?: (?<!\d\\)(?=\.) | (?<=[^\n]\\)(?=[-+]) | (?=[?/@]) | (?<=\b[a-z]:\\)(?=\*) | (?<=\w\\)(?=\*\.[a-z*]) )""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
SIGNS = "\u0370-\u03ff\u00b2\u00b3\u00b9\u00bc-\u00be\u2150-\u215e√"  # in sums: Greek letters, powers, fractions
# Stars open emphasis before a word and close it after one. A single star must be at a word's end: 2*3*4 is a product.
OPENING = re.compile(rf"(?<![A-Za-z0-9)\]/\\{SIGNS}])\*+(?!/?[\s*,;)]|\.(?:[{{*]|\w+(?![\w*])))", re.ASCII)
CLOSING = re.compile(rf"(?<![\s(\[{{])(?:\*(?![*\w({SIGNS}])|\*\*+(?![*\d]))", re.ASCII)


def _small_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule for tables of up to MOST_CELLS cells; the rows after that are text."""
    if start + 1 >= end:
        return False
    columns = state.src.count("|", state.bMarks[start + 1], state.eMarks[start + 1]) + 1
    return columns <= MOST_COLUMNS and table(state, start, min(end, start + 2 + MOST_CELLS // columns), silent)


def _display(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule for a formula on lines of its own, none of which is empty."""
    place = state.bMarks[start] + state.tShift[start]
    close = {"$$": "$$", "\\[": "\\]", "\\b": "\\end{"}.get(state.src[place : place + 2])
    if not close or state.is_code_block(start) or state.src.find(close, place + 2, place + LONGEST_FORMULA) < 0:
        return False
    stop = start + 1
    while stop < end and stop < start + 60 and not state.isEmpty(stop) and state.sCount[stop] >= state.blkIndent:
        stop += 1
    lines = state.getLines(start, stop, state.blkIndent, False)
    match = DISPLAY.match(lines) or BARE.match(lines)
    if match and not silent:
        state.push("maths", "", 0).content = f"$${match[0]}$$" if match.re is BARE else match[0].strip()
        state.line = start + match[0].rstrip().count("\n") + 1
    return bool(match)


def _one_token(kind: str, pattern: re.Pattern[str]) -> Callable[[StateInline, bool], bool]:
    """A parser rule that makes each match of a pattern one token of a kind, with its text unchanged."""

    def rule(state: StateInline, silent: bool) -> bool:
        if not (match := pattern.match(state.src, state.pos, state.posMax)):
            return False
        if not silent:
            state.push(kind, "", 0).content = match[0]
        state.pos = match.end()
        return True

    return rule


def _stars(state: StateInline, silent: bool) -> bool:
    """The parser's rule for stars, which knows sums and languages without spaces between words."""
    if silent or state.src[state.pos] != "*":
        return False
    length = state.scanDelims(state.pos, True).length
    opens, closes = (bool(edge.match(state.src, state.pos, state.posMax)) for edge in (OPENING, CLOSING))
    for _ in range(length):
        state.push("text", "", 0).content = "*"
        state.delimiters.append(Delimiter(ord("*"), length, len(state.tokens) - 1, -1, opens, closes))
    state.pos += length
    return True


def _link_or_image(state: StateInline, silent: bool) -> bool:
    """The parser's rule for links, and for images, which get the tag `img`."""
    start, before = state.pos, len(state.tokens)
    is_image = state.src.startswith("![", start)
    if not is_image and state.src[start - 1 : start].isalnum():  # f[x](y)
        return False
    state.pos += is_image
    if not link(state, silent):
        state.pos = start
        return False
    if is_image and not silent:
        next(token for token in state.tokens[before:] if token.type == "link_open").tag = "img"
    return True


class _Parser(MarkdownIt):
    """Accepts any address in a link; `markdown` decides which of them become links."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return True


PARSER = _Parser("commonmark", {"maxNesting": DEEPEST}).enable(["table", "strikethrough"])
PARSER.disable(["reference", "html_block", "html_inline", "autolink", "image"])
PARSER.core.ruler.enableOnly(["normalize", "block"])
PARSER.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
PARSER.block.ruler.before("fence", "maths", _display, {"alt": ["paragraph", "blockquote", "list"]})
PARSER.inline.ruler.at("text", _one_token("text", WORDS))
PARSER.inline.ruler.at("link", _link_or_image)
PARSER.inline.ruler.before("emphasis", "stars", _stars)
PARSER.inline.ruler.before("escape", "address", _one_token("address", ADDRESS))
PARSER.inline.ruler.before("escape", "formula", _one_token("formula", FORMULA))
PARSER.inline.ruler.before("escape", "literal", _one_token("text", LITERAL))


def tokens_in(text: str) -> list[Token]:
    """The tokens within a paragraph, a heading or a cell: markdown-it's own, and `address` and `formula`.

    Adjacent texts are joined into one token. An image is a link with the tag `img`.
    """
    tokens: list[Token] = []
    for token in PARSER.inline.parse(text, PARSER, {}, []):
        if token.type == "text_special":
            token.content = visible(token.content)  # an entity may stand for an invisible character
        elif token.type != "text":
            tokens.append(token)
            continue
        if tokens and tokens[-1].type == "text":
            tokens[-1].content += token.content
        elif token.content:
            tokens.append(Token("text", "", 0, content=token.content))
    return tokens
