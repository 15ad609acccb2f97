from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from support.patience import PATIENCE
from zooter_core.backends import Backend, Piece, Request
from zooter_core.base.errors import WorkError
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
    return [answer.text for answer in ended(job).answers.values()]


def test_a_right_answer_is_compared_where_no_reward_model_ranks(greedy: Ensemble) -> None:
    job = ended(begin(greedy, AnswerPlan(["base", "one"]), SUM, key={"answer": {"text": "no model says this"}}))
    assert [(item.rank, item.right) for item in job.ranked or []] == [(None, False), (None, False)]


def test_a_reward_model_that_fails_takes_no_verified_outcome_away(
    greedy: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> NoReturn:
        raise WorkError("a verdict", "connection refused", "Start the judge.")

    monkeypatch.setattr(greedy, "rank_responses", down)
    job = ended(begin(greedy, AnswerPlan(["base", "one"]), SUM, rank=True))
    assert "connection refused" in (job.problem or "")
    assert [(item.rank, item.outcome) for item in job.ranked or []] == [(None, "wrong"), (None, "wrong")]


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
    answer = ended(begin(greedy, AnswerPlan(["one"], continued=first), SEA)).answers["one"]
    response = answer.response
    assert answer.text == response.text == "The sea and they"
    assert (response.tokens, response.thought_tokens, response.seconds) == (8, 2, 2.0)  # of both
    assert response.first_token_seconds == 0.5


@pytest.fixture
def endless(tiny_fleet: Path) -> Ensemble:
    return Ensemble(replace(load_fleet(tiny_fleet), generation=GenerationConfig(max_new_tokens=450, temperature=0.0)))


class Down(Backend):
    """A backend whose candidates all fail at once."""

    independent = True

    def stream(self, requests: Sequence[Request], *_: object) -> Iterator[Piece]:
        yield from (Piece.failed(request, "down") for request in requests)


@pytest.fixture
def half_down(endless: Ensemble) -> Ensemble:
    """An ensemble whose candidates base and one fail."""
    base, one, two = endless.fleet.candidates
    down = (replace(base, backend="down"), replace(one, backend="down"), two)
    return Ensemble(replace(endless.fleet, candidates=down), {"down": Down(), **endless.backends})


@pytest.mark.parametrize("stopped", [False, True])
def test_a_reserve_is_shown_while_it_waits_for_its_model_and_can_be_stopped(half_down: Ensemble, stopped: bool) -> None:
    other = begin(half_down, AnswerPlan(["two"]), SEA)
    assert other.begun.wait(PATIENCE)
    stepped_in = threading.Event()
    job = begin(half_down, AnswerPlan(["base"], ["one", "two"]), SEA, save=lambda job: job.reserves or stepped_in.set())
    assert stepped_in.wait(PATIENCE)
    assert (job.shown, job.answers["two"].text, job.running) == ("two", "", True)
    assert answer_view.explain_failure(job, "base") is None  # the job is not at its end
    if not stopped:
        other.stop()
        assert job.begun.wait(PATIENCE)
    job.stop()
    job.wait(PATIENCE)
    other.stop()
    assert [response.candidate for response in job.failed] == ["base", "one"]
    assert (job.running, job.shown, job.incomplete, job.all_failed) == (False, "two", False, False)
    assert bool(job.answers["two"].text) != stopped


def test_an_answer_that_has_begun_is_not_replaced(half_down: Ensemble) -> None:
    job = ended(begin(half_down, AnswerPlan(["base"], ["two"], continued=Response("base", "The sea")), SEA))
    assert {name: answer.text for name, answer in job.answers.items()} == {"base": "The sea"}
    assert (job.incomplete, job.all_failed) == (True, False)
    assert job.reserves == ("two",)


@pytest.mark.parametrize(
    ("pieces", "response", "thoughts", "timed"),
    [
        ((("hm", ""), (" hm", ""), ("", "42")), ("hm hm", "42"), "hm hm", True),
        ((("hm", ""), ("hm hm", ""), ("", "42")), ("hm hm", "42"), "hm hm", True),  # it was asked again
        ((("", "hm hm 42"),), ("hm hm", "42"), "hm hm", False),  # they were taken for text while they came
        ((("hm", ""),), ("", "hm"), "", False),  # and the other way round
    ],
)
def test_the_thoughts_of_the_response_are_right(
    greedy: Ensemble,
    monkeypatch: pytest.MonkeyPatch,
    pieces: Sequence[tuple[str, str]],
    response: tuple[str, str],
    thoughts: str,
    timed: bool,
) -> None:
    let_answer(greedy, monkeypatch, pieces, response[1], response[0])
    answer = ended(begin(greedy, AnswerPlan(["one"]), SUM)).answers["one"]
    assert answer.text == response[1]
    assert answer.thoughts.text == thoughts
    assert (bool(thoughts) and answer.thoughts.seconds is not None) == timed
    again = begin(greedy, AnswerPlan(["two"], previous=[answer.response]), SUM)
    assert again.answers["one"].thoughts.text == thoughts  # whoever is not asked again keeps them
    ended(again)
