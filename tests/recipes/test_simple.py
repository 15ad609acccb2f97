"""The simplest word problems: each phrasing says all that is needed; what is asked decides where the answer ends."""

from __future__ import annotations

import re
import string

import pytest

from recipes.embedded import verify
from recipes.embedded.problems import SIMPLE, Dice
from recipes.embedded.problems.dice import PHRASINGS
from support.recorded_dice import Noted

# What each template that has a sibling works out of the numbers it is told.
SIBLINGS = {
    "boxes_full": lambda w: w["n"] * w["k"],
    "boxes_single": lambda w: w["n"] * w["k"] + w["c"],
    "pages_read": lambda w: w["n"] * w["k"],
    "pages_left": lambda w: w["m"] - w["n"] * w["k"],
    "note_cost": lambda w: w["n"] * w["p"],
    "note_change": lambda w: w["w"] - w["n"] * w["p"],
    "more_other": lambda w: w["a"] + w["b"],
    "more_together": lambda w: 2 * w["a"] + w["b"],
    "other_has_more": lambda w: w["a"] + w["b"],
    "other_has_fewer": lambda w: w["a"] - w["b"],
    "gets_more": lambda w: w["a"] + w["b"],
    "gives_some": lambda w: w["a"] - w["b"],
}
TEMPLATES = {template.__name__: template for template in SIMPLE}


@pytest.mark.parametrize("name", SIBLINGS)
def test_answers_are_what_was_asked(name):
    dice = Noted(2, False)
    for _ in range(80):
        query, answer = TEMPLATES[name](dice)
        assert verify.final_number(answer) == str(SIBLINGS[name](dice.words)), (query, answer)


@pytest.mark.parametrize("name", TEMPLATES)
def test_phrasings_are_many_and_tell_the_same_numbers(name):
    sides = PHRASINGS[name]
    phrasings = [phrasing for side in sides.values() for phrasing in side]
    assert len(sides["train"]) >= 16
    assert len(sides["held_back"]) >= 3
    assert len(set(phrasings)) == len(phrasings)
    dice = Noted(4, False)
    TEMPLATES[name](dice)
    numbers = {word for word, value in dice.words.items() if isinstance(value, int)}
    numbers_given = [
        numbers & {field for _, field, _, _ in string.Formatter().parse(text) if field} for text in phrasings
    ]
    unused = {"m", "w"} if name in ("pages_read", "note_cost") else set()  # the sibling's number may go unsaid
    for phrasing, of in zip(phrasings, numbers_given, strict=True):
        assert numbers - unused <= of, phrasing


def test_an_answer_has_few_sums_of_small_numbers():
    dice = Dice(6, False)
    for template in SIMPLE:
        for _ in range(40):
            query, answer = template(dice)
            assert 1 <= answer.count(" = ") <= 3, answer
            assert float(verify.final_number(answer)) > 0, answer
            assert max(int(number) for number in re.findall(r"\d+", query)) <= 60_000, query
