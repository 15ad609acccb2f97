"""The demo's example queries, on the embedded fleet's real models: each is routed, tagged and answered well."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable

import pytest

from zooter_core.backends import Request, iter_responses
from zooter_core.base.records import Message
from zooter_core.config.fleet import GenerationConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.widgets import EXAMPLES

LEAST = 0.7  # the probability of the expert


def code_of(text: str) -> str:
    """What stands in a response's fence."""
    fence = re.search(r"```\w*\n(.*?)```", text, re.DOTALL)
    assert fence, text
    return fence[1]


def is_five(text: str) -> bool:
    return text.endswith("The answer is 5.")


def reverses(text: str) -> bool:
    return "[::-1]" in code_of(text) and "return" in code_of(text)


def selects_berlin(text: str) -> bool:
    with sqlite3.connect(":memory:") as shop:
        shop.execute("CREATE TABLE customers (id INTEGER, city TEXT)")
        shop.executemany("INSERT INTO customers VALUES (?, ?)", [(1, "Berlin"), (2, "Oslo"), (3, "Berlin")])
        return shop.execute(code_of(text)).fetchall() == [(1, "Berlin"), (3, "Berlin")]


def is_advice_on_sleep(text: str) -> bool:
    """The words differ with the processor."""
    lines = text.splitlines()
    return len(lines) >= 3 and len(set(lines)) == len(lines) and "bed" in text.lower()


def is_verse(text: str) -> bool:
    lines = text.splitlines()
    return "kitten" in text and len(lines) >= 4 and len(set(lines)) == len(lines) and max(map(len, lines)) < 80


def thanks(text: str) -> bool:
    """The words differ with the processor."""
    return text.startswith("Dear Anna,") and "the move" in text and bool(re.search("[Tt]hank|grateful", text))


# The example's expert, its tags, and whether a response is right.
EXPECTED: dict[str, tuple[str, set[str], Callable[[str], bool]]] = {
    "Solve 3x - 4 = 11": ("math", {"linear equation"}, is_five),
    "How can I sleep better?": ("chat", {"health advice"}, is_advice_on_sleep),
    "Write a Python function that reverses a string": ("code", {"python programming"}, reverses),
    "Write a poem about a lost kitten": ("writer", {"poetry"}, is_verse),
    "SQL query: all customers from Berlin": ("code", {"sql query"}, selects_berlin),
    "Write a short email to thank Anna for her help with the move": ("writer", {"email writing"}, thanks),
}


def test_every_example_is_expected() -> None:
    assert set(EXAMPLES) == set(EXPECTED)


@pytest.mark.parametrize("query", EXAMPLES)
def test_an_example_goes_to_its_expert_and_has_its_tags(embedded: Ensemble, query: str) -> None:
    expert, tags, _ = EXPECTED[query]
    decision = embedded.route(query)
    assert decision.candidate == expert
    assert round(decision.probabilities[expert], 2) >= LEAST
    assert {tag.name for tag in decision.tags} == tags


@pytest.mark.parametrize("query", EXAMPLES)
def test_an_expert_answers_its_example_rightly(embedded: Ensemble, query: str) -> None:
    """On llama.cpp or transformers, whichever this machine's demo uses. One query at a time, as a visitor asks them:
    what is answered beside it changes the last digits of a model's numbers, and so some words.
    """
    expert, _, is_right = EXPECTED[query]
    request = Request(embedded.fleet.candidate(expert), (Message("user", query),))
    generation = GenerationConfig(max_new_tokens=120, temperature=0.0)
    ((_, response),) = iter_responses(embedded.run_requests([request], threading.Event(), generation))
    assert is_right(response.text), response.text
