"""The data model on one screen. Every record is frozen and turns into a plain dict for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zooter_core.errors import Failure

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "stopped", "error", "refused"]
Certainty = Literal["sure", "leaning", "undecided"]
# Scores and rewards lie between this and its negative. Then no sum, square or difference of them overflows a float64,
# and the router kinds that learn from scores can hold them as float32.
LARGEST_SCORE = 1e30
SURE, LEANING = 0.75, 0.5  # of the chosen candidate's probability; below the second it is more likely not the best


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Tag:
    """An intention of a query; `score` in [0, 1] says how surely."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """What the user asks. `dataset` groups queries in reports; `tags` only where the queries file gives them."""

    id: str
    text: str
    dataset: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """What one candidate answered.

    Attributes:
        seconds: from the start of generation to its end.
        first_token_seconds: from the start to the first token; None when none came.
        finish: `stop` (end of turn), `length` (token limit), `stopped` (by the user), `error` (then `error` says why),
            or `refused`: an error of this one request (a query that is too long), which no other attempt can mend.
    """

    candidate: str
    text: str
    tokens: int = 0
    seconds: float = 0.0
    first_token_seconds: float | None = None
    finish: Finish = "stop"
    error: Failure | None = None

    @property
    def failed_before_first_token(self) -> bool:
        """Whether it failed without any text; an answer that was stopped has not failed."""
        return self.error is not None and not self.text

    def to_json(self) -> dict[str, Any]:
        """The fields; of an error its message."""
        return asdict(self) | {"error": self.error and str(self.error)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Response:
        error = record.get("error")
        return cls(**{**record, "error": None if error is None else Failure.of(error)})

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed after the first token; None below two tokens."""
        if self.first_token_seconds is None or self.tokens < 2 or self.seconds <= self.first_token_seconds:
            return None
        return (self.tokens - 1) / (self.seconds - self.first_token_seconds)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A response with its reward and place (1 is best); a failed response has neither."""

    response: Response
    reward: float | None = None
    rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        answer = self.response
        return {
            "candidate": answer.candidate,
            "text": answer.text,
            "reward": self.reward,
            "rank": self.rank,
            "seconds": round(answer.seconds, 3),
            "tokens": answer.tokens,
            "error": answer.error and str(answer.error),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """A routed query.

    Attributes:
        probabilities: candidate -> probability of giving the best answer, in pool order; sums to one.
        candidate: the argmax; a tie goes to the earlier candidate in the pool.
        margin: the chosen probability minus the next highest (1.0 in a pool of one).
        utilities: what took the place of the probabilities in both, where a price was traded in (`prices.utilities`).
    """

    query: str
    probabilities: Mapping[str, float]
    tags: tuple[Tag, ...]
    candidate: str
    margin: float
    utilities: Mapping[str, float] | None = None

    @property
    def certainty(self) -> Certainty:
        """In words how often a choice like this is the best, where probabilities are calibrated."""
        sure = self.probabilities[self.candidate]
        return "sure" if sure >= SURE else "leaning" if sure >= LEANING else "undecided"

    @property
    def order(self) -> tuple[str, ...]:
        """The candidates as they should be asked, the chosen one first; equals keep pool order."""
        values = self.utilities or self.probabilities
        return tuple(sorted(values, key=lambda name: -values[name]))

    @classmethod
    def of(
        cls,
        query: str,
        probabilities: Mapping[str, float],
        tags: tuple[Tag, ...] = (),
        utilities: Mapping[str, float] | None = None,
    ) -> Decision:
        values = utilities or probabilities
        order = sorted(values.values(), reverse=True)
        chosen = max(values, key=lambda name: values[name])  # max keeps the first of equals
        margin = order[0] - order[1] if len(order) > 1 else 1.0
        return cls(query, dict(probabilities), tags, chosen, margin, utilities)

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "tags": [{"name": tag.name, "score": round(tag.score, 4)} for tag in self.tags],
            "candidate": self.candidate,
            "margin": round(self.margin, 6),
            "certainty": self.certainty,
            **({"utilities": {name: round(u, 6) for name, u in self.utilities.items()}} if self.utilities else {}),
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """Who runs for a query: `candidates`, the most probable first; one where the router is sure.

    `unsureness` is the trigger's value, in [0, 1].
    """

    decision: Decision
    unsureness: float
    unsure: bool
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """What the router learns of a query, in pool order: `plain` is the softmax, `enhanced` is mixed with tag priors."""

    id: str
    fold: Literal["train", "held_back"]
    plain: tuple[float, ...]
    enhanced: tuple[float, ...]
    entropy: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Label:
        return cls(**{**record, "plain": tuple(record["plain"]), "enhanced": tuple(record["enhanced"])})
