from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.hostile_texts import PAYLOADS, faults, payload
from zooter_core.ui.compare import diff


def texts(passages: tuple[diff.Passage, ...], unique: bool) -> list[str]:
    return [passage.text.strip() for passage in passages if passage.unique is unique]


def test_words_of_one_text_alone_are_unique() -> None:
    difference = diff.words("the red fox runs", "the fox runs away fast")
    assert texts(difference.left, True) == ["red"]
    assert texts(difference.right, True) == ["away fast"]
    assert (difference.shared, difference.only_left, difference.only_right) == (3, 1, 2)


@given(st.text(), st.text())
def test_both_texts_are_whole_and_share_the_same_words(left: str, right: str) -> None:
    difference = diff.words(left, right)
    for text, passages in ((left, difference.left), (right, difference.right)):
        assert "".join(passage.text for passage in passages) == text.lstrip()
    assert " ".join(texts(difference.left, False)).split() == " ".join(texts(difference.right, False)).split()


@given(st.text("ab ", max_size=30), st.text("ab ", max_size=30))
def test_no_way_to_share_more_words_is_left(left: str, right: str) -> None:
    longest = [[0] * (len(right.split()) + 1) for _ in range(len(left.split()) + 1)]
    for a, one in enumerate(left.split()):
        for b, other in enumerate(right.split()):
            longest[a + 1][b + 1] = longest[a][b] + 1 if one == other else max(longest[a][b + 1], longest[a + 1][b])
    assert diff.words(left, right).shared == longest[-1][-1]


def test_words_that_come_again_and_again_take_no_longer() -> None:  # a quadratic search takes minutes
    difference = diff.words("a b " * diff.MOST_WORDS, "a " * diff.MOST_WORDS)
    assert (difference.shared, difference.only_left, difference.only_right) == (750, 750, 750)
    left, right = diff.lines("a\nb\n" * diff.MOST_WORDS, "a\n" * diff.MOST_WORDS)
    assert left.count("\n") == right.count("\n") == diff.MOST_WORDS + 749


def test_marks_are_more_than_a_colour() -> None:
    difference = diff.words("a b", "a c")
    assert diff.markdown(difference.left, right=False) == "a :orange-background[−\u00a0~~b~~]"
    assert diff.markdown(difference.right, right=True) == "a :blue-background[+\u00a0**c**]"


@pytest.mark.parametrize("name", PAYLOADS)
def test_no_text_loads_anything_or_hides_a_host(name: str) -> None:
    difference = diff.words(payload(name), "other [words](")
    assert faults(diff.markdown(difference.left, right=False)) == []
    assert faults(diff.markdown(difference.right, right=True)) == []


def test_lines_and_their_indent_stay() -> None:
    passages = diff.words("def f():\n    return 1\n\nend", "other").left
    shown = diff.markdown(passages, right=False)
    assert shown.count("  \n") == 3
    assert "\u00a0" * 4 + ":orange-background" in shown


def test_a_long_text_is_cut_and_that_is_told() -> None:
    difference = diff.words("word " * (diff.MOST_WORDS + 1), "word")
    assert difference.cut
    assert difference.shared + difference.only_left == diff.MOST_WORDS
    assert not diff.words("a", "b").cut


def test_lines_stand_beside_each_other() -> None:
    left, right = diff.lines("same\nold\nend", "same\nnew\nmore\nend")
    assert left.split("\n") == ["  same", "- old", "", "  end"]
    assert right.split("\n") == ["  same", "+ new", "+ more", "  end"]
