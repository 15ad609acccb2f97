from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.records import Decision, Message, Ranked, Response
from zooter_core.ui.compare import batches
from zooter_core.ui.compare.batches import Batch
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.jobs import Answers, Job, Plan
from zooter_core.ui.watch import Watched

QUERIES = ("What is 12 + 30?", "Write about the sea.", "Why do you like a list in Python")


def engine(folder: Path, tokens: int) -> Ensemble:
    generation = GenerationConfig(max_new_tokens=tokens, temperature=0.0)
    return Ensemble(replace(load_fleet(folder), generation=generation))


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def test_every_query_is_compared_in_order(tiny_fleet: Path) -> None:
    found = Batch(engine(tiny_fleet, 4), QUERIES)
    found.wait(120)
    assert [row.query for row in found.finished] == list(QUERIES)
    assert all(row.job.ranked is not None and len(row.job.ranked) == 3 for row in found.finished)
    assert (found.remaining, found.problem, found.running, found.current) == (0, None, False, None)


def test_a_stop_keeps_what_is_done_and_a_resume_goes_on_from_there(tiny_fleet: Path) -> None:
    found = Batch(engine(tiny_fleet, 60), QUERIES, ("base", "two"))
    until(lambda: len(found.finished) == 1)
    until(lambda: found.current is not None and found.current.query == QUERIES[1])
    found.stop()
    found.wait(20)
    assert not found.running
    kept = list(found.finished)
    assert 1 <= len(kept) < 3
    assert all(response.finish != "stopped" for row in kept for response in row.job.responses.values())
    found.start()
    found.wait(120)
    assert found.finished[: len(kept)] == kept  # the same objects: nothing was asked again
    assert [row.query for row in found.finished] == list(QUERIES)
    assert all(row.job.candidates == ("base", "two") for row in found.finished)


def test_others_are_served_in_between(tiny_fleet: Path) -> None:
    shared = engine(tiny_fleet, 60)
    found = Batch(shared, QUERIES)
    until(lambda: found.current is not None)
    visitor = Job(shared, Plan(["one"]), (Message("user", "Hello"),))
    visitor.wait(60)
    assert found.remaining >= 1  # a visitor who came later did not wait for the whole list
    found.stop()
    found.wait(20)


def test_a_stop_while_waiting_in_the_line_ends_it(tiny_fleet: Path) -> None:
    shared = engine(tiny_fleet, 450)
    first = Job(shared, Plan(["base"]), (Message("user", "Hello"),))
    found = Batch(shared, QUERIES)
    until(lambda: found.current is not None and found.current.job.ahead > 0)
    found.stop()
    found.wait(5)
    assert not found.running
    assert found.finished == []
    first.stop()
    first.wait(20)


def test_what_cannot_be_routed_is_the_lists_problem_and_keeps_the_rest(tiny_fleet: Path) -> None:
    found = Batch(engine(tiny_fleet, 4), [QUERIES[0], "  ", QUERIES[1]])
    found.wait(60)
    assert "an empty text" in str(found.problem)
    assert (len(found.finished), found.remaining) == (1, 2)


def test_one_candidate_is_no_comparison(tiny_fleet: Path) -> None:
    with pytest.raises(ZooterError, match="at least two models"):
        Batch(engine(tiny_fleet, 4), QUERIES, ["one"])


def test_it_is_looked_after_and_what_was_said_earlier_is_not(tiny_fleet: Path) -> None:
    found = Batch(engine(tiny_fleet, 4), QUERIES[:1])
    assert isinstance(found, Watched)
    assert not isinstance(Answers(("a",), {"a": ""}), Watched)
    found.wait(60)


def row(chosen: float | None, other: float | None) -> Comparison:
    said = [Response("a", "x", 10), Response("b", "y", 30)]
    rewards = {"a": chosen, "b": other}
    placed = sorted((r for r in said if rewards[r.candidate] is not None), key=lambda r: -(rewards[r.candidate] or 0))
    ranked = [Ranked(response, rewards[response.candidate], place) for place, response in enumerate(placed, 1)]
    ranked += [Ranked(response) for response in said if response not in placed]
    job = Answers(("a", "b"), {}, {response.candidate: response for response in said}, ranked)
    return Comparison("q", Decision.of("q", {"a": 0.6, "b": 0.4}), job)


def test_the_summary_by_hand() -> None:
    found = batches.summary([row(2.0, 1.0), row(-1.0, 3.0), row(None, 5.0)])
    assert found == batches.Summary(ranked=2, agreed=1, router=0.5, best=2.5, tokens_router=20, tokens_all=80)
    assert batches.summary([row(None, 1.0)]) is None
    assert batches.summary([]) is None
