"""Differences between two responses, word by word or line by line, marked by more than a colour."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import streamlit as st

from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.text import plain


def draw_differences(comparison: Comparison) -> None:
    """Any two responses, for the visitor to choose."""
    names = comparison.answered
    if len(names) < 2:
        return
    with st.expander(
        "Differences between two responses",
        icon=":material/difference:",
        key=f"diff-{comparison.id}",
        on_change="rerun",
    ) as box:
        if not box.open:
            return
        # Choices are letters while names are hidden, and names in the same places later: two sets of widgets.
        state = f"{comparison.id}-{comparison.hidden}"
        columns = st.columns(2)
        chosen = [
            column.selectbox(side, names, place, format_func=comparison.label, key=f"{side}-{state}")
            for place, (column, side) in enumerate(zip(columns, ("Left", "Right"), strict=True))
        ]
        by = st.segmented_control("Compare by", ["Words", "Lines"], default="Words", required=True, key=f"by-{state}")
        left, right = (comparison.job.responses[name].text for name in chosen)
        _side_by_side(left, right, by == "Lines")


def _side_by_side(left: str, right: str, by_line: bool) -> None:
    columns = st.columns(2)
    if by_line:
        for column, text in zip(columns, lines(left, right), strict=True):
            column.code(text, language="diff")
        st.caption("A line that is only on the left starts with a minus, one only on the right with a plus.")
        return
    difference = words(left, right)
    columns[0].markdown(markdown(difference.left, right=False))
    columns[1].markdown(markdown(difference.right, right=True))
    cut = f" Only the first {MOST_WORDS:,} words of each are compared." if difference.cut else ""
    st.caption(
        f"{difference.shared} words in both; {difference.only_left} only on the left (struck out, after a minus), "
        f"{difference.only_right} only on the right (bold, after a plus).{cut}"
    )


MOST_WORDS = 1500  # words, and lines, of a text that are compared
WORD = re.compile(r"(\S+)(\s*)")
INDENT = "\u00a0"


@dataclass(frozen=True)
class Passage:
    """A run of words of one text; `unique` if the other text lacks it."""

    text: str
    unique: bool


@dataclass(frozen=True)
class Difference:
    """Two texts as passages, and how many words both have and only one has."""

    left: tuple[Passage, ...]
    right: tuple[Passage, ...]
    shared: int
    only_left: int
    only_right: int
    cut: bool


def words(left: str, right: str) -> Difference:
    """The first MOST_WORDS words of two texts against each other."""
    rows = [WORD.findall(text) for text in (left, right)]
    one, other = (row[:MOST_WORDS] for row in rows)
    passages: tuple[list[Passage], list[Passage]] = ([], [])
    shared = 0
    for equal, a, b, c, d in _runs([word for word, _ in one], [word for word, _ in other]):
        unique = not equal
        shared += b - a if equal else 0
        for side, run in zip(passages, (one[a:b], other[c:d]), strict=True):
            if run:
                side.append(Passage("".join(word + space for word, space in run), unique))
    cut = any(len(row) > MOST_WORDS for row in rows)
    return Difference(tuple(passages[0]), tuple(passages[1]), shared, len(one) - shared, len(other) - shared, cut)


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
    """Runs in order: whether both texts have it, and its start and end in the one and in the other."""
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
    """The positions of a longest common subsequence in both, from the last to the first.

    The bits of one number hold a row of the table (Hyyrö, 2004), so it takes 1,500 additions of 1,500 bits at most.
    Bit i of row j is 0 if item i makes the subsequence of one[: i + 1] and other[:j] longer.
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


def markdown(passages: Sequence[Passage], *, right: bool) -> str:
    """Parts as Markdown in which no character of the text has a meaning.

    Unique words are struck out after a minus on the left, and bold after a plus on the right.
    """
    pieces = []
    for passage in passages:
        for number, line in enumerate(passage.text.expandtabs(4).split("\n")):
            if number:
                indent = len(line) - len(line.lstrip())
                pieces += ["  \n", INDENT * indent]  # plain spaces would vanish, or make it code
            words = line.strip()
            if words:
                pieces.append(_marked(words, right) if passage.unique else plain(words))
                pieces.append(" " if line[-1] == " " else "")
    return "".join(pieces)


def _marked(words: str, right: bool) -> str:
    words = plain(words)
    return f":blue-background[+{INDENT}**{words}**]" if right else f":orange-background[−{INDENT}~~{words}~~]"
