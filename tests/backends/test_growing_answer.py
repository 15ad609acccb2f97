from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.backends import Piece, Request
from zooter_core.backends.growing_answer import EVERY, LEAST, LONGEST, TIMES, GrowingAnswer, ends_in_repetition
from zooter_core.base.records import Finish
from zooter_core.config.candidates import CandidateConfig

LINES = "The sea is blue and the sky is wide today.\n"


REPEATED = [
    *(":" * 300, "A good start. " + "Hello " * 60, "Hi. " + LINES * 8, "so on" + "ab\n" * 100),
    "".join(f"{n}. {LINES}" for n in range(5, 30)),
]
OTHERS = [  # lists, tables, rulers, and what goes on
    *("", "-" * 120, "x = 1\n" * 10, LINES * 3, LINES * 8 + "Then it rained.", ", ".join(map(str, range(400)))),
    "\n".join(f"| {n} | {n * n} |" for n in range(200)),
    "\n".join(f"{n} x 7 = {7 * n}" for n in range(100)),
]


def test_the_same_again_and_again_is_a_repetition_and_nothing_else():
    assert [text for text in REPEATED if not ends_in_repetition(text)] == []
    assert [text for text in OTHERS if ends_in_repetition(text)] == []


@given(st.text(min_size=1, max_size=LONGEST), st.text(max_size=50))
def test_whatever_is_written_often_enough_at_the_end_is_seen(unit, before):
    assert ends_in_repetition(before + unit * (TIMES + LEAST // len(unit)))


def grow(pieces: Sequence[str], stops: Sequence[str], finish: Finish = "length") -> tuple[list[str], Piece]:
    """What is streamed of an answer, up to its stop text, and the last piece."""
    answer = GrowingAnswer(Request(CandidateConfig("a", "gguf", "a"), (), stop=tuple(stops)))
    streamed = []
    for piece in pieces:
        streamed.append(answer.add(piece).text)
        if answer.at_stop:
            break
    last = answer.end("stop" if answer.at_stop else finish)
    return [*streamed, last.text], last


@pytest.mark.parametrize(
    ("pieces", "stops", "streamed", "match"),
    [
        pytest.param(["One", " two.", " three"], [], ["One", " two.", " three", ""], "", id="none"),
        pytest.param(["One", " two.", " three"], ["."], ["One", " two", ""], ".", id="inside a piece"),
        pytest.param(["a", "b", "END", "c"], ["END"], ["a", "b", "", ""], "END", id="a piece"),
        pytest.param(["ab", "cE", "N", "D!"], ["END"], ["ab", "c", "", "", ""], "END", id="over pieces"),
        pytest.param(["cE", "N", "E", "ND"], ["END"], ["c", "", "EN", "", ""], "END", id="a false beginning"),
        pytest.param(["cE", "N"], ["END"], ["c", "", "EN"], "", id="a beginning at the end"),
        pytest.param(["aab", "c"], ["bd", "abc"], ["a", "", ""], "abc", id="several, of which one waits longer"),
        pytest.param(["abcd"], ["abcd", "c"], ["ab", ""], "c", id="the one that is complete first"),
        pytest.param(["ab"], ["b", "ab"], ["", ""], "ab", id="the longest of those complete at once"),
        pytest.param(["<think>.</think>", "Yes", "."], ["."], ["", "Yes", "", ""], ".", id="not in thoughts"),
        pytest.param(["<"], [], ["", "<"], "", id="what might have opened thoughts"),
        pytest.param(["<", "th"], ["<t"], ["", "", ""], "<t", id="in what might have opened thoughts"),
    ],
)
def test_an_answer_ends_before_its_stop_text(pieces, stops, streamed, match):
    texts, last = grow(pieces, stops)
    assert (texts, last.stop_text) == (streamed, match)
    assert last.response.text == "".join(texts).strip()


FEW = st.text("ab\n ", max_size=30)


@given(FEW, st.lists(st.integers(0, 30)), st.lists(st.text("ab\n ", min_size=1, max_size=4), max_size=4))
def test_of_several_stop_texts_the_same_counts_wherever_the_pieces_are_cut(text, cuts, stops):
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    (texts, last), (alone, other) = grow(pieces, stops), grow([text], stops)
    assert ("".join(texts), last.stop_text) == ("".join(alone), other.stop_text)


def test_an_answer_is_looked_at_now_and_then_and_it_is_seen_all_the_same():
    answer, looks = GrowingAnswer(Request(CandidateConfig("a", "gguf", "a"), ())), 0
    while not answer.repeats:
        answer.add(":")
        looks += 1
        assert looks < LEAST + EVERY + 1
