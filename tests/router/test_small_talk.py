"""Small talk and follow-ups by an encoder that knows no text but the examples; tests/embedded has real ones."""

from __future__ import annotations

import numpy as np

from zooter_core.router.small_talk import FOLLOW_UPS, SMALL_TALK, SmallTalk

EXAMPLES = [*SMALL_TALK, *FOLLOW_UPS]


class KnowsExamples:
    """Gives each example a direction of its own, and any other text none."""

    def embed(self, texts):
        return np.array([[float(text == example) for example in EXAMPLES] for text in texts], dtype=np.float32)

    embed_all = embed

    def sentence(self, vectors):
        return vectors


def test_each_example_is_of_its_own_kind_and_a_short_turn_like_none_stands_alone():
    small_talk = SmallTalk(KnowsExamples())

    def alone(turns, topic=FOLLOW_UPS[0]):
        return small_talk([(topic, turn) for turn in turns])

    assert alone(SMALL_TALK) == [True] * len(SMALL_TALK)
    assert alone(FOLLOW_UPS) == [False] * len(FOLLOW_UPS)
    assert alone(["Quetzalcoatl", "skip the first two rows", "and Quetzalcoatl?"]) == [True, False, False]
    assert alone(["explain Quetzalcoatl"]) == [True]
    assert alone([]) == []
