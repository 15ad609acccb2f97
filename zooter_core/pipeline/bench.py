"""Runs a benchmark: lets every candidate answer it, and scores the answers. It can be stopped at any point and resumed.

The folder next to the score file is a run folder (`runs.Run`) with `responses.jsonl` and `scores.jsonl`. Answers are
collected as in the step collect, turn by turn. If a candidate fails, the others continue. Its missing responses are
requested when the same command is started again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.errors import WorkError, listed
from zooter_core.base.files import open_atomic
from zooter_core.base.progress import Progress, Tell, silent
from zooter_core.base.records import Message, Query
from zooter_core.base.strict_json import dump_json
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import RESPONSES, SCORES
from zooter_core.data.runs import Run
from zooter_core.data.scores import score_line
from zooter_core.evaluation.suites import Problem, Suite
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards import Unscored
from zooter_core.method import metrics
from zooter_core.pipeline.collect import candidate_hashes
from zooter_core.pipeline.lanes import CollectJob, ResponseKey, in_order
from zooter_core.pipeline.tally import Tally

SCORED = 16  # responses per batch of scoring
ENOUGH = 4  # a judge counts as broken if it scores no response of a batch with at least this many responses
Place = tuple[str, str]  # problem id, candidate


@dataclass
class SuiteJob:
    """A suite to answer, and the results so far."""

    name: str
    suite: Suite
    problems: Sequence[Problem]
    ensemble: Ensemble
    generation: GenerationConfig
    run: Run
    progress: Progress
    tell: Tell = silent  # called with notes, for example that a server's circuit breaker is open
    # Called after each response with the tallies of all candidates in the current turn, in pool order.
    watch: Callable[[Sequence[Tally]], None] = lambda tallies: None
    # (problem id, candidate) -> the responses to its turns so far.
    texts: dict[Place, list[str]] = field(default_factory=dict)
    scores: dict[Place, float] = field(default_factory=dict)  # (problem id, candidate) -> score
    # (problem id, candidate) -> the reason why there is no response or no score.
    failed: dict[Place, str] = field(default_factory=dict)

    @property
    def pool(self) -> tuple[str, ...]:
        return self.ensemble.fleet.pool

    def answered(self, problem: Problem, name: str) -> bool:
        return len(self.texts.get((problem.id, name), ())) == len(problem.turns)

    def take(self, record: Mapping[str, Any]) -> None:
        """Record a response, or the reason why there is none. Turns are requested and written in order."""
        place = (record["id"], record["candidate"])
        if record.get("error") is None:
            self.texts.setdefault(place, []).append(record["text"])
        else:
            self.failed[place] = record["error"]


class _Turn(CollectJob):
    """One turn of all problems, to be collected by the lanes, with each candidate's own conversation before it."""

    def __init__(self, job: SuiteJob, turn: int, names: Sequence[str]) -> None:
        problems = {problem.id: problem for problem in job.problems if len(problem.turns) > turn}
        queries = in_order([Query(id, problem.turns[turn]) for id, problem in problems.items()])
        done = {
            ResponseKey(id, name, 0)
            for id in problems
            for name in names
            if len(job.texts.get((id, name), ())) > turn or (id, name) in job.failed
        }
        able = {name for _, name in job.texts}  # candidates that have answered, so they are not broken if they refuse
        tallies = {name: Tally(name, works=name in able) for name in names}
        super().__init__(job.ensemble, job.generation, 1, queries, done, tallies, tell=job.tell)
        self.job, self.turn, self.problems = job, turn, problems
        self.count()

    def messages(self, name: str, query: Query) -> tuple[Message, ...]:
        """The conversation up to this turn: the user's messages and the candidate's responses."""
        messages: list[Message] = []
        responses = self.job.texts.get((query.id, name), [])
        for user, response in zip(self.problems[query.id].turns[: self.turn], responses, strict=False):
            messages += [Message("user", user), Message("assistant", response)]
        return (*messages, Message("user", query.text))

    def line(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"turn" if name == "sample" else name: value for name, value in {**record, "sample": self.turn}.items()}

    def write(self, record: Mapping[str, Any]) -> None:
        super().write(record)
        self.job.take(record)


def sample(problems: Sequence[Problem], limit: int | None, seed: int) -> list[Problem]:
    """A random sample of at most `limit` problems, in their original order."""
    picked = np.random.default_rng(seed).permutation(len(problems))[:limit]
    return [problems[row] for row in sorted(picked.tolist())]


def answer_and_score(job: SuiteJob, judge: dict[str, Any] | None = None) -> None:
    """Collect the missing answers and scores. The judge's settings must not change between starts.

    Raises:
        ZooterError: the folder was started with other settings.
        WorkError: the disk is full, or the judge gives no verdicts.
    """
    digest = hashlib.sha256(dump_json([asdict(problem) for problem in job.problems]).encode()).hexdigest()
    candidates = candidate_hashes(job.run, job.ensemble.fleet, "answer")
    content = {"suite": job.name, "problems": len(job.problems), "problems_sha256": digest, "pool": list(job.pool)}
    job.run.begin("answer", {**content, **asdict(job.generation), "candidates_sha256": candidates})
    job.run.begin("mark", {"judge": judge, **job.suite.scored_in()})
    for record in job.run.records(RESPONSES):
        job.take(record)
    job.scores |= {(record["id"], record["candidate"]): record["score"] for record in job.run.records(SCORES)}
    _answer(job)
    for name in job.pool:
        _mark(job, name)


def _answer(job: SuiteJob) -> None:
    """Collect the responses turn by turn. Candidates that have failed permanently get no later turns."""
    names, done = job.pool, 0
    total = sum(len(problem.turns) for problem in job.problems) * len(names)
    for number in range(max(len(problem.turns) for problem in job.problems)):
        turn = _Turn(job, number, names)
        tallies = list(turn.tallies.values())
        turn.load(allow_missing=True)

        def show(done: int = done, tallies: Sequence[Tally] = tallies) -> None:
            job.watch(tallies)
            job.progress("answer", done + sum(tally.done for tally in tallies), total)

        show()
        turn.run(job.run.folder / RESPONSES, show)
        done += sum(tally.done for tally in tallies)
        problems = {tally.candidate: tally.problem for tally in tallies if tally.problem}
        for name, failure in problems.items():
            for problem in job.problems:
                if not job.answered(problem, name):
                    job.failed.setdefault((problem.id, name), str(failure))
        names = tuple(name for name in names if name not in problems)


def _mark(job: SuiteJob, name: str) -> None:
    """Score one candidate's complete answers. Raises WorkError if the judge counts as broken."""
    problems = [p for p in job.problems if job.answered(p, name) and (p.id, name) not in job.scores]
    for first in range(0, len(problems), SCORED):
        batch = problems[first : first + SCORED]
        scores = job.suite.score([(problem, tuple(job.texts[problem.id, name])) for problem in batch])
        scored = {(p.id, name): float(score) for p, score in zip(batch, scores, strict=True) if score == score}
        job.run.append(SCORES, [{"id": id, "candidate": name, "score": score} for (id, _), score in scored.items()])
        job.scores |= scored
        for problem, score in zip(batch, scores, strict=True):
            if isinstance(score, Unscored):
                job.failed[problem.id, name] = score.reason
        job.progress("score", len(job.scores), len(job.problems) * len(job.pool))
        if not scored and len(batch) >= ENOUGH and not any(other == name for _, other in job.scores):
            reason = next(job.failed[problem.id, name] for problem in batch)
            raise WorkError(
                f"a score of any of {len(batch)} responses of {name}",
                f"none; the first because: {reason}",
                "Fix the judge and start again; finished work stays.",
            )


def set_aside(job: SuiteJob) -> dict[str, str]:
    """Problems for which a candidate has no score: id -> the candidate and the reason."""
    reasons: dict[str, str] = {}
    for problem in job.problems:
        if missing := [name for name in job.pool if (problem.id, name) not in job.scores]:
            reason = job.failed.get((problem.id, missing[0]), "not reached")
            reasons[problem.id] = f"no score of {listed(missing)}: {reason}"
    return reasons


def write(job: SuiteJob, path: Path) -> int:
    """Write a score file with the problems for which all candidates have scores. Returns their number.

    The file is written atomically. A line has each candidate's first response in `responses`, and later ones in
    `later_responses`. For suites that run code, `sandbox` records that it ran in a sandbox.

    Raises:
        WorkError: there is no such problem, or the disk is full.
    """
    reasons = set_aside(job)
    scored = [problem for problem in job.problems if problem.id not in reasons]
    if not scored:
        raise WorkError(
            "at least one problem with a score of every candidate",
            f"none; the first is set aside with {next(iter(reasons.values()))}",
            "Fix that cause (`zooter check` may name it) and start again; finished work stays.",
        )
    with open_atomic(path) as lines:
        for problem in scored:
            texts = {name: job.texts[problem.id, name] for name in job.pool}
            query = Query(problem.id, problem.turns[0], job.name, problem.tags)
            scores = {name: job.scores[problem.id, name] for name in job.pool}
            line = score_line(query, scores, {name: responses[0] for name, responses in texts.items()})
            if len(problem.turns) > 1:
                line["later_responses"] = {name: responses[1:] for name, responses in texts.items()}
            lines.write(dump_json(line | job.suite.scored_in(), ensure_ascii=False) + "\n")
    return len(scored)


def figures(job: SuiteJob) -> dict[str, Any]:
    """Each candidate's mean score on the problems that are not set aside, with its 95% interval over problems.

    If all scores are 0 or 1, it is Wilson's interval. Otherwise, there is no interval if all scores are equal.
    """
    reasons = set_aside(job)
    ids = [problem.id for problem in job.problems if problem.id not in reasons]
    candidates = {}
    for name in job.pool:
        scores = np.array([job.scores[id, name] for id in ids])
        share = np.isin(scores, (0, 1)).all()
        low, high = metrics.wilson_interval(float(scores.mean()), len(ids)) if share else metrics.interval(scores)
        candidates[name] = {"score": float(scores.mean()), "interval": None if math.isnan(low) else (low, high)}
    facts = {"suite": job.name, "scale": job.suite.scale, "n": len(ids)}
    return {**facts, "candidates": candidates, "set_aside": reasons, **job.suite.scored_in()}
