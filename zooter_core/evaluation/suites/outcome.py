"""What comes of a suite: the score file with responses, and each candidate's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.data.scores import score_line
from zooter_core.errors import WorkError, listed
from zooter_core.evaluation.suites import Problem
from zooter_core.evaluation.suites.work import Work
from zooter_core.files import open_atomic
from zooter_core.method import metrics
from zooter_core.records import Query
from zooter_core.strict_json import dump_json


def set_aside(job: Work) -> dict[str, str]:
    """The problems that some candidate has no score of: id -> who, and why."""
    found: dict[str, str] = {}
    for problem in job.problems:
        lacking = [name for name in job.pool if (problem.id, name) not in job.scores]
        if lacking:
            why = job.failed.get((problem.id, lacking[0]), "not reached")
            found[problem.id] = f"no score of {listed(lacking)}: {why}"
    return found


def write(job: Work, suite: str, path: Path) -> int:
    """Write the problems with scores of all candidates as a score file, whole or not at all; returns their number.

    A line has each candidate's first response in `responses`, and those to further turns in `later_responses`.
    Where code was executed, `sandbox` says whether in one.

    Raises:
        WorkError: there is no such problem, or the disk took no more.
    """
    aside = set_aside(job)
    kept = [problem for problem in job.problems if problem.id not in aside]
    if not kept:
        raise WorkError(
            "at least one problem with a score of every candidate",
            f"none; the first is set aside with {next(iter(aside.values()))}",
            "Mend that (`zooter check`) and start it again; what was finished is kept.",
        )
    with open_atomic(path) as lines:
        for problem in kept:
            lines.write(dump_json(_line(job, suite, problem), ensure_ascii=False) + "\n")
    return len(kept)


def _line(job: Work, suite: str, problem: Problem) -> dict[str, Any]:
    texts = {name: job.texts[problem.id, name] for name in job.pool}
    query = Query(problem.id, problem.turns[0], suite, problem.tags)
    scores = {name: job.scores[problem.id, name] for name in job.pool}
    line = score_line(query, scores, {name: own[0] for name, own in texts.items()})
    if len(problem.turns) > 1:
        line["later_responses"] = {name: own[1:] for name, own in texts.items()}
    return line | job.suite.scored_in()


def figures(job: Work, suite: str) -> dict[str, Any]:
    """Each candidate's mean score on the problems that are not set aside, with its 95% interval over problems."""
    aside = set_aside(job)
    kept = [problem.id for problem in job.problems if problem.id not in aside]
    candidates = {}
    for name in job.pool:
        scores = np.array([job.scores[own, name] for own in kept])
        candidates[name] = {"score": float(scores.mean()), "interval": metrics.interval(scores)}
    found = {"suite": suite, "scale": job.suite.scale, "n": len(kept), "candidates": candidates, "set_aside": aside}
    return found | job.suite.scored_in()
