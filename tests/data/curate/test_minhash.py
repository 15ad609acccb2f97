from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zooter_core.data.curate.reading import BANDS, GRAM, agreement, near_repeats, signatures

STORY = "ana has a basket of apples and gives half of them to her brother before they walk home along the river"
WORDS = [f"w{number * 7919 % 9973}" for number in range(3_000)]


def shingles(text: str) -> set[str]:
    padded = text + "\0" * (GRAM - 1)
    return {padded[start : start + GRAM] for start in range(len(text))}


def jaccard(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def estimate(one: str, other: str) -> float:
    return float(agreement(signatures([one, other]), np.array([0]), np.array([1]))[0])


def near(texts: list[str], least: float = 0.7) -> list[bool]:
    return near_repeats(signatures(texts), least).tolist()


def test_agreement_estimates_the_jaccard_similarity():
    rng = random.Random(0)
    errors = []
    for _ in range(200):
        words = rng.choices(WORDS, k=20)
        other = [rng.choice(WORDS) if rng.random() < 0.1 else word for word in words]
        errors.append(estimate(" ".join(words), " ".join(other)) - jaccard(" ".join(words), " ".join(other)))
    assert abs(np.mean(errors)) < 0.015
    assert np.std(errors) < 0.0625


@settings(max_examples=25)
@given(st.lists(st.text(min_size=1, max_size=12).filter(lambda t: "\0" not in t), min_size=1, max_size=6))
def test_a_signature_does_not_depend_on_the_other_texts(texts):
    together = signatures(texts)
    assert together.shape == (len(texts), BANDS)
    assert np.array_equal(together, np.concatenate([signatures([text]) for text in texts]))


@pytest.mark.parametrize("text", ["a", "ab", "abcd", "abcde", "☕", "我"])
def test_short_texts(text):
    assert near([text, text, text + "x" * 20]) == [False, True, False]


def test_a_near_repeat_is_of_an_earlier_text():
    texts = [STORY, "why do ships float", f"{STORY} today", "why do planes fly"]
    assert near(texts) == [False, False, True, False]


def test_how_near_is_near():
    changed = STORY.replace("apples", "stones")
    assert 0.7 < jaccard(STORY, changed) < 0.9
    assert near([STORY, changed], 0.6) == [False, True]
    assert near([STORY, changed], 0.95) == [False, False]


def test_texts_of_a_band_are_all_compared():
    """Many that share half of their text, and among them pairs that are near."""
    rng = random.Random(1)
    half = " ".join(rng.choices(WORDS, k=12))
    texts = [f"{half} {' '.join(rng.choices(WORDS, k=8))}" for _ in range(30)]
    assert near(texts, 0.8) == [False] * 30
    assert near(texts + [f"{text} x" for text in texts], 0.8) == [False] * 30 + [True] * 30


def test_recall_and_precision_of_near_repeats():
    rng = random.Random(2)
    texts = [" ".join(rng.choices(WORDS, k=20)) for _ in range(500)]
    repeats = near([*texts, *(f"{text} {rng.choice(WORDS)}" for text in texts)])
    assert sum(repeats[:500]) == 0
    assert sum(repeats[500:]) == 500
