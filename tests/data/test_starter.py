"""models/starter/queries.jsonl: 600 different queries, balanced in any first part, none from a data set or a test."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from zooter_core.base.paths import ROOT, STARTER
from zooter_core.base.records import Query
from zooter_core.base.skills import SKILLS
from zooter_core.data.curate import Benchmarks, NearRepeats, normalise
from zooter_core.data.scores import each_query
from zooter_core.evaluation.verified import verify

QUICK = 120
HELD_BACK = ROOT / "tests" / "data" / "skill_queries.jsonl"
EVIDENT = ("evident_queries", "more_evident_queries", "terse_queries", "opening_queries")
DATA_SETS = ROOT.parent / "shared" / "data"
# The file whose queries were compared with the data sets.
COMPARED = "e58f9bd58ba54f358a908d89fba535f81e6a1c22d22b5dfc270f75e0035b1cfd"


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return [query for _, query in each_query(STARTER / "queries.jsonl")]


def test_the_reader_reads_600_different_queries(queries):
    assert len(queries) == 600
    assert len({query.id for query in queries}) == 600
    texts = [normalise(query.text) for query in queries]
    assert len(set(texts)) == 600
    near = NearRepeats()
    assert not any(map(near.is_one, texts))


def test_skills_are_balanced(queries):
    assert set(Counter(query.dataset for query in queries).values()) == {37, 38}
    assert set(Counter(query.dataset for query in queries[:QUICK]).values()) == {7, 8}
    assert [query.dataset for query in queries[:16]] == list(SKILLS)


def test_every_answer_and_check_can_be_used(queries):
    for query in queries:
        key = {name: part for name, part in (query.key or {}).items() if name != "tests"}
        assert verify("I cannot say.", key).reason or not key


def overlapping(queries: list[Query], files: list[Path]) -> list[str]:
    """The ids of the queries that share a run of words with a query of a file."""
    others = Benchmarks.read(files)
    return [query.id for query in queries if others.overlap(normalise(query.text))]


def test_no_query_is_also_one_of_a_test(queries):
    files = [HELD_BACK, *(HELD_BACK.with_name(f"{name}.jsonl") for name in EVIDENT)]
    assert overlapping(queries, files) == []


def test_no_query_is_from_a_data_set(queries):
    """Comparing takes half a minute, and other queries alone need it."""
    if hashlib.sha256((STARTER / "queries.jsonl").read_bytes()).hexdigest() == COMPARED:
        return
    files = sorted(DATA_SETS.glob("*.jsonl.gz"))
    assert files, "the data sets are not beside this clone"
    assert overlapping(queries, files) == []
    pytest.fail("none is: COMPARED may be the hash of the new file")
