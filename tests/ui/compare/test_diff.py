from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payloads import PAYLOADS, faults, payload

from zooter_core.ui.compare import diff


def texts(parts: tuple[diff.Part, ...], own: bool) -> list[str]:
    return [part.text.strip() for part in parts if part.own is own]


def test_words_of_one_text_alone_are_found() -> None:
    found = diff.words("the red fox runs", "the fox runs away fast")
    assert texts(found.remaining, True) == ["red"]
    assert texts(found.right, True) == ["away fast"]
    assert (found.shared, found.only_left, found.only_right) == (3, 1, 2)


@given(st.text(), st.text())
def test_both_texts_are_whole_and_share_the_same_words(left: str, right: str) -> None:
    found = diff.words(left, right)
    for text, parts in ((left, found.remaining), (right, found.right)):
        assert "".join(part.text for part in parts) == text.lstrip()
    assert " ".join(texts(found.remaining, False)).split() == " ".join(texts(found.right, False)).split()


@given(st.text("ab ", max_size=30), st.text("ab ", max_size=30))
def test_no_way_to_share_more_words_is_left(left: str, right: str) -> None:
    longest = [[0] * (len(right.split()) + 1) for _ in range(len(left.split()) + 1)]
    for a, one in enumerate(left.split()):
        for b, other in enumerate(right.split()):
            longest[a + 1][b + 1] = longest[a][b] + 1 if one == other else max(longest[a][b + 1], longest[a + 1][b])
    assert diff.words(left, right).shared == longest[-1][-1]


def test_words_that_come_again_and_again_take_no_longer() -> None:  # this took minutes, with the server standing still
    found = diff.words("a b " * diff.MOST_WORDS, "a " * diff.MOST_WORDS)
    assert (found.shared, found.only_left, found.only_right) == (750, 750, 750)
    left, right = diff.lines("a\nb\n" * diff.MOST_WORDS, "a\n" * diff.MOST_WORDS)
    assert left.count("\n") == right.count("\n") == diff.MOST_WORDS + 749


def test_marks_are_more_than_a_colour() -> None:
    found = diff.words("a b", "a c")
    assert diff.markdown(found.remaining, right=False) == "a :orange-background[−\u00a0~~b~~]"
    assert diff.markdown(found.right, right=True) == "a :blue-background[+\u00a0**c**]"


def test_nothing_of_a_text_means_anything() -> None:
    text = "![x](http://e.com/i.png) <b> :red[y] # $z$ `k`"
    shown = diff.markdown(diff.words(text, text).left, right=False)
    assert not re.search(r"(?<!\\)[\[\]{}<>:#$`*_~]", shown)
    assert faults(shown) == []


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_text_loads_anything_or_hides_a_host(name: str) -> None:
    found = diff.words(payload(name), "other [words](")
    assert faults(diff.markdown(found.remaining, right=False)) == []
    assert faults(diff.markdown(found.right, right=True)) == []


def test_lines_and_their_indent_stay() -> None:
    parts = diff.words("def f():\n    return 1\n\nend", "other").left
    shown = diff.markdown(parts, right=False)
    assert shown.count("  \n") == 3
    assert "\u00a0" * 4 + ":orange-background" in shown


def test_a_long_text_is_cut_and_that_is_told() -> None:
    found = diff.words("word " * (diff.MOST_WORDS + 1), "word")
    assert found.cut
    assert found.shared + found.only_left == diff.MOST_WORDS
    assert not diff.words("a", "b").cut


def test_lines_stand_beside_each_other() -> None:
    left, right = diff.lines("same\nold\nend", "same\nnew\nmore\nend")
    assert left.split("\n") == ["  same", "- old", "", "  end"]
    assert right.split("\n") == ["  same", "+ new", "+ more", "  end"]
