"""Which of the user's turns are routed, by their words and by the router's certainty."""

from __future__ import annotations

import time

import numpy as np
import pytest

from zooter_core.router.turns import (
    CERTAIN,
    FOLLOW_UPS,
    MOST_CHARACTERS,
    SMALL_TALK,
    SmallTalk,
    Topics,
    classify_turn,
)

KINDS = {
    "follow-up": [
        *("and in Java?", "shorter please", "why?", "why is that", "make it rhyme", "a bit more formal"),
        *("one about the sea", "is it open on Mondays?", "ok who wrote it"),
        *("what do you mean?", "give me another recipe", "can you explain why?", "thanks a lot", "ok, I see"),
        *("what does line 2 do?", "How does the loop work?", "Is the last paragraph needed?", "explain step 3"),
        "Is it true that they open at nine every morning on Mondays?",  # twelve words
        "Now rewrite your previous answer so that every sentence starts with the letter A, and keep the order.",
    ],
    "new": [
        "Write a function that shuffles an array.",  # "that" belongs to the function
        *("A story about a fox and its den", "bash one-liner that counts the lines of all files"),
        "Is it safe to drink tap water in Italy?",
        "Is it true that they open at nine in the morning on Mondays?",  # thirteen
        "SQL: customers with more than three orders",
        *("thanks, what is 3*7?", "ok thanks. Write a haiku about tea", "ok. who wrote Hamlet"),
        "My phone gets hot, why?",
        *("What is the function of the liver?", "What happens in step 2 of mitosis?"),
        "Do dolphins sleep, and if so how do they breathe?",  # "they" are in the turn
        *(
            "Rewrite this sentence politely: 'Send me the report.'",
            "Why is the sky blue?",
            "translate bread into French",
        ),
        *("docker: remove all stopped containers", "In Python, how do I reverse a list?", "write me a love poem"),
    ],
    "short": ["1250 / 8", "capital of France", "Ich verstehe nur Bahnhof", ""],
    "unclear": ["skip the first two rows", "and what is 3 times that?", "now write tests for it"],
    "open": [
        "explain inflation",
        "I get a TypeError",
        "ok, and what is a fox?",
        "Summarize the history of Rome in one sentence for each century of it",
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_a_turn_by_its_words(kind):
    assert {turn: classify_turn(turn) for turn in KINDS[kind]} == dict.fromkeys(KINDS[kind], kind)


def test_one_turn_is_routed_as_it_is():
    for turn in ("and in Java?", "1250 / 8", "Why is the sky blue?", ""):
        topics = Topics([[turn]])
        assert (topics.texts, topics.rows([0.3])) == ([turn], [0])
    assert Topics([[]]).texts == [""]


def test_a_new_topic_is_routed_alone_and_a_follow_up_with_its_topic():
    first, second = "Write a poem about snow.", "HTML for a login form with email and password"
    topics = Topics([[first, second], [first, second, "add some css", "and in red?"], [first, "", "shorter"]])
    assert topics.texts == [second, f"{second}\nadd some css\nand in red?", f"{first}\nshorter"]
    assert topics.rows([0.5, 0.5, 0.5]) == [0, 1, 2]


def test_the_router_decides_where_words_do_not():
    conversation = ["What is a dog?", "1250 / 8"]
    topics = Topics([["Hello"], conversation, conversation])
    assert topics.texts == ["Hello", "1250 / 8", "What is a dog?\n1250 / 8", "1250 / 8", "What is a dog?\n1250 / 8"]
    assert topics.rows([0.2, CERTAIN, 0.9, CERTAIN - 0.01, 0.3]) == [0, 1, 4]


def test_small_talk_is_routed_alone_if_it_is_short_and_no_new_topic():
    checked: list[tuple[str, str]] = []

    def stand_alone(pairs):
        checked.extend(pairs)
        return [turn != "shorter" for _, turn in pairs]

    first, long, other = "Write a poem about snow.", "and thanks " * 20, "and what is a fox?"
    followed = [
        [first, turn] for turn in ("and another", "same with ice", "Thanks!", "shorter", long, "What is a dog?", other)
    ]
    topics = Topics([*followed, ["Thanks!"], [], [""]], stand_alone)
    together = [f"{first}\n{turn}" for turn in ("and another", "same with ice", "shorter", long)]
    assert topics.texts == [*together[:2], "Thanks!", *together[2:], "What is a dog?", other, "Thanks!", "", ""]
    assert checked == [(f"{first}\n", turn) for turn in ("Thanks!", "shorter", other)]


def test_of_a_long_conversation_its_end_is_routed():
    (text,) = Topics([["x" * 30_000, "and now?"]]).texts
    assert text.endswith("x\nand now?")
    assert len(text) == MOST_CHARACTERS


@pytest.mark.parametrize("text", ["“a" * 10_000, "it is " * 4_000, "a" * 20_000, "your " * 4_000, "that! " * 4_000])
def test_no_text_takes_long(text):
    begun = time.thread_time()
    classify_turn(text)
    assert time.thread_time() - begun < 0.5


EXAMPLES = [*SMALL_TALK, *FOLLOW_UPS]


class KnowsExamples:
    """An encoder that gives each example a direction of its own, and any other text none."""

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
