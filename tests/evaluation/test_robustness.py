from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zooter_core.data.scores import paraphrases
from zooter_core.evaluation.robustness import EDITS, robustness, typos

TEXT = "Explain photosynthesis in simple words to a child of seven years who likes plants and the sun very much."


class Shouting:
    """A router that takes `b` for what is written in capitals, else `a`."""

    def probabilities(self, queries):
        return np.array([[0.1, 0.9] if query.isupper() else [0.9, 0.1] for query in queries])


def test_a_choice_that_changes_with_the_case_is_found():
    """One of the two queries is in capitals: lower case turns it, upper case the other one."""
    figures = robustness(Shouting(), ["What is 2 and 3?", "WRITE A POEM"])
    assert figures.edits["lower case"] == 0.5
    assert figures.edits["upper case"] == 0.5
    assert figures.edits["polite prefix"] == 0.5  # small letters come in
    assert figures.edits["spaces"] == figures.edits["no final mark"] == figures.edits["typos"] == 1.0
    assert figures.mean == pytest.approx(4.5 / 6)
    assert (figures.n, figures.paraphrases) == (2, 1.0)


def test_the_paraphrases_are_pairs_of_different_texts():
    pairs = paraphrases()
    assert len(pairs) >= 80
    texts = [text for pair in pairs for text in pair]
    assert len(set(texts)) == len(texts)


@given(st.text(max_size=200))
def test_an_edit_takes_any_text(text):
    for edit in EDITS.values():
        assert isinstance(edit(text), str)


def test_typos_swap_letters_inside_words_and_are_the_same_each_time():
    spoilt = typos(TEXT)
    assert spoilt != TEXT
    assert spoilt == typos(TEXT)
    assert sorted(spoilt) == sorted(TEXT)
    assert [word[0] for word in spoilt.split()] == [word[0] for word in TEXT.split()]
