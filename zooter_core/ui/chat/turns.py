"""A turn of a conversation: the query, how it is answered, the decision and the answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from zooter_core.errors import Failure
from zooter_core.records import Decision, Ranked, Response, Tag
from zooter_core.ui.jobs import Answers

if TYPE_CHECKING:
    from zooter_core.router.explain import Explanation

Mode = Literal["router", "select", "rmr", "fixed"]


@dataclass(frozen=True)
class Settings:
    """How a query is answered.

    Attributes:
        mode: `router` (one candidate runs), `select` (the k most probable where the router is unsure), `rmr` (all run),
            `fixed` (`candidate` runs).
        unsure_above: for `select`, the trigger's value above which a query is unsure; None for the fleet's.
        temperature, max_new_tokens: None for the fleet's.
        system: system prompt; it is not routed.
    """

    mode: Mode = "router"
    candidate: str | None = None
    k: int = 2
    unsure_above: float | None = None
    temperature: float | None = None
    max_new_tokens: int | None = None
    system: str = ""


@dataclass(eq=False)
class Turn:
    """A query with its decision and the answers to it.

    Attributes:
        retry: how often the query was answered before.
        vote: 1 for a thumb up, 0 for a thumb down.
        why: the explanation of the decision, computed when a visitor first opens it.
    """

    query: str
    decision: Decision
    job: Answers
    settings: Settings = Settings()
    retry: int = 0
    vote: int | None = None
    why: Explanation | None = None

    @property
    def candidate(self) -> str:
        """The candidate whose answer counts."""
        return self.job.shown

    @property
    def text(self) -> str:
        return self.job.texts[self.candidate]

    def to_json(self) -> dict[str, Any]:
        """The record of the turn in the history and in an export."""
        answer = self.job.responses.get(self.candidate)
        ended = not self.job.running or len(self.job.responses) == len(self.job.texts)
        return {
            "query": self.query,
            "decision": self.decision.to_json() | {"probabilities": dict(self.decision.probabilities)},  # not rounded
            "settings": asdict(self.settings),
            "candidate": self.candidate,
            "text": self.text,
            "texts": self.job.texts,
            "responses": {name: response.to_json() for name, response in dict(self.job.responses).items()},
            "failed": {response.candidate: str(response.error) for response in self.job.failed},
            "failures": {r.candidate: asdict(r.error) for r in self.job.failed if r.error is not None},
            "reserves": list(self.job.reserves),
            "rewards": {item.response.candidate: item.reward for item in self.job.ranked or []},
            "problem": self.job.problem,
            "complete": ended and answer is not None and answer.error is None,
            "retry": self.retry,
            "vote": self.vote,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Turn:
        values = record["decision"]
        tags = tuple(Tag(**tag) for tag in values["tags"])
        decision = Decision(
            values["query"],
            values["probabilities"],
            tags,
            values["candidate"],
            values["margin"],
            values.get("utilities"),
        )
        responses = {name: Response.from_json(response) for name, response in record["responses"].items()}
        for name, failure in record.get("failures", {}).items():  # a response's record has the message alone
            responses[name] = replace(responses[name], error=Failure(**failure))
        ranked = [
            Ranked(responses[name], reward, rank if reward is not None else None)
            for rank, (name, reward) in enumerate(record["rewards"].items(), 1)
        ]
        job = Answers(
            tuple(record["texts"]),
            record["texts"],
            responses,
            ranked or None,
            record["problem"],
            reserves=tuple(record.get("reserves", ())),
        )
        settings = Settings(**record["settings"])
        return cls(record["query"], decision, job, settings, record["retry"], record["vote"])
