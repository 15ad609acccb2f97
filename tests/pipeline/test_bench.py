"""Answering a suite: what is saved, what is resumed, and which failures stay alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support import tiny_models
from support.command_files import read_lines
from zooter_core.backends import Piece
from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.evaluation.suites import Problem, Suite
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import Unscored
from zooter_core.pipeline import batches, bench
from zooter_core.pipeline.bench import SuiteJob, sample

PROBLEMS = [Problem(f"p{n}", (text,), n, ("t",)) for n, text in enumerate(tiny_models.QUERIES[:10])]
GENERATION = GenerationConfig(max_new_tokens=6, temperature=0.0)


class Lengths(Suite):
    """The score is the length of the last response; none where it is asked to give none."""

    def __init__(self, unscored=()):
        self.unscored, self.scored = unscored, 0

    def score(self, answered):
        self.scored += len(answered)
        return [Unscored("too odd") if p.id in self.unscored else float(len(t[-1])) for p, t in answered]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 4)
    monkeypatch.setattr(bench, "SCORED", 3)


def done(folder: Path, ensemble, problems=PROBLEMS, progress=lambda *_: None, **more) -> SuiteJob:
    """A suite worked in a folder."""
    suite = more.pop("suite", None) or Lengths()
    with Run(folder, create=True) as run:
        job = SuiteJob("lengths", suite, problems, ensemble, more.pop("generation", GENERATION), run, progress)
        bench.answer_and_score(job, **more)
    return job


def texts(folder: Path) -> dict:
    return {(r["id"], r["candidate"], r["turn"]): r["text"] for r in read_lines(folder / "responses.jsonl")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_ensemble) -> dict:
    """The responses of work that nothing interrupted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BATCH", 4)
        folder = tmp_path_factory.mktemp("whole")
        done(folder, tiny_ensemble)
    return texts(folder)


def test_what_came_before_a_stop_is_kept_and_the_rest_comes_as_if_there_had_been_none(
    tmp_path, tiny_ensemble, uninterrupted
):
    """Ctrl-C in the middle of a batch, then once more, then to the end."""
    counts = []
    for most in (6, 15):

        def stopped(step: str, done: int, total: int, most: int = most) -> None:
            if done >= most:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            done(tmp_path, tiny_ensemble, progress=stopped)
        counts.append(len(texts(tmp_path)))
    assert 6 <= counts[0] < 15 <= counts[1] < 30
    job = done(tmp_path, tiny_ensemble)
    assert texts(tmp_path) == uninterrupted
    assert len(read_lines(tmp_path / "responses.jsonl")) == len(read_lines(tmp_path / "scores.jsonl")) == 30
    assert not bench.set_aside(job)
    again = done(tmp_path, tiny_ensemble)  # what is done is not done again
    assert (again.suite.scored, again.scores) == (0, job.scores)


def test_another_sample_is_refused(tmp_path, tiny_ensemble):
    done(tmp_path, tiny_ensemble, PROBLEMS[:2])
    for setting, problems, more in (
        ("problems = 2", PROBLEMS[:3], {}),
        ("problems_sha256", PROBLEMS[1:3], {}),
        ("max_new_tokens", PROBLEMS[:2], {"generation": GenerationConfig(7, 0.0)}),
        ("judge", PROBLEMS[:2], {"judge": {"model": "x"}}),
    ):
        with pytest.raises(ZooterError, match=f"the setting {setting}"):
            done(tmp_path, tiny_ensemble, problems, **more)


def test_a_candidate_may_change_as_long_as_it_has_no_answer(tmp_path, tiny_ensemble, monkeypatch):
    done(tmp_path, tiny_ensemble, PROBLEMS[:2])
    *others, last = tiny_ensemble.fleet.candidates
    candidates = (*others, replace(last, repetition_penalty=1.5))
    monkeypatch.setattr(tiny_ensemble, "fleet", replace(tiny_ensemble.fleet, candidates=candidates))
    with pytest.raises(ZooterError, match=f"The responses of {last.name} .* came from another model"):
        done(tmp_path, tiny_ensemble, PROBLEMS[:2])
    for file in (tmp_path / "responses.jsonl", tmp_path / "scores.jsonl"):
        file.write_text("".join(line for line in file.open() if f'"{last.name}"' not in line))
    assert len(done(tmp_path, tiny_ensemble, PROBLEMS[:2]).scores) == 6


def test_one_problem_that_breaks_its_batch_is_set_aside_alone(tmp_path, tiny_ensemble, uninterrupted):
    """A prompt that is longer than the model takes is set aside; the others are answered."""
    problems = [*PROBLEMS, Problem("long", ("no end " * 1000,), 0)]
    job = done(tmp_path, tiny_ensemble, problems)
    aside = bench.set_aside(job)
    assert list(aside) == ["long"]
    assert aside["long"].startswith("no score of base, one, two: ")
    assert "more than the 511 that fit" in aside["long"]
    assert bench.write(job, tmp_path / "s.jsonl") == 10
    assert set(texts(tmp_path)) - set(uninterrupted) == {("long", name, 0) for name in job.pool}
    path = tmp_path / "responses.jsonl"
    before = path.read_bytes()
    assert bench.set_aside(done(tmp_path, tiny_ensemble, problems)) == aside
    assert path.read_bytes() == before  # what was refused is not asked again


def test_a_candidate_of_which_nothing_comes_is_left_alone(tmp_path, tiny_fleet, monkeypatch):
    ensemble = Ensemble(load_fleet(tiny_fleet))
    answer, sizes = ensemble.run_candidate, []

    def failing(name, requests, stop, generation=None):
        if name != "one":
            return answer(name, requests, stop, generation)
        sizes.append(len(requests))
        return (Piece.failed(request, "no memory") for request in requests)

    monkeypatch.setattr(ensemble, "run_candidate", failing)
    job = done(tmp_path, ensemble)
    assert sizes == [4]
    assert len(job.scores) == 20
    assert bench.set_aside(job)["p9"] == "no score of one: no memory"
    with pytest.raises(WorkError, match=r"a score of every candidate.*no score of one: "):
        bench.write(job, tmp_path / "s.jsonl")
    assert not list(tmp_path.glob("s.jsonl*"))
    monkeypatch.setattr(ensemble, "run_candidate", answer)  # out of order no more: the same work goes on
    assert not bench.set_aside(done(tmp_path, ensemble))


def test_a_response_without_a_score_sets_its_problem_aside(tmp_path, tiny_ensemble):
    job = done(tmp_path, tiny_ensemble, suite=Lengths(unscored=("p3",)))
    assert bench.set_aside(job) == {"p3": "no score of base, one, two: too odd"}
    assert bench.figures(job)["n"] == 9
    again = done(tmp_path, tiny_ensemble)  # what had no score is scored when started again
    assert (again.suite.scored, bench.set_aside(again)) == (3, {})


def test_a_judge_without_any_verdict_ends_the_work(tmp_path, tiny_ensemble, monkeypatch):
    monkeypatch.setattr(bench, "SCORED", 4)
    with pytest.raises(
        WorkError, match=r"a score of any of 4 responses of base, but found none; the first because: too odd"
    ):
        done(tmp_path, tiny_ensemble, suite=Lengths(unscored={problem.id for problem in PROBLEMS}))
    assert len(texts(tmp_path)) == 30


def test_a_second_turn_holds_the_first_answer(tmp_path, tiny_ensemble, monkeypatch):
    problems = [Problem("a", ("One?", "Two?"), 0), Problem("b", ("Only?",), 0)]
    answer, sent = tiny_ensemble.run_candidate, []

    def record(name, requests, stop, generation=None):
        sent.extend(requests)
        return answer(name, requests, stop, generation)

    monkeypatch.setattr(tiny_ensemble, "run_candidate", record)
    job = done(tmp_path, tiny_ensemble, problems)
    second = [request.messages for request in sent if len(request.messages) > 1]
    responses = job.texts["a", "base"]
    assert [(m.role, m.content) for m in second[0]] == [("user", "One?"), ("assistant", responses[0]), ("user", "Two?")]
    assert len(second) == 3
    bench.write(job, tmp_path / "s.jsonl")
    one, other = read_lines(tmp_path / "s.jsonl")
    assert one["query"] == "One?"
    assert [one["responses"]["base"], *one["later_responses"]["base"]] == responses
    assert one["scores"]["base"] == len(responses[1])
    assert "later_responses" not in other


def test_a_sample_is_seeded_and_in_order():
    problems = [Problem(str(n), ("q",), n) for n in range(100)]
    one = [problem.key for problem in sample(problems, 10, 0)]
    assert one == [problem.key for problem in sample(problems, 10, 0)] == sorted(set(one))
    assert one != [problem.key for problem in sample(problems, 10, 1)]
    assert sample(problems, None, 0) == sample(problems, 100, 0) == problems
