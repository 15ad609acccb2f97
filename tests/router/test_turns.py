"""Which of the user's turns are routed, by their words and by the router's certainty."""

from __future__ import annotations

import time

import pytest

from zooter_core.router.turns import CERTAIN, MOST_CHARACTERS, Topics, kind_of


@pytest.mark.parametrize(
    "turn",
    [
        "and in Java?",
        "shorter please",
        "why?",
        "why is that",
        "make it rhyme",
        "a bit more formal",
        "one about the sea",
        "is it open on Mondays?",
        "Is it true that they open at nine every morning on Mondays?",  # twelve words
        "Now rewrite your previous answer so that every sentence starts with the letter A, and keep the order.",
    ],
)
def test_a_follow_up_by_its_words(turn):
    assert kind_of(turn) == "follow-up"


@pytest.mark.parametrize(
    "turn",
    [
        "Write a function that shuffles an array.",  # "that" belongs to the function
        "A story about a fox and its den",
        "bash one-liner that counts the lines of all files",
        "Is it safe to drink tap water in Italy?",
        "Is it true that they open at nine in the morning on Mondays?",  # thirteen
        "SQL: customers with more than three orders",
        "Do dolphins sleep, and if so how do they breathe?",  # "they" are in the turn
        "Rewrite this sentence politely: 'Send me the report.'",
        "Why is the sky blue?",
        "docker: remove all stopped containers",
        "In Python, how do I reverse a list?",
        "write me a love poem",
    ],
)
def test_a_new_topic_by_its_words(turn):
    assert kind_of(turn) == "new"


@pytest.mark.parametrize(
    "turn", ["1250 / 8", "skip the first two rows", "Ich verstehe nur Bahnhof", "", "and what is 3 times that?"]
)
def test_words_that_leave_it_open(turn):
    assert kind_of(turn) == "unclear"


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


def test_a_follow_up_goes_with_the_latest_topic():
    login = "HTML for a login form with email and password"
    turns = ["What is a dog?", "Write a poem about snow.", login, "and in red?"]
    assert Topics([turns]).texts == [f"{login}\nand in red?"]


def test_the_router_decides_where_words_do_not():
    conversation = ["What is a dog?", "1250 / 8"]
    topics = Topics([["Hello"], conversation, conversation])
    assert topics.texts == ["Hello", "1250 / 8", "What is a dog?\n1250 / 8", "1250 / 8", "What is a dog?\n1250 / 8"]
    assert topics.rows([0.2, CERTAIN, 0.9, CERTAIN - 0.01, 0.3]) == [0, 1, 4]


def test_small_talk_is_routed_alone_if_it_is_short_and_no_new_topic():
    turns: list[str] = []

    def small_talk(texts):
        turns.extend(texts)
        return [text != "shorter" for text in texts]

    first, long = "Write a poem about snow.", "and thanks " * 20
    conversations = [
        [first, "and another"],
        [first, "Thanks!"],
        [first, "shorter"],
        [first, long],
        [first, "What is a dog?"],
        ["Thanks!"],
        [],
        [""],
    ]
    topics = Topics(conversations, small_talk)
    assert topics.texts == [
        f"{first}\nand another",
        "Thanks!",
        f"{first}\nshorter",
        f"{first}\n{long}",
        "What is a dog?",
        "Thanks!",
        "",
        "",
    ]
    assert turns == ["Thanks!", "shorter"]


def test_of_a_long_conversation_its_end_is_routed():
    (text,) = Topics([["x" * 30_000, "and now?"]]).texts
    assert text.endswith("x\nand now?")
    assert len(text) == MOST_CHARACTERS


@pytest.mark.parametrize("text", ["“a" * 10_000, "it is " * 4_000, "a" * 20_000, "your " * 4_000, "that! " * 4_000])
def test_no_text_takes_long(text):
    begun = time.thread_time()
    kind_of(text)
    assert time.thread_time() - begun < 0.5
