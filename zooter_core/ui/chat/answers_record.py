"""Answers as they are written to the history and to exports."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from zooter_core.errors import Failure
from zooter_core.records import Ranked, Response
from zooter_core.ui.jobs import Answers


def to_json(job: Answers) -> dict[str, Any]:
    """The record of one version of an answer."""
    answer = job.responses.get(job.shown)
    ended = not job.running or len(job.responses) == len(job.texts)
    return {
        "candidate": job.shown,
        "text": job.texts[job.shown],
        "texts": job.texts,
        "responses": {name: response.to_json() for name, response in dict(job.responses).items()},
        "failed": {response.candidate: str(response.error) for response in job.failed},
        "failures": {r.candidate: asdict(r.error) for r in job.failed if r.error is not None},
        "reserves": list(job.reserves),
        "rewards": {item.response.candidate: item.reward for item in job.ranked or []},
        "problem": job.problem,
        "complete": ended and answer is not None and answer.error is None,
        "chosen": job.chosen,
        "vote": job.vote,
    }


def from_json(record: dict[str, Any]) -> Answers:
    """The answers of a record; those of a record from an older version of Zooter too."""
    responses = {name: Response.from_json(response) for name, response in record["responses"].items()}
    for name, failure in record.get("failures", {}).items():  # a response's record has the message alone
        responses[name] = replace(responses[name], error=Failure(**failure))
    ranked = [
        Ranked(responses[name], reward, rank if reward is not None else None)
        for rank, (name, reward) in enumerate(record["rewards"].items(), 1)
    ]
    return Answers(
        tuple(record["texts"]),
        record["texts"],
        responses,
        ranked or None,
        record["problem"],
        reserves=tuple(record.get("reserves", ())),
        chosen=record.get("chosen"),
        vote=record.get("vote"),
    )
