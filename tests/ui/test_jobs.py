from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zooter_core.ensemble import Ensemble
from zooter_core.fleet import GenerationConfig, load_fleet
from zooter_core.records import Message
from zooter_core.ui.jobs import Job, Plan

SEA, SUM = (Message("user", "Write about the sea."),), (Message("user", "What is 12 + 30?"),)


@pytest.fixture
def greedy(tiny_fleet: Path) -> Ensemble:
    return Ensemble(replace(load_fleet(tiny_fleet), generation=GenerationConfig(max_new_tokens=40, temperature=0.0)))


def texts(job: Job) -> list[str]:
    job.wait(60)
    return [job.texts[name] for name in job.candidates]


def test_jobs_side_by_side_say_what_each_says_alone(greedy: Ensemble) -> None:
    alone = [texts(Job(greedy, Plan(["one"]), talk)) for talk in (SEA, SUM)]
    assert alone[0] != alone[1]
    jobs = [Job(greedy, Plan(["one"]), talk) for talk in (SEA, SUM) * 4]
    assert [texts(job) for job in jobs] == alone * 4


def test_an_answer_made_again_is_another_one(tiny_fleet: Path) -> None:
    sampled = GenerationConfig(max_new_tokens=40, temperature=1.0)
    ensemble = Ensemble(replace(load_fleet(tiny_fleet), generation=sampled))
    first, again, other = (Job(ensemble, Plan(["one"]), SEA, generation=replace(sampled, seed=n)) for n in (0, 0, 1))
    assert texts(first) == texts(again)
    assert texts(first) != texts(other)


def test_a_ranked_job_ranks_all(greedy: Ensemble) -> None:
    job = Job(greedy, Plan(["base", "one", "two"]), SUM, rank=True)
    job.wait(60)
    assert job.problem is None
    assert job.ranked is not None
    assert {item.response.candidate for item in job.ranked} == {"base", "one", "two"}


def test_stop_ends_all_and_keeps_what_came(tiny_fleet: Path) -> None:
    endless = GenerationConfig(max_new_tokens=450, temperature=0.0)
    job = Job(Ensemble(replace(load_fleet(tiny_fleet), generation=endless)), Plan(["base", "one"]), SEA, rank=True)
    job.stop()
    job.wait(10)
    assert not job.running
    assert {response.finish for response in job.responses.values()} <= {"stopped", "stop"}


def test_a_query_that_is_refused_is_the_jobs_problem(greedy: Ensemble) -> None:
    job = Job(greedy, Plan(["one"]), (Message("user", " "),))
    job.wait(10)
    assert "an empty text" in str(job.problem)


def test_an_answer_that_was_broken_off_goes_on_from_there(greedy: Ensemble) -> None:
    whole = Job(greedy, Plan(["one"]), SEA)
    whole.wait(60)
    rest = Job(greedy, Plan(["one"], begun="The sea is"), SEA)
    rest.wait(60)
    assert rest.problem is None
    assert rest.responses["one"].text.startswith("The sea is")
    assert len(rest.responses["one"].text) > len("The sea is")
    assert rest.texts["one"] == rest.responses["one"].text


def test_jobs_on_one_model_are_served_in_order_and_know_how_many_are_ahead(tiny_fleet: Path) -> None:
    endless = GenerationConfig(max_new_tokens=450, temperature=0.0)
    ensemble = Ensemble(replace(load_fleet(tiny_fleet), generation=endless))
    jobs = [Job(ensemble, Plan(["base"]), SEA) for _ in range(4)]
    assert [job.ahead for job in jobs[1:]] == [1, 2, 3]
    jobs[1].stop()
    jobs[1].wait(5)
    assert jobs[1].responses["base"].finish == "stopped"
    assert jobs[1].responses["base"].tokens == 0
    assert [job.ahead for job in jobs[2:]] == [1, 2]
    for job in (jobs[0], jobs[2], jobs[3]):
        job.stop()
        job.wait(20)
        assert not job.running
        assert job.ahead == 0


def test_what_came_is_noted_at_the_end(greedy: Ensemble) -> None:
    noted: list[str] = []
    job = Job(greedy, Plan(["one"]), SEA, keep=lambda answers: noted.append(answers.texts["one"]))
    job.wait(60)
    assert noted[-1] == job.responses["one"].text
