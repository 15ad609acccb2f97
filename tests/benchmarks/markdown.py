"""How the time of `safe` grows with its text: nasty patterns, each doubled until it fills what a page draws.

    python tests/benchmarks/markdown.py

Prints, for each pattern, the seconds for half of MOST characters and for all of them, and the ratio. Ends with 1 where
the time grows clearly faster than the text, or where one text takes more than SLOW seconds.
"""

from __future__ import annotations

import sys
import time

from zooter_core.ui import text
from zooter_core.ui.text import MOST, plain

MOST_RATIO = 2.9  # twice the text in twice the time, and the noise of a busy machine
SLOW = 2.0
TIMES = 3
PATTERNS = {
    "open link": "[a](",
    "bracket": "[",
    "image bracket": "![",
    "closing bracket": "]",
    "nested image text": "![[[[",
    "brackets both ways": "[[[[]]]]",
    "link with open address": "[a](<b",
    "link with open title": '[a](b "c',
    "link of backslashes": "[a\\](b",
    "definition": "[a]: b\n",
    "definition in a quote": "> [a]: http://b.example\n",
    "open definition": "[a\n",
    "star": "*",
    "star and letter": "*a ",
    "strong both ways": "**a *b ",
    "underline": "_a_ __",
    "strike": "~~a ~b",
    "backquote": "`",
    "backquotes of other lengths": "",
    "backquotes in pairs": "`` ` ",
    "quote": ">",
    "quotes in lines": ">>>> a\n",
    "lazy lines": "> > > a\nb\nb\n",
    "list in a line": "- ",
    "list of numbers": "1. ",
    "nested list": "",
    "list and lazy lines": "- a\nb\n",
    "fence": "```\n",
    "tilde and backquote fences": "~~~\n```\n",
    "less than": "<",
    "open HTML": "<a b='",
    "open comment": "<!--",
    "autolink": "<http://a",
    "reference": "&#1;&amp",
    "escape": "\\`",
    "line break": "a  \n",
    "spaces": " ",
    "spaces at the end": "a                    \n",
    "table": "",
    "wide table": "",
    "narrow table": "",
    "table heads": "a | b\n",
    "dollars": "$$",
    "open formula": "\\[",
    "open formulas in lines": "\\[\n",
    "formula in a line": "\\(a$ ",
    "bare address": "http://a.b/",
    "address and brackets": "http://a.b/)))(((",
    "www": "www.",
    "shortcode": ":a",
    "heading": "#",
    "setext": "a\n=\n",
    "program": "def a(b):\n",
    "program without an end": "def a(b) ",
    "digits": "1",
    "dots": "a.",
}


def build(name: str, length: int) -> str:
    """A text of a pattern, of about a length."""
    if name == "backquotes of other lengths":
        parts, size = [], 0
        while size < length:
            parts.append("`" * (len(parts) + 1) + "a")
            size += len(parts[-1])
        return "".join(parts)[:length]
    if name == "nested list":
        return "".join("  " * (row % 60) + "- a\n" for row in range(length // 63))
    if name == "table":
        return "| a | b |\n|---|---|\n" + "| c | d |\n" * (length // 10)
    if name == "wide table":
        return "|a" * (length // 4) + "|\n" + "|-" * (length // 4) + "|\n"
    if name == "narrow table":
        return "|a" * 40 + "|\n" + "|-" * 40 + "|\n" + "a\n" * (length // 2)
    return (PATTERNS[name] * (length // len(PATTERNS[name]) + 1))[:length]


def seconds(value: str, draw: object) -> float:
    """The shortest of a few times on the processor, whatever else the machine does."""
    best = float("inf")
    for _ in range(TIMES):
        text._markdown.cache_clear()
        begin = time.thread_time()
        draw(value)  # type: ignore[operator]
        best = min(best, time.thread_time() - begin)
    return best


def main() -> int:
    bad = []
    slowest = 0.0
    print(f"{'pattern':32} {'half':>9} {'all':>9} {'ratio':>6}")
    for name in PATTERNS:
        half, full = (seconds(build(name, length), text.safe) for length in (MOST // 2, MOST))
        ratio = full / max(half, 1e-3)  # below a millisecond there is nothing but noise
        slowest = max(slowest, full)
        print(f"{name:32} {half:9.4f} {full:9.4f} {ratio:6.2f}")
        if ratio > MOST_RATIO or full > SLOW:
            bad.append(name)
        if seconds(build(name, 10 * MOST), plain) > SLOW:
            bad.append(f"plain: {name}")
    print(f"slowest: {slowest:.2f} s for {MOST:,} characters; too slow: {', '.join(bad) or 'none'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
