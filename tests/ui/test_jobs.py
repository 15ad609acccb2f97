from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.patience import PATIENCE
from zooter_core.backends import Backend, Piece, Request, Ticket, TurnQueue
from zooter_core.base.records import Message, Response
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import answer_view
from zooter_core.ui.jobs import AnswerPlan, Job

SEA, SUM = (Message("user", "Write about the sea."),), (Message("user", "What is 12 + 30?"),)


def begin(*arguments: Any, **options: Any) -> Job:
    return Job(*arguments, **options).start()


@pytest.fixture
def greedy(tiny_fleet: Path) -> Ensemble:
    return Ensemble(replace(load_fleet(tiny_fleet), generation=GenerationConfig(max_new_tokens=40, temperature=0.0)))


def ended(job: Job) -> Job:
    job.wait(PATIENCE)
    return job


def texts(job: Job) -> list[str]:
    return [ended(job).texts[name] for name in job.candidates]


def test_a_right_answer_is_compared_where_no_reward_model_ranks(greedy: Ensemble) -> None:
    job = ended(begin(greedy, AnswerPlan(["base", "one"]), SUM, key={"answer": {"text": "no model says this"}}))
    assert [(item.rank, item.right) for item in job.ranked or []] == [(None, False), (None, False)]


def let_answer(
    ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch, pieces: Sequence[tuple[str, str]], text: str, thoughts: str
) -> None:
    """Pieces of thoughts and text, then a response."""

    def answer(candidates, messages, *rest):
        request = Request(ensemble.fleet.candidate(candidates[0]), tuple(messages))
        yield from (Piece(request, text, thoughts=thought) for thought, text in pieces)
        yield Piece(request, response=Response(candidates[0], text, 3, thoughts=thoughts))

    monkeypatch.setattr(ensemble, "run_candidates", answer)


@pytest.mark.parametrize("text", ["they", " they"])  # local models give it without the space, servers with it
def test_a_continuation_joins_as_the_text_would_have(
    greedy: Ensemble, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    let_answer(greedy, monkeypatch, [("", " they")], text, "")
    first = Response("one", "The sea and", 5, 2.0, 0.5, thought_tokens=2)
    rest = ended(begin(greedy, AnswerPlan(["one"], continued=first), SEA))
    response = rest.responses["one"]
    assert rest.texts["one"] == response.text == "The sea and they"
    assert (response.tokens, response.thought_tokens, response.seconds) == (8, 2, 2.0)  # of both
    assert response.first_token_seconds == 0.5


def test_jobs_on_one_model_are_served_in_order_and_know_how_many_are_ahead(tiny_fleet: Path) -> None:
    endless = GenerationConfig(max_new_tokens=450, temperature=0.0)
    ensemble = Ensemble(replace(load_fleet(tiny_fleet), generation=endless))
    jobs = [begin(ensemble, AnswerPlan(["base"]), SEA) for _ in range(4)]
    assert [job.ahead for job in jobs[1:]] == [1, 2, 3]
    jobs[1].stop()
    jobs[1].wait(PATIENCE)
    assert jobs[1].responses["base"].finish == "stopped"
    assert jobs[1].responses["base"].tokens == 0
    assert [job.ahead for job in jobs[2:]] == [1, 2]
    for job in (jobs[0], jobs[2], jobs[3]):
        job.stop()
        job.wait(PATIENCE)
        assert not job.running
        assert job.ahead == 0


class Down(Backend):
    """A backend whose candidates all fail at once."""

    independent = True

    def stream(self, requests: Sequence[Request], *_: object) -> Iterator[Piece]:
        yield from (Piece.failed(request, "down") for request in requests)


@pytest.fixture
def half_down(greedy: Ensemble) -> Ensemble:
    """An ensemble whose candidates base and one fail."""
    base, one, two = greedy.fleet.candidates
    down = (replace(base, backend="down"), replace(one, backend="down"), two)
    ensemble = Ensemble(replace(greedy.fleet, candidates=down), {"down": Down(), **greedy.backends})
    assert ensemble.backends["down"].turns is None
    return ensemble


def test_queues_are_joined_in_one_order_whether_or_not_a_candidate_names_its_engine(greedy: Ensemble) -> None:
    """Otherwise each of two jobs could wait for the other."""
    base, one, two = greedy.fleet.candidates
    down = Down()
    down.turns = TurnQueue()
    candidates = (replace(base, backend="auto"), replace(one, backend="down"), two)
    ensemble = Ensemble(replace(greedy.fleet, candidates=candidates), {"down": down, **greedy.backends})
    jobs = [Job(ensemble, AnswerPlan([name, "one"]), SEA) for name in ("base", "two")]
    by_rule, by_name = ([ticket.queue for ticket in job._tickets] for job in jobs)
    assert by_rule == by_name


def watch_waits(turns: TurnQueue, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts the waits of the queue's tickets as they begin."""
    waits, wait = threading.Semaphore(0), Ticket.wait

    def counted(ticket: Ticket, stop: threading.Event) -> bool:
        if ticket.queue is turns:
            waits.release()
        return wait(ticket, stop)

    monkeypatch.setattr(Ticket, "wait", counted)
    return waits


@pytest.mark.parametrize("stopped", [False, True])
def test_a_reserve_is_shown_waits_in_the_queue_of_its_own_model_and_can_be_stopped(
    half_down: Ensemble, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    turns = half_down.backend_of("transformers").turns
    other, waits = turns.join(), watch_waits(turns, monkeypatch)
    job = begin(half_down, AnswerPlan(["base"], ["one", "two"]), SEA)
    assert waits.acquire(timeout=PATIENCE)  # "one" leaves the queue of "down" at once: the first wait is that of "two"
    assert (job.ahead, job.shown, job.reserves, job.running) == (1, "two", (), True)
    assert answer_view.explain_failure(job, "base") is None  # the job is not at its end
    if stopped:
        job.stop()
    else:
        other.leave()
    job.wait(PATIENCE)
    other.leave()
    assert [response.candidate for response in job.failed] == ["base", "one"]
    assert (job.running, job.shown, job.incomplete, job.all_failed) == (False, "two", False, False)
    assert (job.responses["two"].finish == "stopped") == stopped
    assert turns.join().ahead == 0  # it has left


def test_an_answer_that_has_begun_is_not_replaced(half_down: Ensemble) -> None:
    job = ended(begin(half_down, AnswerPlan(["base"], ["two"], continued=Response("base", "The sea")), SEA))
    assert (job.candidates, job.texts["base"], job.incomplete, job.all_failed) == (("base",), "The sea", True, False)
    assert job.reserves == ("two",)


@pytest.mark.parametrize(
    ("pieces", "response", "thoughts", "timed"),
    [
        ((("hm", ""), (" hm", ""), ("", "42")), ("hm hm", "42"), "hm hm", True),
        ((("hm", ""), ("hm hm", ""), ("", "42")), ("hm hm", "42"), "hm hm", True),  # it was asked again
        ((("", "hm hm 42"),), ("hm hm", "42"), "hm hm", False),  # they were taken for text while they came
        ((("hm", ""),), ("", "hm"), None, False),  # and the other way round
    ],
)
def test_the_thoughts_of_the_response_are_right(
    greedy: Ensemble,
    monkeypatch: pytest.MonkeyPatch,
    pieces: Sequence[tuple[str, str]],
    response: tuple[str, str],
    thoughts: str | None,
    timed: bool,
) -> None:
    let_answer(greedy, monkeypatch, pieces, response[1], response[0])
    job = ended(begin(greedy, AnswerPlan(["one"]), SUM))
    assert job.texts["one"] == response[1]
    shown = job.thoughts.get("one")
    assert (shown and shown.text) == thoughts
    assert (shown is not None and shown.seconds is not None) == timed
    again = begin(greedy, AnswerPlan(["two"], previous=[job.responses["one"]]), SUM)
    assert "one" in again.thoughts or thoughts is None  # whoever is not asked again keeps them
    ended(again)
