"""Texts that try to make a page load from elsewhere or to hide where a link leads, and what finds that out."""

from __future__ import annotations

import random
import re
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

EVIL = "http://evil.example"
IMAGE = f"![x]({EVIL}/NAME.png)"
LINK = f"[your bank]({EVIL}/NAME)"
PAYLOADS = {
    "image after three backquotes in a line": f"a ``` {IMAGE} b\nc",
    "image between two backquotes and one": f"`` {IMAGE} `",
    "image after an escaped backquote": f"\\` {IMAGE} `",
    "image between backquotes between backquotes": f"`a` ` {IMAGE} ` `b` `` ` `` {IMAGE} `` ` ``",
    "definition in a quote": f"![b]\n\n> [b]: {EVIL}/NAME.png",
    "definition in a list": f"![b][]\n\n- [b]: {EVIL}/NAME.png",
    "brackets in the alternative text": f"![a[b]c]({EVIL}/NAME.png)",
    "escaped bracket in the alternative text": f"![a\\]b]({EVIL}/NAME.png)",
    "image after an open formula": f"\\( a$ {IMAGE} \\)",
    "image across two kinds of formula": f"\\[ a\n$$\n{IMAGE}\n\\] $$",
    "image between dollars before a digit": f"$ {IMAGE} $5 \\( x \\) $$ y",
    "tilde fence around a backquote fence": f"~~~\n```\n~~~\n\n{IMAGE}\n\n```\n",
    "closing fence with text behind it": f"```\na\n``` b\n```\n{IMAGE}\n```",
    "fence in a list": f"- ```\n  a\n  ```\n\n$$ {IMAGE} $$",
    "image as HTML": f'<img src="{EVIL}/NAME.png"> <video src="{EVIL}/NAME.mp4" autoplay>',
    "image in a link": f"[{IMAGE}]({EVIL}/NAME)",
    "image in a cell's code": f"| a |\n|---|\n| `\\\\|{IMAGE}` |",
    "image after an exclamation mark": f"&#33;{LINK} {IMAGE}",
    "image in a diagram": f'```mermaid\nflowchart TD\nA@{{ img: "{EVIL}/NAME.png", h: 60 }}\n```',
    "image in a formula": f"\\( \\includegraphics{{{EVIL}/NAME.png}} \\href{{{EVIL}/NAME}}{{x}} \\)",
    "formula that ends in a backslash": f"\\(:red[x] {LINK}\\\\) $$:red[x]\\$$",
    "code behind code": f"`a`[``` ` {IMAGE} ` ```](no)",
    "strike within strike": f"~~~~a~~~~\n\n```\n~~~~\n{IMAGE}\n```",
    "brackets in a link": f"[your [bank]]({EVIL}/NAME)",
    "line break in a link": f"[your\nbank]({EVIL}/NAME)",
    "link that names another host": f"[https://bank.example]({EVIL}/NAME)",
    "link with a title": f'[bank]({EVIL}/NAME "https://bank.example")',
    "user before the host": "http://bank.example@evil.example/NAME <https://bank.example@evil.example/>",
    "backslash before the host": "[bank](http://evil.example\\@bank.example/)",
    "link of a definition": f"[bank][1] [bank]\n\n[1]: {EVIL}/NAME\n[bank]: {EVIL}/NAME",
    "footnote": f"a[^1]\n\n[^1]: {IMAGE}",
    "directives": f":red[{IMAGE}] :streamlit: :material/check: ::name[{LINK}] :a{{href={EVIL}}}",
    "image made of a mark and an address": f"!{EVIL}/NAME !<{EVIL}/NAME> ![{EVIL}/NAME](<{EVIL}/NAME>)",
    "fence on a line that goes on": f"a\n    ~~~~b~~~~\n\n```\n~~~~\n{IMAGE}\n```",
    "code across the cells of a row": f"a\n| `b | c |\n|---|---|\n| d | {IMAGE}` |\n\n`e\nf | g\n--|--\n| {IMAGE}` |",
    "code below a table that is too long": f"- {'|a' * 38}|\n  {'|-' * 38}|\n" + "  a\n" * 100 + f"  `b|{IMAGE}|c`",
    "fence in a list below an empty fence": f"- a\n  ```\n  ```\n  2. b\n     ```\n     {IMAGE}\n\n     c\n     ```",
    "icons in parts": ":strea[mlit:](x) :strea![mlit:](y) \\:streamlit: &#58;streamlit: :mater&#105;al/check:",
    "directive behind a tab": f":\t[{IMAGE}] :\t{{href={EVIL}}}",
    "address in parts": "htt&#112;://evil.example/NAME htt[p://evil.example/NAME](x) http\\://evil.example/NAME",
    "number for a host": "http://2130706433/NAME [bank](http://0x7f.1/NAME)",
    "host read backwards": f"[\u202eelpmaxe.knab]({EVIL}/NAME)",
}
ATOMS = (
    *(f"![a]({EVIL}/i.png)", "![b]", "![b][]", f"![a[b]c]({EVIL}/j.png)", f"[a]({EVIL}/)", "[b]", f"]({EVIL}/)", "](<"),
    *(f"[your [bank]]({EVIL}/)", f"[a\nb]({EVIL}/)", f"[b]: {EVIL}/k.png\n", "[^1]", "[^1]: a\n", "\r", "\u00a0"),
    *("```", "``", "`", "~~~", "~~", "**", "$$", "\\(", "\\)", "\\[", "\\]", "\\`", "\\|", "\u2028", "é", "中"),
    *"\\*_~$|<>[]()!:&#'\"@^{}=+- a1",
    *("\n", "\n\n", "\n> ", "\n- ", "\n1. ", "\n    ", "\n\t", "  \n", "\n# ", "\n---\n", "\n===\n", "[x] "),
    *("\n```\n", "\n~~~\n", "\n```mermaid\n", "\n| a | b |\n|---|---|\n", "`a|b`", "\n$$\n", "def f(x):", "x = 1\n"),
    *(f"<img src={EVIL}/l.png>", "<b>", "</pre>", "<pre>", "<!--", "-->", f"<{EVIL}>", "<a href='", "<script>"),
    *(f"{EVIL}/m", "www.evil.example", "http://bank.example@evil.example/", "a@evil.example", "http://", "https:"),
    *(
        "&#33;",
        "&#91;",
        "&lt;",
        "&#10;",
        "&#32;",
        "&amp;",
        "&nbsp;",
        ":red[",
        ":streamlit:",
        ":material/check:",
        "::a[",
    ),
)
OUTSIDE = re.compile(r"(?:https?://|www\.)[-.\w]", re.IGNORECASE)  # Streamlit makes links of such text
ICON = re.compile(r":streamlit:|:material[_/]\w+:")


def payload(name: str) -> str:
    """A payload whose addresses hold its number."""
    return PAYLOADS[name].replace("NAME", str(list(PAYLOADS).index(name)))


NAMES = {payload(name): 1 / len(PAYLOADS) for name in PAYLOADS}  # of candidates, with their probabilities


def generated(count: int, seed: int = 0) -> list[str]:
    """Texts of Markdown's own characters, by chance, the same ones every time."""
    chance = random.Random(seed)
    return ["".join(chance.choices(ATOMS, k=chance.randint(2, 20))) for _ in range(count)]


def faults(markdown: str) -> list[str]:
    """What another parser than ours finds in Markdown: images, HTML, definitions, links without their host."""
    env: dict[str, object] = {}
    tokens = MarkdownIt("js-default", {"html": True, "maxNesting": 1000}).parse(markdown, env)
    bad = ["a definition"] if env.get("references") else []
    for token in tokens:
        if token.type == "html_block":
            bad.append(f"HTML: {token.content}")
        if token.type == "fence" and re.search("mermaid|math", token.info):
            bad.append(f"a picture of the language {token.info}")
        address, words = None, ""
        for child in token.children or ():
            if child.type in ("image", "html_inline"):
                bad.append(f"{child.type}: {child.content or child.attrs}")
            elif child.type == "link_open":
                address, words = str(child.attrs["href"]), ""
            elif child.type == "link_close":
                if not (host := urlsplit(address or "").hostname) or host not in words.lower():
                    bad.append(f"a link to {address} that shows {words!r}")
                address = None
            elif address is not None:
                words += child.content
            elif child.type == "text" and (OUTSIDE.search(child.content) or ICON.search(child.content)):
                bad.append(f"text that Streamlit makes something of: {child.content}")
    return bad
