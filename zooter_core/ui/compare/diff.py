"""What differs between two texts, word by word or line by line, marked by more than a colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from zooter_core.ui.text import plain

MOST_WORDS = 1500  # of a text; the time grows with the square
WORD = re.compile(r"(\S+)(\s*)")
INDENT = "\u00a0"


@dataclass(frozen=True)
class Part:
    """A run of words of one text that the other has too, or has not (`own`)."""

    text: str
    own: bool


@dataclass(frozen=True)
class Difference:
    """Two texts as parts, and how many words they share and have for themselves."""

    left: tuple[Part, ...]
    right: tuple[Part, ...]
    shared: int
    only_left: int
    only_right: int
    cut: bool


def words(left: str, right: str) -> Difference:
    """The first MOST_WORDS words of two texts against each other."""
    rows = [WORD.findall(text) for text in (left, right)]
    one, other = (row[:MOST_WORDS] for row in rows)
    matcher = SequenceMatcher(None, [word for word, _ in one], [word for word, _ in other], autojunk=False)
    parts: tuple[list[Part], list[Part]] = ([], [])
    shared = 0
    for kind, a, b, c, d in matcher.get_opcodes():
        own = kind != "equal"
        shared += 0 if own else b - a
        for side, run in zip(parts, (one[a:b], other[c:d]), strict=True):
            if run:
                side.append(Part("".join(word + space for word, space in run), own))
    cut = any(len(row) > MOST_WORDS for row in rows)
    return Difference(tuple(parts[0]), tuple(parts[1]), shared, len(one) - shared, len(other) - shared, cut)


def lines(left: str, right: str) -> tuple[str, str]:
    """The first MOST_WORDS lines of two texts side by side: `- ` begins what is only left, `+ ` what is only right."""
    one, other = left.splitlines()[:MOST_WORDS], right.splitlines()[:MOST_WORDS]
    columns: tuple[list[str], list[str]] = ([], [])
    for kind, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        marks = ("  ", "  ") if kind == "equal" else ("- ", "+ ")
        longest = max(b - a, d - c)
        for column, mark, run in zip(columns, marks, (one[a:b], other[c:d]), strict=True):
            column += [mark + line for line in run] + [""] * (longest - len(run))
    return "\n".join(columns[0]), "\n".join(columns[1])


def markdown(parts: Sequence[Part], *, right: bool) -> str:
    """Parts as Markdown in which no character of the text means anything.

    Words of its own are struck out with a minus before them on the left, bold with a plus before them on the right.
    """
    made = []
    for part in parts:
        for number, line in enumerate(part.text.expandtabs(4).split("\n")):
            if number:
                indent = len(line) - len(line.lstrip())
                made += ["  \n", INDENT * indent]  # spaces at its start would go, or make it code
            words = line.strip()
            if words:
                made.append(_marked(words, right) if part.own else plain(words))
                made.append(" " if line[-1] == " " else "")
    return "".join(made)


def _marked(words: str, right: bool) -> str:
    words = plain(words)
    return f":blue-background[+{INDENT}**{words}**]" if right else f":orange-background[−{INDENT}~~{words}~~]"
