"""Have every candidate answer a suite, and score the answers. The work can be stopped at any point and resumed.

The folder beside the score file is a run folder (`runs.Run`) with `responses.jsonl` and `scores.jsonl`. The failure of
one candidate does not stop the others; its missing responses are requested again when the same command starts again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from zooter_core.backends import Request, iter_responses
from zooter_core.config.fleet import GenerationConfig
from zooter_core.data.run_folder import RESPONSES
from zooter_core.data.run_lines import response_check, score_check
from zooter_core.data.runs import Run
from zooter_core.ensemble import Ensemble
from zooter_core.errors import WorkError, ZooterError
from zooter_core.evaluation.suites import Suite
from zooter_core.evaluation.suites.reading import Problem
from zooter_core.labelling.rewards import Unscored
from zooter_core.records import Message, Response
from zooter_core.strict_json import dump_json

SCORES = "scores.jsonl"
TOGETHER, APART = 16, 64  # requests in a batch: for backends where they are computed together, and for others
SCORED = 16  # responses to score at a time
ENOUGH = 4  # failures, if they are all of a batch, after which the candidate or the judge counts as broken
Progress = Callable[[str, int, int], None]
Place = tuple[str, str]  # problem id, candidate
Seeded = tuple[Problem, int]  # a problem and the seed of its response


@dataclass
class SuiteJob:
    """A suite to be answered, and the results so far.

    Attributes:
        texts: (problem id, candidate) -> the responses to its turns so far.
        scores: (problem id, candidate) -> its score.
        failed: (problem id, candidate) -> why it has no response, or no score.
    """

    suite: Suite
    problems: Sequence[Problem]
    ensemble: Ensemble
    generation: GenerationConfig
    run: Run
    progress: Progress
    texts: dict[Place, list[str]] = field(default_factory=dict)
    scores: dict[Place, float] = field(default_factory=dict)
    failed: dict[Place, str] = field(default_factory=dict)

    @property
    def pool(self) -> tuple[str, ...]:
        return self.ensemble.fleet.pool

    def answered(self, problem: Problem, name: str) -> bool:
        """Whether a candidate has answered all turns of a problem."""
        return len(self.texts.get((problem.id, name), ())) == len(problem.turns)


def sample(problems: Sequence[Problem], limit: int | None, seed: int) -> list[Problem]:
    """A random sample of at most `limit` problems, in their order."""
    if limit is None or limit >= len(problems):
        return list(problems)
    picked = np.random.default_rng(seed).permutation(len(problems))[:limit]
    return [problems[row] for row in sorted(picked.tolist())]


def answer_and_score(job: SuiteJob, suite: str, judge: dict[str, Any] | None = None) -> None:
    """Collect the missing answers and scores.

    Args:
        judge: the judge's settings, which must not change between starts.

    Raises:
        ZooterError: the folder began with other settings.
        WorkError: the disk is full, a record in the folder is of another problem, or the judge gives no verdicts.
    """
    digest = hashlib.sha256(dump_json([asdict(problem) for problem in job.problems]).encode()).hexdigest()
    candidates = job.ensemble.fleet.hash_of("candidates")
    content = {"suite": suite, "problems": len(job.problems), "problems_sha256": digest, "pool": list(job.pool)}
    job.run.begin("answer", {**content, **asdict(job.generation), "candidates_sha256": candidates})
    job.run.begin("mark", {"judge": judge, **job.suite.scored_in()})
    _read(job)
    for number, name in enumerate(job.pool):
        _answer(job, number, name)
    for name in job.pool:
        _mark(job, name)


def _read(job: SuiteJob) -> None:
    """Read the results in the folder; refuse records of other problems and altered ones."""
    turns = {problem.id: len(problem.turns) for problem in job.problems}
    job.run.done(RESPONSES, turns, "candidate", "turn", check=response_check(job.pool, turns, "turn"))
    job.run.done(SCORES, turns, "candidate", check=score_check(job.pool))
    texts: dict[Place, dict[int, str]] = {}
    for record in job.run.records(RESPONSES):
        texts.setdefault((record["id"], record["candidate"]), {})[record["turn"]] = record["text"]
    for (id, name), turns_of in texts.items():
        if set(turns_of) != set(range(len(turns_of))):  # a later turn depends on the earlier responses
            raise WorkError(
                f"the turns before turn {max(turns_of)} of {id} by {name} in {job.run.folder / RESPONSES}",
                f"only {', '.join(map(str, sorted(turns_of)))}",
                "Remove these lines and start again; the other lines are kept.",
            )
        job.texts[id, name] = [turns_of[turn] for turn in range(len(turns_of))]
    job.scores |= {(record["id"], record["candidate"]): record["score"] for record in job.run.records(SCORES)}


def _answer(job: SuiteJob, number: int, name: str) -> None:
    """Collect one candidate's responses, turn after turn; if it is broken, record its failure."""
    candidate = job.ensemble.fleet.candidate(name)
    if all(job.answered(problem, name) for problem in job.problems):
        _report_answered(job)
        return
    try:
        job.ensemble.backend_of(candidate.backend).load(candidate)
    except ZooterError as problem:
        _give_up(job, name, str(problem))
        return
    for turn in range(max(len(problem.turns) for problem in job.problems)):
        _turn(job, number, name, turn)


def _give_up(job: SuiteJob, name: str, reason: str) -> None:
    for problem in job.problems:
        if not job.answered(problem, name):
            job.failed.setdefault((problem.id, name), reason)


def _turn(job: SuiteJob, number: int, name: str, turn: int) -> None:
    """Collect responses to one turn of all problems that have it, in fixed batches of similar length.

    With a backend that computes requests together, a batch with a missing response is generated again as a whole, so
    that interrupted work ends with the same responses as uninterrupted work.
    """
    independent = job.ensemble.independent(name)
    problems = [p for p in job.problems if len(p.turns) > turn and (p.id, name) not in job.failed]
    problems.sort(key=lambda problem: (len(problem.turns[turn]), problem.id))
    for batch, first in _batches(problems, APART if independent else TOGETHER):
        missing = {problem.id for problem in batch if len(job.texts.get((problem.id, name), ())) == turn}
        if not missing:
            continue
        seed = (job.generation.seed * 1_000_003 + number * len(job.problems) + first) * len(job.pool) + turn
        seeded = [
            (problem, seed + row) for row, problem in enumerate(batch) if problem.id in missing or not independent
        ]
        generation = replace(job.generation, seed=seed)
        failed = _request(job, name, turn, seeded, generation)
        if not independent and len(failed) == len(missing) > 1:  # one of them may have broken the batch
            failed = _one_by_one(job, name, turn, [item for item in seeded if item[0].id in missing])
        _report_answered(job)
        if len(failed) == len(missing) >= ENOUGH:  # the next ones would fail too
            _give_up(job, name, f"nothing came of {len(failed)} requests; {next(iter(failed.values()))}")
            return


def _one_by_one(job: SuiteJob, name: str, turn: int, seeded: Sequence[Seeded]) -> dict[str, str]:
    """Send the requests of a failed batch one by one, until the candidate turns out to be broken."""
    failed: dict[str, str] = {}
    for number, (problem, seed) in enumerate(seeded, 1):
        failed |= _request(job, name, turn, [(problem, seed)], replace(job.generation, seed=seed))
        if len(failed) == number >= ENOUGH:
            return {problem.id: job.failed[problem.id, name] for problem, _ in seeded}
    return failed


def _request(
    job: SuiteJob, name: str, turn: int, seeded: Sequence[Seeded], generation: GenerationConfig
) -> dict[str, str]:
    """Send a batch, and save the responses that were missing, also when it is stopped in the middle.

    Returns the failures of missing ones: problem id -> reason.
    """
    candidate = job.ensemble.fleet.candidate(name)
    missing = {problem.id for problem, _ in seeded if len(job.texts.get((problem.id, name), ())) == turn}
    requests = [Request(candidate, _messages(job, problem, name, turn), seed) for problem, seed in seeded]
    ids = {request: problem.id for request, (problem, _) in zip(requests, seeded, strict=True)}
    responses: dict[str, Response] = {}
    stop = threading.Event()
    try:
        for request, response in iter_responses(job.ensemble.run_requests(requests, stop, generation)):
            if ids[request] in missing:
                responses[ids[request]] = response
    finally:
        stop.set()
        good = {id: responses[id] for id in sorted(responses) if responses[id].finish in ("stop", "length")}
        job.run.append(RESPONSES, [{"id": id, "turn": turn, **response.to_json()} for id, response in good.items()])
        for id, response in good.items():
            job.texts.setdefault((id, name), []).append(response.text)
            job.failed.pop((id, name), None)
    failed = {id: str(responses[id].error or "no reason given") for id in sorted(responses) if id not in good}
    job.failed |= {(id, name): reason for id, reason in failed.items()}
    return failed


def _messages(job: SuiteJob, problem: Problem, name: str, turn: int) -> tuple[Message, ...]:
    """The conversation up to a turn, with the candidate's responses between the user's messages."""
    responses = job.texts.get((problem.id, name), [])
    messages: list[Message] = []
    for query, response in zip(problem.turns[:turn], responses, strict=False):
        messages += [Message("user", query), Message("assistant", response)]
    return (*messages, Message("user", problem.turns[turn]))


def _report_answered(job: SuiteJob) -> None:
    done = sum(job.answered(problem, name) for problem in job.problems for name in job.pool)
    job.progress("answer", done, len(job.problems) * len(job.pool))


def _mark(job: SuiteJob, name: str) -> None:
    """Score one candidate's complete answers. Ends the work if none of several has a score."""
    problems = [p for p in job.problems if job.answered(p, name) and (p.id, name) not in job.scores]
    for batch, _ in _batches(problems, SCORED):
        scores = job.suite.score([(problem, tuple(job.texts[problem.id, name])) for problem in batch])
        scored = {(p.id, name): float(score) for p, score in zip(batch, scores, strict=True) if score == score}
        job.run.append(SCORES, [{"id": id, "candidate": name, "score": score} for (id, _), score in scored.items()])
        job.scores |= scored
        for problem, score in zip(batch, scores, strict=True):
            if isinstance(score, Unscored):
                job.failed[problem.id, name] = score.reason
        job.progress("score", len(job.scores), len(job.problems) * len(job.pool))
        if not scored and len(batch) >= ENOUGH:
            reason = next(job.failed[problem.id, name] for problem in batch)
            raise WorkError(
                f"a score of any of {len(batch)} responses of {name}",
                f"none; the first because: {reason}",
                "Fix the judge and start again; finished work stays.",
            )


def _batches(problems: Sequence[Problem], size: int) -> Iterator[tuple[Sequence[Problem], int]]:
    """Batches of problems with the number of their first."""
    for first in range(0, len(problems), size):
        yield problems[first : first + size], first
