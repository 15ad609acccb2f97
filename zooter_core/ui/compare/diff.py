"""What differs between two texts, word by word or line by line, marked by more than a colour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zooter_core.ui.text import plain

MOST_WORDS = 1500  # of a text, and lines: more are not read side by side
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
    parts: tuple[list[Part], list[Part]] = ([], [])
    shared = 0
    for equal, a, b, c, d in _runs([word for word, _ in one], [word for word, _ in other]):
        own = not equal
        shared += b - a if equal else 0
        for side, run in zip(parts, (one[a:b], other[c:d]), strict=True):
            if run:
                side.append(Part("".join(word + space for word, space in run), own))
    cut = any(len(row) > MOST_WORDS for row in rows)
    return Difference(tuple(parts[0]), tuple(parts[1]), shared, len(one) - shared, len(other) - shared, cut)


def lines(left: str, right: str) -> tuple[str, str]:
    """The first MOST_WORDS lines of two texts side by side: `- ` begins what is only left, `+ ` what is only right."""
    one, other = left.splitlines()[:MOST_WORDS], right.splitlines()[:MOST_WORDS]
    columns: tuple[list[str], list[str]] = ([], [])
    for equal, a, b, c, d in _runs(one, other):
        marks = ("  ", "  ") if equal else ("- ", "+ ")
        longest = max(b - a, d - c)
        for column, mark, run in zip(columns, marks, (one[a:b], other[c:d]), strict=True):
            column += [mark + line for line in run] + [""] * (longest - len(run))
    return "\n".join(columns[0]), "\n".join(columns[1])


def _runs(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Runs in order, each as whether it is in both, and where it begins and ends in the one and in the other."""
    a = c = 0
    pairs = _common(one, other)
    while pairs:
        first, second = pairs.pop()
        if (a, c) != (first, second):
            yield False, a, first, c, second
        length = 1
        while pairs and pairs[-1] == (first + length, second + length):
            pairs.pop()
            length += 1
        a, c = first + length, second + length
        yield True, first, a, second, c
    if (a, c) != (len(one), len(other)):
        yield False, a, len(one), c, len(other)


def _common(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """Where the items of a longest common subsequence stand in both, from the last to the first.

    The bits of one number hold a row of the table (Hyyrö, 2004): the time is that of 1,500 additions of 1,500 bits,
    whatever the items. Bit i of row j is 0 where item i makes the subsequence of one[: i + 1] and other[:j] longer.
    """
    places: dict[str, int] = {}
    for place, item in enumerate(one):
        places[item] = places.get(item, 0) | 1 << place
    row = full = (1 << len(one)) - 1
    rows = [row]
    for item in other:
        matches = row & places.get(item, 0)
        row = (row + matches | row - matches) & full
        rows.append(row)
    pairs = []
    a, c = len(one), len(other)
    while a and c:
        if one[a - 1] == other[c - 1]:
            a, c = a - 1, c - 1
            pairs.append((a, c))
        elif rows[c] >> (a - 1) & 1:
            a -= 1
        else:
            c -= 1
    return pairs


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
