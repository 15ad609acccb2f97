"""How parsing time grows with untrusted text: python benchmarks/markdown.py

Tests hostile patterns: first on the functions that pages draw with, up to the MOST characters of one bubble, then on
all other functions that read a model's text. Prints the seconds for half of the characters and for all of them, and the
ratio. The exit code is 1 if the time grows clearly faster than the text, or if a text takes more than SLOW seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from zooter_core.backends import calculator
from zooter_core.data.curate import normalise
from zooter_core.evaluation.suites.judged import mean_score
from zooter_core.evaluation.verified import answers, code
from zooter_core.labelling.rewards import judge
from zooter_core.labelling.taggers import instag
from zooter_core.router.explain import split_query
from zooter_core.ui import markdown
from zooter_core.ui.markdown import MOST
from zooter_core.ui.text import plain

MOST_RATIO = 2.6  # 2 for linear time, plus the noise of a busy machine
TRIES = 4
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
    """A text of about `length` characters that repeats a pattern."""
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


READERS: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    "plain: letters": (plain, lambda n: "a" * n),
    "plain: brackets": (plain, lambda n: "![[" * (n // 3)),
    "plain: colons": (plain, lambda n: ":a" * (n // 2)),
    "explain: sentences": (split_query, lambda n: "a." * (n // 2) + " a" * 60),
    "calculator: digits": (calculator.due, lambda n: "1" * n),
    "curate: signs": (normalise, lambda n: "-" + " " * n),
    "judge: digits": (judge.read_rating, lambda n: "score 1." + "1" * n + ".1"),
    "judge: brackets": (judge.read_rating, lambda n: "[[1" + " " * n),
    "judge: decision": (judge.read_choice, lambda n: "final decision is that" + " " * n),
    "judge: fence": (lambda text: judge.fill_prompt(judge.PAIR, query=text, first="", second=""), lambda n: "=" * n),
    "flask: letters": (lambda text: mean_score(text, ["a"]), lambda n: "{" + "a " * (n // 2) + "}"),
    "flask: spaces": (lambda text: mean_score(text, ["a"]), lambda n: "{a:" + " " * n + "}"),
    "letter: spaces": (lambda text: answers.letter(text, ["a", "b"]), lambda n: "answer is" + " " * n + "?"),
    "letter: option": (lambda text: answers.letter(text, ["a", "b"]), lambda n: "option" + " " * n + "?"),
    "number: commas": (answers.final_number, lambda n: "1" + ",111" * (n // 4) + "1"),
    "number: answers": (answers.final_number, lambda n: "answer is " * (n // 10)),
    "code: prose": (
        lambda text: code.program(text, "def f():\n", "f"),
        lambda n: "def f():\n  x\n" + "  x = 1\n" * (n // 8) + "?\n" + "y z\n" * (n // 4),
    ),
    "instag: brackets": (instag.read_tags, lambda n: "[" * n),
    "instag: tags": (instag.read_tags, lambda n: '{"tag":"' * (n // 8)),
}


def seconds(value: str, read: Callable[[str], object]) -> float:
    """The shortest of TIMES processor times, which exclude other load."""
    best = float("inf")
    for _ in range(TIMES):
        markdown._markdown.cache_clear()
        begin = time.thread_time()
        read(value)
        best = min(best, time.thread_time() - begin)
    return best


def measured(name: str, read: Callable[[str], object], make: Callable[[int], str], most: int) -> bool:
    """Print a line and return whether time is linear. Repeats a failed measurement, since the machine may be busy."""
    for _ in range(TRIES):
        half, full = seconds(make(most // 2), read), seconds(make(most), read)
        ratio = full / max(half, 1e-3)  # below a millisecond there is only noise
        good = ratio <= MOST_RATIO and full <= SLOW
        if good:
            break
    print(f"{name:32} {half:9.4f} {full:9.4f} {ratio:6.2f}{'' if good else '  TOO SLOW'}", flush=True)
    return good


def main() -> int:
    print(f"{'pattern':32} {'half':>9} {'all':>9} {'ratio':>6}")
    drawn = [measured(name, markdown.safe, partial(build, name), MOST) for name in PATTERNS]
    readers = [measured(name, read, make, MOST) for name, (read, make) in READERS.items()]
    bad = [*drawn, *readers].count(False)
    print(f"{len(drawn)} texts to draw and {len(readers)} to read, {MOST:,} characters each: {bad} too slow")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
