"""The results of a suite: the score file with responses, and each candidate's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.data.scores import score_line
from zooter_core.errors import WorkError, listed
from zooter_core.evaluation.suites.reading import Problem
from zooter_core.files import open_atomic
from zooter_core.method import metrics
from zooter_core.pipeline.bench import SuiteJob
from zooter_core.records import Query
from zooter_core.strict_json import dump_json


def set_aside(job: SuiteJob) -> dict[str, str]:
    """The problems without a score of some candidate: id -> which candidate, and why."""
    reasons: dict[str, str] = {}
    for problem in job.problems:
        missing = [name for name in job.pool if (problem.id, name) not in job.scores]
        if missing:
            reason = job.failed.get((problem.id, missing[0]), "not reached")
            reasons[problem.id] = f"no score of {listed(missing)}: {reason}"
    return reasons


def write(job: SuiteJob, suite: str, path: Path) -> int:
    """Write the problems with scores of all candidates as a score file, atomically; returns their number.

    A line has each candidate's first response in `responses`, and later ones in `later_responses`. For a suite that
    runs code, `sandbox` says whether it ran in a sandbox.

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
            lines.write(dump_json(_line(job, suite, problem), ensure_ascii=False) + "\n")
    return len(scored)


def _line(job: SuiteJob, suite: str, problem: Problem) -> dict[str, Any]:
    texts = {name: job.texts[problem.id, name] for name in job.pool}
    query = Query(problem.id, problem.turns[0], suite, problem.tags)
    scores = {name: job.scores[problem.id, name] for name in job.pool}
    line = score_line(query, scores, {name: responses[0] for name, responses in texts.items()})
    if len(problem.turns) > 1:
        line["later_responses"] = {name: responses[1:] for name, responses in texts.items()}
    return line | job.suite.scored_in()


def figures(job: SuiteJob, suite: str) -> dict[str, Any]:
    """Each candidate's mean score on the problems that are not set aside, with its 95% interval over problems."""
    reasons = set_aside(job)
    ids = [problem.id for problem in job.problems if problem.id not in reasons]
    candidates = {}
    for name in job.pool:
        scores = np.array([job.scores[id, name] for id in ids])
        candidates[name] = {"score": float(scores.mean()), "interval": metrics.interval(scores)}
    result = {"suite": suite, "scale": job.suite.scale, "n": len(ids), "candidates": candidates, "set_aside": reasons}
    return result | job.suite.scored_in()
