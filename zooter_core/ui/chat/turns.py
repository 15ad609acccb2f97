"""The turns of a conversation as records: a query with its files and settings, the decision, and the answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from zooter_core.base.errors import Failure
from zooter_core.base.records import Attachment, Decision, Message, Ranked, Reading, Response
from zooter_core.base.strict_json import of_type
from zooter_core.router.explain import Explanation
from zooter_core.ui.jobs import Answers, CandidateAnswer

Mode = Literal["router", "select", "rmr", "fixed"]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The settings that belong to a conversation. They are stored with each turn, and a branch begins with them."""

    temperature: float | None = None  # None for the fleet's, as for max_new_tokens
    max_new_tokens: int | None = None
    system: str = ""  # system prompt; it is not routed

    @classmethod
    def of(cls, settings: Settings) -> Tuning:
        return cls(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens, system=settings.system)

    def applied(self, settings: Settings) -> Settings:
        return replace(settings, **asdict(self))


@dataclass(frozen=True)
class Settings(Tuning):
    """How a query is answered.

    Attributes:
        mode: `router` (one candidate runs), `select` (the k most probable where the router is unsure), `rmr` (all run),
            `fixed` (`candidate` runs).
        unsure_above: for `select`, the unsureness above which a query is unsure; None for the fleet's.
    """

    mode: Mode = "router"
    candidate: str | None = None
    k: int = 2
    unsure_above: float | None = None


@dataclass(eq=False)
class Turn:
    """A query with its decision and the answers to it."""

    query: str
    decision: Decision
    job: Answers  # the current version of the answer
    settings: Settings = Settings()
    retry: int = 0  # the number of earlier answers to the query
    why: Explanation | None = None  # the explanation of the decision, computed when a visitor first opens it
    versions: list[Answers] = field(default_factory=list)  # all versions of the answer, the oldest first
    # Files that the candidates read with the query; the router does not see them.
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        if self.job not in self.versions:
            self.versions.append(self.job)

    @property
    def candidate(self) -> str:
        return self.job.shown

    @property
    def answer(self) -> CandidateAnswer:
        return self.job.answers[self.candidate]

    @property
    def text(self) -> str:
        return self.answer.text

    @property
    def message(self) -> Message:
        return Message("user", self.query, self.attachments)

    @property
    def version(self) -> int:
        """The index of the current version."""
        return self.versions.index(self.job)

    def to_json(self) -> dict[str, Any]:
        record = {
            "query": self.query,
            "decision": self.decision.to_json() | {"probabilities": dict(self.decision.probabilities)},  # not rounded
            "settings": asdict(self.settings),
            **_answers_to_json(self.job),
            "retry": self.retry,
        }
        if self.attachments:
            record["attachments"] = [asdict(attachment) for attachment in self.attachments]
        if len(self.versions) > 1:
            record |= {"versions": [_answers_to_json(job) for job in self.versions], "version": self.version}
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Turn:
        """The turn in a record that `to_json` wrote.

        Raises:
            ValueError: the record is damaged.
        """
        stored = of_type(_Stored, record)
        if stored.decision.candidate not in stored.decision.probabilities:
            raise ValueError("the choice has no probability")
        versions = [_answers_from_json(version) for version in record.get("versions", [record])]
        if not 0 <= stored.version < len(versions):
            raise ValueError("the version that counts is missing")
        job = versions[stored.version]
        return cls(
            stored.query, stored.decision, job, stored.settings, stored.retry, None, versions, stored.attachments
        )


@dataclass
class _Stored:
    """A record of a turn, without its answers."""

    query: str
    decision: Decision
    settings: Settings
    retry: int
    version: int = 0
    attachments: tuple[Attachment, ...] = ()


@dataclass
class _StoredAnswers:
    texts: dict[str, str]
    responses: dict[str, dict[str, Any]]
    rewards: dict[str, float | None]
    problem: str | None
    failures: dict[str, Failure] = field(default_factory=dict)
    reserves: tuple[str, ...] = ()
    vote: int | None = None
    readings: dict[str, tuple[Reading, ...]] = field(default_factory=dict)


def _answers_to_json(job: Answers) -> dict[str, Any]:
    shown = job.answers[job.shown]
    ended = not job.running or len(job.responses) == len(job.answers)
    return {
        "candidate": job.shown,
        "text": shown.text,
        "texts": {name: answer.text for name, answer in job.answers.items()},
        "responses": {response.candidate: response.to_json() for response in job.responses},
        "failures": {r.candidate: asdict(r.error) for r in job.failed if r.error is not None},
        "reserves": list(job.reserves),
        "rewards": {item.response.candidate: item.reward for item in job.ranked or []},
        "problem": job.problem,
        "complete": ended and shown.response is not None and shown.response.error is None,
        "vote": job.vote,
        "readings": {
            name: [asdict(reading) for reading in answer.readings]
            for name, answer in job.answers.items()
            if answer.readings
        },
    }


def _answers_from_json(record: dict[str, Any]) -> Answers:
    stored = of_type(_StoredAnswers, record)
    responses = {  # a response's record has only the message of its error
        name: replace(of_type(Response, values | {"error": None}), error=stored.failures.get(name))
        for name, values in stored.responses.items()
    }
    if not stored.texts or not responses.keys() <= stored.texts.keys() or not stored.rewards.keys() <= responses.keys():
        raise ValueError("answers of different candidates")
    ranked = [
        Ranked(responses[name], reward, rank if reward is not None else None)
        for rank, (name, reward) in enumerate(stored.rewards.items(), 1)
    ]
    answers = {
        name: CandidateAnswer(text, responses.get(name), readings=stored.readings.get(name, ()))
        for name, text in stored.texts.items()
    }
    return Answers(answers, ranked or None, stored.problem, stored.reserves, stored.vote)
