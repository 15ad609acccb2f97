"""A turn of a conversation: the query, how it is answered, the decision and the versions of the answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from zooter_core.records import Decision, Tag
from zooter_core.ui.chat import answers_record
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
        second: a candidate that answers as well, beside the first.
    """

    mode: Mode = "router"
    candidate: str | None = None
    k: int = 2
    unsure_above: float | None = None
    temperature: float | None = None
    max_new_tokens: int | None = None
    system: str = ""
    second: str | None = None


@dataclass(eq=False)
class Turn:
    """A query with its decision and the answers to it.

    Attributes:
        job: the version of the answer that counts.
        retry: how often the query was answered before.
        why: the explanation of the decision, computed when a visitor first opens it.
        versions: all versions of the answer, the oldest first.
    """

    query: str
    decision: Decision
    job: Answers
    settings: Settings = Settings()
    retry: int = 0
    why: Explanation | None = None
    versions: list[Answers] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.job not in self.versions:
            self.versions.append(self.job)

    @property
    def candidate(self) -> str:
        """The candidate whose answer counts."""
        return self.job.shown

    @property
    def text(self) -> str:
        return self.job.texts[self.candidate]

    @property
    def version(self) -> int:
        """The place of the version that counts, from 0."""
        return self.versions.index(self.job)

    def to_json(self) -> dict[str, Any]:
        """The record of the turn in the history and in an export."""
        record = {
            "query": self.query,
            "decision": self.decision.to_json() | {"probabilities": dict(self.decision.probabilities)},  # not rounded
            "settings": asdict(self.settings),
            **answers_record.to_json(self.job),
            "retry": self.retry,
        }
        if len(self.versions) > 1:
            record |= {"versions": [answers_record.to_json(job) for job in self.versions], "version": self.version}
        return record

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
        versions = [answers_record.from_json(version) for version in record.get("versions", [record])]
        settings = Settings(**record["settings"])
        job = versions[record.get("version", 0)]
        return cls(record["query"], decision, job, settings, record["retry"], versions=versions)
