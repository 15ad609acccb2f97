"""The form of verse: counted syllables and rhymes."""

from __future__ import annotations

import pytest

from recipes.embedded.prosody import is_haiku, is_limerick, is_rhymed, rhymes, sounds_of, syllables

SOUNDS = sounds_of(
    """\
night N AY1 T
light L AY1 T # a comment
bright B R AY1 T
day D EY1
grey G R EY1
away AH0 W EY1
fire F AY1 ER0
fire(2) F AY1 R
read R EH1 D
read(2) R IY1 D
seed S IY1 D""".splitlines()
)


def test_words_have_the_syllables_of_their_pronunciations():
    assert syllables("night fire", SOUNDS) == {2, 3}
    assert syllables("bananas, away!", SOUNDS) == {5}  # groups of vowels where the dictionary has no word
    assert syllables("", SOUNDS) == {0}


@pytest.mark.parametrize(
    ("one", "other", "right"),
    [
        ("In the night,", "So bright.", True),
        ("I read", "a seed", True),  # by the second pronunciation
        ("far away", "a day", True),  # from the stressed vowel on
        ("the light", "more light", False),
        ("the day", "the night", False),
        ("a zxq", "a day", False),
        ("", "a day", False),
    ],
)
def test_rhymes(one, other, right):
    assert rhymes(one, other, SOUNDS) is right


def test_forms():
    assert is_haiku("So bright in the night\nbananas bananas day\n\nbananas, a day", SOUNDS)
    assert not is_haiku("So bright in the night\nbananas bananas\nbananas, a day", SOUNDS)
    assert not is_haiku("So bright in the night", SOUNDS)
    assert is_limerick("a night\na light\na day\nso grey\nso bright", SOUNDS)
    assert not is_limerick("a night\na light\na day\nso bright\nso grey", SOUNDS)
    assert is_rhymed("a night\na day\nso bright\nso grey", SOUNDS)
    assert is_rhymed("Verse\na night\na light\na day\nso grey", SOUNDS)
    assert not is_rhymed("a night\na day", SOUNDS)
    assert not is_rhymed("a night", SOUNDS)
