"""A suite answered by every candidate and scored: append-only, so that it can be stopped at any point and go on.

The folder beside the score file is a run folder (`runs.Run`) with `responses.jsonl` and `scores.jsonl`. A candidate
that fails, fails alone: what it lacks is asked for again when the same command is started again.
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
from zooter_core.data.run_lines import score_check, turn_check
from zooter_core.data.runs import Run
from zooter_core.ensemble import Ensemble
from zooter_core.errors import WorkError, ZooterError
from zooter_core.evaluation.suites import Problem, Suite
from zooter_core.labelling.rewards import Unscored
from zooter_core.records import Message, Response
from zooter_core.strict_json import dump_json

SCORES = "scores.jsonl"
TOGETHER, APART = 16, 64  # requests a batch: of a backend where they share a batch, and of one where they do not
SCORED = 16  # responses at a time
ENOUGH = 4  # failures of a whole batch: then the candidate, or the judge, is at fault
Progress = Callable[[str, int, int], None]
Place = tuple[str, str]  # problem id, candidate
Asked = tuple[Problem, int]  # a problem and the seed of its response


@dataclass
class Work:
    """What is done, and what is known of it.

    Attributes:
        texts: (problem id, candidate) -> the responses to its turns, as far as they have come.
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

    def whole(self, problem: Problem, name: str) -> bool:
        """Whether a candidate has answered all turns of a problem."""
        return len(self.texts.get((problem.id, name), ())) == len(problem.turns)


def sample(problems: Sequence[Problem], limit: int | None, seed: int) -> list[Problem]:
    """At most so many problems, drawn evenly, in their order."""
    if limit is None or limit >= len(problems):
        return list(problems)
    picked = np.random.default_rng(seed).permutation(len(problems))[:limit]
    return [problems[row] for row in sorted(picked.tolist())]


def work(job: Work, suite: str, judge: dict[str, Any] | None = None) -> None:
    """Answer and score what is still missing.

    Args:
        judge: the settings of the judge, of which a change is refused.

    Raises:
        ZooterError: the folder was begun with other settings.
        WorkError: the disk is full, a record in the folder is of another problem, or the judge gives no verdicts.
    """
    digest = hashlib.sha256(dump_json([asdict(problem) for problem in job.problems]).encode()).hexdigest()
    candidates = job.ensemble.fleet.hash_of("candidates")
    asked = {"suite": suite, "problems": len(job.problems), "problems_sha256": digest, "pool": list(job.pool)}
    job.run.begin("answer", {**asked, **asdict(job.generation), "candidates_sha256": candidates})
    job.run.begin("mark", {"judge": judge, **job.suite.scored_in()})
    _read(job)
    for number, name in enumerate(job.pool):
        _answer(job, number, name)
    for name in job.pool:
        _mark(job, name)


def _read(job: Work) -> None:
    """Take up what the folder has; a record of another problem, or one that was altered, is refused."""
    turns = {problem.id: len(problem.turns) for problem in job.problems}
    job.run.done(RESPONSES, turns, "candidate", "turn", check=turn_check(job.pool, turns))
    job.run.done(SCORES, turns, "candidate", check=score_check(job.pool))
    texts: dict[Place, dict[int, str]] = {}
    for record in job.run.records(RESPONSES):
        texts.setdefault((record["id"], record["candidate"]), {})[record["turn"]] = record["text"]
    for (id, name), said in texts.items():
        if set(said) != set(range(len(said))):  # a later turn answers what an earlier one said
            raise WorkError(
                f"the turns before turn {max(said)} of {id} by {name} in {job.run.folder / RESPONSES}",
                f"only {', '.join(map(str, sorted(said)))}",
                "Take these lines out and start again; the others are kept.",
            )
        job.texts[id, name] = [said[turn] for turn in range(len(said))]
    job.scores |= {(record["id"], record["candidate"]): record["score"] for record in job.run.records(SCORES)}


def _answer(job: Work, number: int, name: str) -> None:
    """One candidate's responses, turn after turn; where it is broken, its failure."""
    candidate = job.ensemble.fleet.candidate(name)
    if all(job.whole(problem, name) for problem in job.problems):
        _tell_answered(job)
        return
    try:
        job.ensemble.backends[candidate.backend].load(candidate)
    except ZooterError as problem:
        _give_up(job, name, str(problem))
        return
    for turn in range(max(len(problem.turns) for problem in job.problems)):
        _turn(job, number, name, turn)


def _give_up(job: Work, name: str, why: str) -> None:
    for problem in job.problems:
        if not job.whole(problem, name):
            job.failed.setdefault((problem.id, name), why)


def _turn(job: Work, number: int, name: str, turn: int) -> None:
    """Responses to one turn of all problems that have it, in fixed batches of like length.

    With a backend where requests share a batch, one of which anything is missing is done again whole, so that work
    that was stopped ends with the same responses as work that was not.
    """
    apart = job.ensemble.independent(name)
    having = [p for p in job.problems if len(p.turns) > turn and (p.id, name) not in job.failed]
    having.sort(key=lambda problem: (len(problem.turns[turn]), problem.id))
    size = APART if apart else TOGETHER
    for first in range(0, len(having), size):
        batch = having[first : first + size]
        missing = {problem.id for problem in batch if len(job.texts.get((problem.id, name), ())) == turn}
        if not missing:
            continue
        seed = (job.generation.seed * 1_000_003 + number * len(job.problems) + first) * len(job.pool) + turn
        asked = [(problem, seed + row) for row, problem in enumerate(batch) if problem.id in missing or not apart]
        generation = replace(job.generation, seed=seed)
        failed = _ask(job, name, turn, asked, generation)
        if not apart and len(failed) == len(missing) > 1:  # one of them may have broken the batch
            failed = _one_by_one(job, name, turn, [item for item in asked if item[0].id in missing])
        _tell_answered(job)
        if len(failed) == len(missing) >= ENOUGH:  # nothing came: it would not be better with the next ones
            _give_up(job, name, f"nothing came of {len(failed)} requests; {next(iter(failed.values()))}")
            return


def _one_by_one(job: Work, name: str, turn: int, asked: Sequence[Asked]) -> dict[str, str]:
    """Each request of a batch that failed by itself, until it is plain that it is the candidate which fails."""
    failed: dict[str, str] = {}
    for number, (problem, seed) in enumerate(asked, 1):
        failed |= _ask(job, name, turn, [(problem, seed)], replace(job.generation, seed=seed))
        if len(failed) == number >= ENOUGH:
            return {problem.id: job.failed[problem.id, name] for problem, _ in asked}
    return failed


def _ask(job: Work, name: str, turn: int, asked: Sequence[Asked], generation: GenerationConfig) -> dict[str, str]:
    """Ask a batch, and keep what has come and was missing, also when it is stopped in the middle.

    Returns why each failed that was missing still: problem id -> reason.
    """
    candidate = job.ensemble.fleet.candidate(name)
    missing = {problem.id for problem, _ in asked if len(job.texts.get((problem.id, name), ())) == turn}
    requests = [Request(candidate, _messages(job, problem, name, turn), seed) for problem, seed in asked]
    ids = {request: problem.id for request, (problem, _) in zip(requests, asked, strict=True)}
    came: dict[str, Response] = {}
    stop = threading.Event()
    try:
        for request, response in iter_responses(job.ensemble.run_requests(requests, stop, generation)):
            if ids[request] in missing:
                came[ids[request]] = response
    finally:
        stop.set()
        good = {own: came[own] for own in sorted(came) if came[own].finish in ("stop", "length")}
        job.run.append(RESPONSES, [{"id": own, "turn": turn, **response.to_json()} for own, response in good.items()])
        for own, response in good.items():
            job.texts.setdefault((own, name), []).append(response.text)
            job.failed.pop((own, name), None)
    failed = {own: str(came[own].error or "no reason given") for own in sorted(came) if own not in good}
    job.failed |= {(own, name): why for own, why in failed.items()}
    return failed


def _messages(job: Work, problem: Problem, name: str, turn: int) -> tuple[Message, ...]:
    """The conversation up to a turn: the candidate's own responses stand between the questions."""
    said = job.texts.get((problem.id, name), [])
    between = [part for n in range(turn) for part in (Message("user", problem.turns[n]), Message("assistant", said[n]))]
    return (*between, Message("user", problem.turns[turn]))


def _tell_answered(job: Work) -> None:
    """Progress, in whole answers."""
    done = sum(job.whole(problem, name) for problem in job.problems for name in job.pool)
    job.progress("answer", done, len(job.problems) * len(job.pool))


def _mark(job: Work, name: str) -> None:
    """Scores of one candidate's whole answers.

    Raises:
        WorkError: none of several has a score.
    """
    wanted = [p for p in job.problems if job.whole(p, name) and (p.id, name) not in job.scores]
    for batch in _batches(wanted, SCORED):
        found = job.suite.score([(problem, tuple(job.texts[problem.id, name])) for problem in batch])
        scored = {(p.id, name): float(score) for p, score in zip(batch, found, strict=True) if score == score}
        job.run.append(SCORES, [{"id": own, "candidate": of, "score": score} for (own, of), score in scored.items()])
        job.scores |= scored
        for problem, score in zip(batch, found, strict=True):
            if isinstance(score, Unscored):
                job.failed[problem.id, name] = score.reason
        job.progress("score", len(job.scores), len(job.problems) * len(job.pool))
        if not scored and len(batch) >= ENOUGH:
            reason = next(job.failed[problem.id, name] for problem in batch)
            raise WorkError(
                f"a score of any of {len(batch)} responses of {name}",
                f"none; the first because: {reason}",
                "Mend the judge and start it again; what was finished is kept.",
            )


def _batches(problems: Sequence[Problem], size: int) -> Iterator[Sequence[Problem]]:
    for first in range(0, len(problems), size):
        yield problems[first : first + size]
