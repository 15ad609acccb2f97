"""Untrusted text as Markdown that loads nothing, hides nothing and keeps its formatting.

markdown-it-py finds the blocks, and each is written with marks that Streamlit (remark, with maths, directives and
icons) cannot read otherwise, so that code is code however it is nested. The rest passes through unchanged but for
`SPECIAL`, the list of what is escaped or rewritten outside code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import unescape
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.tree import SyntaxTreeNode

from zooter_core.ui.text import JOINER, code, escaped, fence, plain, typed, visible

MOST = 20_000  # characters of a text that a page draws; more would slow down the browser
LONGER = 4  # how many times longer than the text its Markdown may be, because of nested lists and empty cells
DEEPEST = 20  # a quote counts one, a list two; deeper Markdown is shown as plain text
MOST_MARKS = 500  # stars, underscores and tildes of one paragraph: emphasis may be nested half as deep
MOST_COLUMNS = 40
MOST_CELLS = 4_000  # of a table; short rows are filled up with empty cells
LONGEST_FORMULA = 2_000  # characters
LONGEST = 300  # characters of an address that are shown: an image's address may be the image itself
PAGE = 2  # levels of headings that are the page's; a text's headings come below them
PROGRAM = re.compile(
    r"(def|class|import|return|print|function|public|private|static|int|void|using|#include|"
    r"SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|ORDER|GROUP|JOIN|LIMIT)\b.*[]:;({=,)\w]$"
    r"|(for|while|if|else|elif|try|except|with)\b.*[:;{)]|from \S+ import .+|(let|const|var) .*[=;].*"  # verse has them
    r"|[\w.]+ [-+*/]?= .+|[})\]]+[;,]?|(?![-*+\u2022] |\d+[.)] ).*[;{]|</?\w+.*>"
    r'|"[^"]*": .*(?:[]\d[{}",]|true|false|null)'
)
# Streamlit draws other languages as pictures, which may load files.
LANGUAGE = re.compile(r"(?!.*(?:mermaid|math))[a-z0-9][\w+#.-]{0,29}(?!\S)", re.ASCII | re.IGNORECASE)
# The first line of a block that is one even below a line of text.
INTERRUPTS = re.compile(r"(?:[-+*]|1[.)]) +\S|>|`{3,}[^`]*\Z")
TASK = re.compile(r"\\\[([ xX])\\\] (?=\S)")
ALIGNED = {"left": ":---", "center": ":---:", "right": "---:"}
MARK = re.compile(r"(`[^`]+`)|[*~]|(?<![^\W_])_|_(?![^\W_])")  # of emphasis, outside code
BAR = re.compile(r"(?<!\\)((?:\\\\)*)\|")  # one that is not escaped
# In a row of a table, models forget to escape those in code and in formulas.
ROW = re.compile(r"^[> \t]*\|.*\|[ \t]*$", re.MULTILINE)
WITH_BARS = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\\\(.+?\\\)|\$(?=\S)[^$]*[^\s$]\$(?=[ \t]*\|)")
STAND_IN = "\a"  # for such a bar, then for a break in a cell; `visible` leaves none in a text
BREAK = re.compile(r"(`+[^`]*`+)|<br ?/?>", re.IGNORECASE)  # outside code
# No user before the host, no backslash, no brackets, no number in another form: browsers agree where it leads.
WEB = re.compile(
    r"https?://((?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*\.?|(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2}))"
    r"(?::\d{1,5})?(?:[/?#][^\s\\<>]*)?",
    re.ASCII | re.IGNORECASE,
)
UNQUOTED = "/?#%:;,=+!'@.-_~()*[]&"  # of an address, not percent-encoded
DISPLAY = re.compile(r"\s*(?:\\\[|\$\$)(?:(?!\\\]|\$\$).)+(?:\\\]|\$\$)[ \t]*(?:\n|\Z)", re.DOTALL)
# LaTeX's own display formulas, which many models write without other marks.
BARE = re.compile(
    r"\s*\\begin\{((?:align(?:ed)?|equation|gather|cases|[bpv]?matrix)\*?)\}(?:(?!\$\$).)+?\\end\{\1\}[ \t]*(?:\n|\Z)",
    re.DOTALL,
)
# Streamlit may take a formula for text, so nothing in it may become a link, an image or code. Commands that load, link,
# define or draw over the page are refused, too.
REFUSED = re.compile(
    r"`|~~~|\$\$|^\$|://|www\.|:streamlit:|:material|\\\\\s*\[\s*-|"
    r"\\(?:includegraphics|href|url|html\w*|[gex]?def|let|futurelet|(?:re)?newcommand|providecommand|global|char|"
    r"rule|m?kern|[hm]skip|hspace|raisebox|[lrc]lap|math[lrc]lap|smash|vcenter)(?![A-Za-z])"
)
# What KaTeX lacks and would show as an error: packages for chemistry, units, physics, references, and environments.
UNKNOWN = re.compile(
    r"\\(?:ce|pu|SI|si|SIrange|num|qty|unit|ang|p?dv|abs|norm|nicefrac|sfrac|textsc|(?:eq)?ref|cite|(?:short)?intertext|"
    r"multi(?:column|row)|sideset|prescript|tensor|enclose|longdiv|DeclareMathOperator)(?![A-Za-z])|"
    r"\\begin\{(?:multline|eqnarray|flalign|tabular|itemize|enumerate|center|tikzpicture|IEEEeqnarray)"
)
LABEL = re.compile(r"\\label\{[^{}]*\}")  # which nothing here refers to
APART = re.compile(r"<(?=[A-Za-z!/?])|\](?=[(:\[])")  # would start HTML, or end the text of a link

SPECIAL = re.compile(
    r"""(?=[][\n\\`$!<>&:*_~hw-])(?:  # which passes over other characters quickly
    # Lines stay lines, and the beginning of one starts no list, quote, heading, ruler or table.
    (?P<line> \\?\n (?:\d{1,9}(?=[.)](?:\s|\Z)))?
        (?P<mark> [-+*](?=\s|\Z) | (?<=\d)[.)] | [-=*_|:](?=[-=*_|:\ \t]*(?:\n|\Z)) | [>#] )? )
    | (?P<code> (?P<ticks>`+)(?!`) .{1,3000}? (?<!`)(?P=ticks)(?!`) )
    # Between single dollars as Pandoc has it: no white space inside and no digit behind. What is between them has no
    # words, or has one of the signs of a formula. Prices may have theirs behind (5$, 10$), or be nothing else ($$).
    | (?P<formula> \\\((?!\s*\\\)).{1,2000}?\\\) | \\\[(?!\s*\\\]).{1,2000}?\\\][\ \t]*
        | \$\$(?!\s*(?:[$)\],.;:]|(?:and|or|to)\b)).{1,2000}?\$\$
        | (?<!\$)(?<!\d(?=\$[^\\A-Z]))(?<![A-Z](?=\$\d))\$(?![\s$/])
            (?:[A-Z]{1,3} | (?:(?![A-Z]{2})[^\]["#$%&@`{}~\n]){1,100}(?<=[\w)|'!])
            | (?:\\\$|[^$\n]){0,300}?(?:\\\$|[\\^_=])(?:\\\$|[^$\n]){0,300}?) (?<![\s\\])\$(?![\d$]) )
    # Images and links, then bare addresses without the punctuation behind them.
    | (?P<link> !?\[ (?P<words> (?: [^][\\`]++ | \\. | `[^`]*` | \[[^][\\`]*\] )*+ )\]
        \( \s* <? (?P<address> [^\s<>()]* (?:\([^\s<>()]*\)[^\s<>()]*)* ) >? (?: \s+ (?:"[^"]*" | '[^']*') )? \s* \) )
    | (?P<angle><)? (?P<bare> (?:https?://|www\.) [^\s<>()\\`SIGN]* (?:\([^\s<>()\\`SIGN]*\)[^\s<>()\\`SIGN]*)*
        (?<![?!.,:;*_~'"\]}]) ) (?(angle)>)
    # What Streamlit would put together with its neighbours to an icon or an address, after parsing.
    | (?P<character> &(?:\#\d{1,7}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});
        # not in a pattern such as `a\.b`, nor in a path: `C:\*`, `dir\*.txt`
        | \\(?: (?<=\d\\)\. | (?<=\n\\)[-+] | (?![-.?+/@] | (?<=\b[a-z]:\\)\* | (?<=\w\\)\*\.[a-z*])[!-/:-@[-`{-~] ) )
    | (?P<apart> :(?=[\w+-]+:|[\w+-]*[\\&]|material) | (?:https?|www)(?=[:.\\&]) )
    | (?P<arrow> (?<=\s)(?:<?->|<-|--|[<>~]=)(?=\s|\Z) )  # which Streamlit would draw as one sign
    # Emphasis begins between words, and ends there if it is *light*: 2*3*4 is a product.
    | (?P<emphasis> (?<![\w)\]/\\*GREEK]) (?P<marks> \*\*\*?|(?P<light>\*) ) (?! /?[\s*,;)] | \.(?:[{*]|\w+(?![\w*])) )
        (?P<inner> (?: [^*`\\\n] | \\. | `[^`\n]+` | (?<!\w)(?P<within>\*\*?)(?![\s*])[^*\n]+(?P=within)(?!\*) )+? )
        (?<![\s(\[{]) (?P=marks) (?![*\d]) (?(light)(?![\w(GREEK√])) )
    # Stars in a sum, a path or a wildcard, and a name between double underscores.
    | (?P<text> (?<=[0-9A-ZGREEK])\*(?=[0-9A-ZGREEK√]) | (?<=/)\*+(?=/|\.\w)
        | (?<=[\s(])\*(?=[,;)]) | \*\.\*(?!\w) | (?<![\w*])\*+(?=/[*\s]|\.(?:{|\w+(?![\w*])))
        | (?<=\b[0-9A-Z])\*\*(?=[0-9A-Z]) | (?<=\w)\*\*(?=\d)
        | (?<=\d)\*+(?=[0-9A-Z]) | (?<=[)\]])\*+(?=[0-9A-Z([]|\.\d) | (?<=\d)\*+(?=[(\[.-]) | (?<=\b[A-Z])\*+(?=\()
        | (?<!\w)__[A-Z0-9]\w+?__(?!\w) | (?<=})_(?={)
        | `+ | (?<!~)~(?!~) | ~{3,} | [][\\<$] | :(?=[^*\ \n]) | !(?=\S) ))
    """.replace("SIGN", "\u2014\u2018-\u201d\u2026\u3001\u3002\u3008-\u3011\uff01-\uff1f").replace(
        "GREEK",
        "\u0370-\u03ff\u00b2\u00b3\u00b9\u00bc-\u00be\u2150-\u215e",  # and ² or ½
    ),
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)


def safe(text: str, most: int | None = MOST) -> str:
    """Markdown of a model or a person, made harmless.

    - An image, which would be fetched from its address, becomes its text and the address.
    - A link names its host, and leads only to a web page; otherwise it becomes its text and the address, too.
    - A single dollar sign stays one, unless it belongs to a formula.
    - HTML, footnotes and definitions of link addresses are shown as text.
    - A program without a fence gets one, so that its lines do not run together.

    Args:
        most: characters to draw; the end says how many are missing. None, for a file, draws all.
    """
    shown = _markdown(visible(text[:most]))
    if most is not None and len(text) > most:
        return f"{shown}\n\n*… {len(text) - most:,} characters more, which an export has*"
    return shown


def message(text: str) -> str:
    """A message as Markdown: code, lists and addresses stay, but what a server or a file says has no emphasis."""
    return safe(MARK.sub(lambda part: part[1] or rf"\{part[0]}", text))


@lru_cache(maxsize=256)  # a page draws the complete conversation again on every change
def _markdown(text: str) -> str:
    if not re.search(r"[\w`]", text):  # the answer may be "#", which would be a heading without words
        return "\n".join(typed(text))
    if text.count("```") == 1:  # a fence that ends without a beginning, as of a model that began within it
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
    """Whether most of two or more lines look like code."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return len(lines) > 1 and sum(bool(PROGRAM.fullmatch(line)) for line in lines) > 0.6 * len(lines)


def _small_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """The parser's rule for tables up to MOST_CELLS; the rows below are text."""
    if start + 1 >= end:
        return False
    columns = state.src.count("|", state.bMarks[start + 1], state.eMarks[start + 1]) + 1
    return columns <= MOST_COLUMNS and table(state, start, min(end, start + 2 + MOST_CELLS // columns), silent)


def _display(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula on separate lines, without an empty line in it."""
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


PARSER = MarkdownIt("commonmark", {"maxNesting": DEEPEST}).enable("table").disable(["reference", "html_block"])
PARSER.core.ruler.enableOnly(["normalize", "block"])
PARSER.block.ruler.at("table", _small_table, {"alt": ["paragraph", "reference"]})
PARSER.block.ruler.before("fence", "maths", _display, {"alt": ["paragraph", "blockquote", "list"]})


def _blocks(nodes: Sequence[SyntaxTreeNode], tight: bool = False) -> list[str]:
    """The lines of blocks, separated by empty lines; in a tight list, some follow the text directly."""
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
        case "fence" | "code_block" if not node.content.strip():  # as while a model begins one, or breaks off in it
            return []
        case "fence" | "code_block":
            language = LANGUAGE.match(node.info.strip())
            return fence(node.content.removesuffix("\n"), language[0].lower() if language else "")
        case "maths":
            return _on_lines(node.content)
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
    """The text of a heading or a cell, in one line."""
    content = node.children[0].content.replace(STAND_IN, "|")
    if node.type in ("td", "th"):
        content = BREAK.sub(lambda part: part[1] or STAND_IN, content)
    return re.sub(r"\s*\n\s*", " ", _words(content)).strip().replace(STAND_IN, "&#10;")


def _list(node: SyntaxTreeNode) -> list[str]:
    """Items with four columns for their marks: with less, Streamlit would take the end of a fence for the start of one
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


def _words(text: str, linked: bool = True) -> str:
    """What is no block of code, with SPECIAL escaped or rewritten. `linked`: whether there may be links in it."""
    if sum(map(text.count, "*_~")) > MOST_MARKS:
        return "\n".join(typed(text))
    text, place, parts = f"\n{text}", 0, []
    while match := SPECIAL.search(text, place):
        piece, end = _piece(match, linked), match.end()
        if piece is None:
            piece, end = _character(match[0][0]), match.start() + 1
        parts += [text[place : match.start()], piece]
        place = end
    return "".join([*parts, text[place:]]).removeprefix("  \n")


def _piece(part: re.Match[str], linked: bool) -> str | None:
    """Markdown of what is special; None if that is only its first character."""
    source, before, after = part[0], part.string[part.start() - 1], part.string[part.end() : part.end() + 1]
    match part.lastgroup:
        case "line":
            mark = part["mark"] or ""
            return "  \n" + source.removesuffix(mark).lstrip("\\\n") + f"\\{mark}" * bool(mark)
        case "code":
            return source.replace("\n", " ")
        case "formula" if source.startswith("\\["):
            return "\n".join(["", "", *_on_lines(source.strip()), "", ""])
        case "formula":
            return _formula(source) + JOINER * (after in ("$", "\\"))
        case "link":
            words, address = part["words"], re.sub(r"\\([\W_])", r"\1", unescape(part["address"]))
            if source[0] == "[" and (page := WEB.fullmatch(address)):
                return _link(words, page) if linked else None
            if source[0] == "[" and before.isalnum():  # f[x](y)
                return None
            shown = code(address[:LONGEST] + "…" * (len(address) > LONGEST) or "no address")
            shown = shown if words == address else f"{_words(words or 'image', linked)} ({shown})"
            return JOINER * (not before.isspace()) + shown + JOINER * (after == "`")
        case "bare":
            words = part["bare"]
            if page := WEB.fullmatch(words if "://" in words else f"http://{words}"):
                return _link(words, page) if linked else None
            return JOINER * (not before.isspace()) + code(words) + JOINER * (after == "`")
        case "character":
            return "".join(map(_character, visible(unescape(source) if source[0] == "&" else source[1:])))
        case "emphasis":  # between a sign and a letter it would be none, as in languages without spaces
            inner, marks = part["inner"], part["marks"]
            begin = JOINER * (before.isalnum() and not inner[0].isalnum())
            end = JOINER * (after.isalnum() and not inner[-1].isalnum())
            return f"{marks}{begin}{_words(inner, linked)}{end}{marks}"
        case "apart":
            return source.replace(":", "\\:") + JOINER
        case "arrow":
            return escaped(source, at_start=False)
    return re.sub(r"[\W_]", r"\\\g<0>", source)


def _character(char: str) -> str:
    if char.isspace():
        return "\u00a0"
    if not char.isascii():
        return char
    return char + JOINER if char.isalnum() else f"\\{char}" + JOINER * (char == ":")


def _link(words: str, page: re.Match[str]) -> str:
    """A link to a web page, which names its host unless its text is the address."""
    label = escaped(words, at_start=False)
    if words not in (page[0], page[0].split("://")[1]):
        label = f"{_words(words, linked=False)} ({escaped(page[1].lower(), at_start=False)})"
    return f"[{label}](<{quote(page[0], safe=UNQUOTED).replace('&', '&amp;')}>)"


def _as_katex(formula: str) -> str:
    """What KaTeX lacks and need not have, in its words."""
    return LABEL.sub("", formula).replace("\\mbox{", "\\text{")


def _formula(source: str) -> str:
    """A formula within a line; one that is not safe, or not known, is shown as it was written."""
    edge = 2 if source.startswith(("\\", "$$")) else 1
    inside = " ".join(_as_katex(source[edge:-edge]).split())
    if REFUSED.search(inside):
        return plain(source)
    if UNKNOWN.search(inside):
        return code(source)
    if "\\begin" not in inside:  # columns of a table end in bars
        inside = inside.replace("\\|", "\\Vert ").replace("|", "\\vert ")
    space = " " if inside.endswith(("$", "\\")) else ""  # Streamlit does not see `\$` as the end
    inside = APART.sub(r"\g<0> ", inside)
    return f"$${inside}{space}$$"


def _on_lines(source: str) -> list[str]:
    """The lines of a display formula, or of a code block if it is not safe, or not known."""
    inside = _as_katex(source[2:-2]).strip()
    if REFUSED.search(inside) or UNKNOWN.search(inside):
        return fence(source, "latex")
    return ["$$", *(APART.sub(r"\g<0> ", line.strip()) for line in inside.split("\n")), "$$"]
