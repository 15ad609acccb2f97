from __future__ import annotations

import pytest

from support.stepwise_backend import WAIT, StepwiseBackend, stepwise
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision, Message, Ranked, Response
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui.background import BackgroundWork
from zooter_core.ui.compare import batches
from zooter_core.ui.compare.batches import Batch
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.jobs import Answers, Job, Plan

QUERIES = ("What is 12 + 30?", "Write about the sea.", "Why do you like a list in Python")
Steered = tuple[Ensemble, StepwiseBackend]


@pytest.fixture
def steered(tiny_ensemble: Ensemble) -> Steered:
    return stepwise(tiny_ensemble)


def test_every_query_is_compared_in_order(tiny_ensemble: Ensemble) -> None:
    batch = Batch(tiny_ensemble, QUERIES)
    batch.wait(120)
    assert [row.query for row in batch.finished] == list(QUERIES)
    assert all(row.job.ranked is not None and len(row.job.ranked) == 3 for row in batch.finished)
    assert (batch.remaining, batch.problem, batch.running, batch.current) == (0, None, False, None)


def test_a_stop_keeps_the_finished_queries_and_a_start_continues(steered: Steered) -> None:
    ensemble, backend = steered
    batch = Batch(ensemble, QUERIES, ("base", "two"))
    backend.go.release()
    assert [backend.queries.get(timeout=WAIT) for _ in range(2)] == list(QUERIES[:2])
    batch.stop()
    batch.wait(WAIT)
    assert not batch.running
    first = list(batch.finished)
    assert [row.query for row in first] == [QUERIES[0]]  # the second one was stopped, and is dropped
    backend.go.release(2)
    batch.start()
    batch.wait(WAIT)
    assert batch.finished[:1] == first  # the same object: nothing was asked again
    assert [row.query for row in batch.finished] == list(QUERIES)
    assert all(row.job.candidates == ("base", "two") for row in batch.finished)
    assert [backend.queries.get(timeout=WAIT) for _ in range(2)] == list(QUERIES[1:])


def test_another_visitor_is_served_before_the_next_query(steered: Steered) -> None:
    ensemble, backend = steered
    batch = Batch(ensemble, QUERIES)
    assert backend.queries.get(timeout=WAIT) == QUERIES[0]
    visitor = Job(ensemble, Plan(["one"]), (Message("user", "Hello"),))
    backend.go.release(2)
    assert [backend.queries.get(timeout=WAIT) for _ in range(2)] == ["Hello", QUERIES[1]]
    visitor.wait(WAIT)
    batch.stop()
    batch.wait(WAIT)
    assert [row.query for row in batch.finished] == [QUERIES[0]]


def test_a_stop_in_the_queue_ends_it(steered: Steered) -> None:
    ensemble, backend = steered
    visitor = Job(ensemble, Plan(["base"]), (Message("user", "Hello"),))
    assert backend.queries.get(timeout=WAIT) == "Hello"
    batch = Batch(ensemble, QUERIES)
    batch.stop()
    batch.wait(WAIT)
    assert not batch.running
    assert batch.finished == []
    assert visitor.running
    visitor.stop()
    visitor.wait(WAIT)


def test_a_query_that_cannot_be_routed_is_the_problem_and_the_others_stay(steered: Steered) -> None:
    ensemble, backend = steered
    backend.go.release()
    batch = Batch(ensemble, [QUERIES[0], "  ", QUERIES[1]])
    batch.wait(WAIT)
    assert "an empty text" in str(batch.problem)
    assert (len(batch.finished), batch.remaining) == (1, 2)


def test_one_candidate_is_no_comparison(tiny_ensemble: Ensemble) -> None:
    with pytest.raises(ZooterError, match="at least two models"):
        Batch(tiny_ensemble, QUERIES, ["one"])


def test_a_batch_is_background_work_and_saved_answers_are_not(steered: Steered) -> None:
    ensemble, backend = steered
    backend.go.release()
    batch = Batch(ensemble, QUERIES[:1])
    assert isinstance(batch, BackgroundWork)
    assert not isinstance(Answers(("a",), {"a": ""}), BackgroundWork)
    batch.wait(WAIT)


def row(chosen: float | None, other: float | None) -> Comparison:
    responses = [Response("a", "x", 10), Response("b", "y", 30)]
    rewards = {"a": chosen, "b": other}
    placed = sorted(
        (r for r in responses if rewards[r.candidate] is not None), key=lambda r: -(rewards[r.candidate] or 0)
    )
    ranked = [Ranked(response, rewards[response.candidate], place) for place, response in enumerate(placed, 1)]
    ranked += [Ranked(response) for response in responses if response not in placed]
    job = Answers(("a", "b"), {}, {response.candidate: response for response in responses}, ranked)
    return Comparison("q", Decision.of("q", {"a": 0.6, "b": 0.4}), job)


def test_the_summary_by_hand() -> None:
    assert batches.summary_lines([row(2.0, 1.0), row(-1.0, 3.0), row(None, 5.0)]) == [
        "The router's choice had the highest reward in **1 of 2** queries (50%). Its mean reward is 0.50, that of the "
        "best responses 2.50: running its choice alone loses 2.00 per query.",
        "The router's choices took 20 tokens instead of 80: 75% saved.",
    ]
    for rows in ([row(None, 1.0)], []):
        assert batches.summary_lines(rows) == ["None of the responses has a reward, so there is nothing to rank."]
