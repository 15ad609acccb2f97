"""Keeps training queries apart from the queries that evaluate the fleet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from recipes.embedded.data import Example
from recipes.embedded.form import words_of
from zooter_core.base.strict_json import parse_json

TESTS = Path(__file__).parents[2] / "tests" / "data"
FIRST_CLICKS = Path(__file__).parents[2] / "benchmarks" / "first_clicks.jsonl"
COMMON = frozenset(
    re.findall(
        r"\S+",
        """a an the of in on at to for from with about and or is are was were do does did i me my you your it its it's
        what whats what's how who why when which that this be can could would please pls write give show make get have
        has as by if than so there""",
    )
)


def telling(text: str) -> set[str]:
    """A query's words without the most common ones, unless it has no others."""
    words = set(words_of(text))
    return words - COMMON or words


def resembles_a_test(query: str, tests: Sequence[set[str]]) -> bool:
    """Whether a test query has three fifths of a query's words, or the query has three fifths of a test query's words,
    if these are at least three."""
    words = telling(query)
    if not words:  # an emoji has no words
        return False
    shared = [(len(words & test), len(test)) for test in tests]
    return any(n >= 0.6 * len(words) or (of >= 3 and n >= 0.6 * of) for n, of in shared)


def queries_of_tests() -> list[set[str]]:
    """The words of each query that tests the router."""
    names = ("terse_queries", "evident_queries", "more_evident_queries", "evident_conversations")
    lines = [parse_json(line) for name in names for line in (TESTS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    talks = [message["content"] for line in lines for message in line.get("messages", ()) if message["role"] == "user"]
    return [telling(text) for text in [*(line["query"] for line in lines if "query" in line), *talks]]


def first_clicks() -> list[set[str]]:
    """The words of each query of benchmarks/first_clicks.jsonl that has any."""
    lines = FIRST_CLICKS.read_text("utf-8").splitlines()
    return [words for line in lines if (words := telling(parse_json(line)["query"]))]


def apart(examples: Sequence[Example], others: Sequence[set[str]] = ()) -> list[Example]:
    """The examples that resemble no query of benchmarks/first_clicks.jsonl and none of `others`."""
    tests = [*first_clicks(), *others]
    return [example for example in examples if not resembles_a_test(example[0], tests)]
