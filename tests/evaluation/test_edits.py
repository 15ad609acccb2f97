from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.evaluation.edits import AFTER, BEFORE, EDITS, POLITE, edited, typos

TEXT = "Explain photosynthesis in simple words to a child of seven years who likes plants and the sun very much."


@pytest.mark.parametrize("name", EDITS)
@given(text=st.text(max_size=200))
def test_an_edit_takes_any_text_and_is_the_same_each_time(name, text):
    assert EDITS[name](text) == EDITS[name](text)


def test_typos_swap_letters_inside_words():
    spoilt = typos(TEXT)
    assert spoilt != TEXT
    assert sorted(spoilt) == sorted(TEXT)
    assert [word[0] for word in spoilt.split()] == [word[0] for word in TEXT.split()]


@given(text=st.text(min_size=1, max_size=200), copy=st.integers(0, 9))
def test_a_copy_to_learn_from_is_the_same_each_time_and_never_empty(text, copy):
    assert edited(text, copy) == edited(text, copy) != ""


def test_copies_differ_and_keep_the_length_of_the_query_but_for_words_around_it_and_the_mark():
    copies = [edited(TEXT, copy) for copy in range(60)]
    assert len(set(copies)) > 20
    assert len({edited(TEXT, 0, seed) for seed in range(20)}) > 5
    rests = [len(TEXT), len(TEXT) - 1]
    around = [len(before) + len(after) for before in ("", *BEFORE) for after in AFTER]
    assert {len(copy) for copy in copies} <= {rest + more for rest in rests for more in around}


def test_what_is_learned_is_not_what_is_measured_with():
    """Neither the words before a query nor the places of its typos."""
    assert not {text.strip() for text in POLITE} & {text.strip() for text in BEFORE}
    copies = [edited(TEXT, copy) for copy in range(300)]
    assert not [copy for copy in copies if copy.startswith(POLITE)]
    assert typos(TEXT) != typos(TEXT, "copy 0 0|")
