"""The data model: records that the rooms pass to each other. Every record is frozen.

`to_json` gives a record's stable JSON shape, and `from_json` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from zooter_core.base.errors import Failure

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "stopped", "repeated", "error", "refused"]
Certainty = Literal["sure", "leaning", "undecided"]
VoteOutcome = Literal["best", "tie", "none"]
# The largest absolute score or reward. Sums, squares and differences then fit a float64, and the router kinds that
# learn from scores can hold them as float32.
LARGEST_SCORE = 1e30
SURE, LEANING = 0.75, 0.5  # probabilities of the chosen candidate; up to 0.5, another one may be as probable
CLOSE, MOST_CLOSE = 0.7, 3  # rivals have at least this share of the highest probability, and there are at most three


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that a user has attached to a message, as text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        content: the text that was typed or answered. Router and reward model read only this part of a user's message.
        attachments: files that the candidate reads before the text.
    """

    role: Role
    content: str
    attachments: tuple[Attachment, ...] = ()

    def to_json(self) -> dict[str, str]:
        """The message as chat templates and servers expect it. First, `with_attachments` must add the attachments."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of an attachment a candidate reads.

    Attributes:
        tokens: number of tokens in the complete attachment.
        read: number of tokens that were sent, from its beginning.
    """

    name: str
    tokens: int
    read: int


@dataclass(frozen=True, slots=True)
class Tag:
    """An intention of a query, such as `sql`; `score` in [0, 1] is the tagger's confidence."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """What the user asks.

    Attributes:
        dataset: the name by which reports group queries.
        tags: the tags in the queries file, if there are any.
        key: the answer key by which responses are verified (`data/answer_keys.py`); None for most queries.
    """

    id: str
    text: str
    dataset: str | None = None
    tags: tuple[str, ...] = ()
    key: Mapping[str, Any] | None = field(default=None, hash=False)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON. The key is left out if there is none."""
        record = {"id": self.id, "text": self.text, "dataset": self.dataset, "tags": list(self.tags)}
        return record if self.key is None else record | {"key": dict(self.key)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Query:
        return cls(record["id"], record["text"], record["dataset"], tuple(record["tags"]), record.get("key"))


@dataclass(frozen=True, slots=True)
class Response:
    """One candidate's response to a query.

    Attributes:
        tokens: number of generated tokens, including those of the thoughts.
        seconds: time from the start of generation to its end.
        first_token_seconds: time from the start to the first token; None if there was no token.
        finish: `stop` (end of turn, or a stop text), `length` (token limit), `stopped` (by the user), `repeated` (the
            text repeated itself, so a backend on this machine ended it), `error` (see `error`), or `refused` (the
            request itself is invalid, for example because the query is too long, so a retry is useless).
        error: why the response failed; None if it did not fail.
        request_id: the server's id of the request (`x-request-id`), if there is one.
        thoughts: what the model wrote before its answer. Only shown, so `to_json` leaves them out.
        thought_tokens: number of tokens in the thoughts.
    """

    candidate: str
    text: str
    tokens: int = 0
    seconds: float = 0.0
    first_token_seconds: float | None = None
    finish: Finish = "stop"
    error: Failure | None = None
    request_id: str | None = None
    thoughts: str = ""
    thought_tokens: int = 0

    @property
    def failed_before_first_token(self) -> bool:
        """Whether the response failed without any text. If the user stopped it, it has not failed."""
        return self.error is not None and not self.text

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON, the error as its message. Without thoughts; id and `thought_tokens` only if not empty."""
        record = asdict(self) | {"error": self.error and str(self.error)}
        del record["thoughts"]
        return {name: value for name, value in record.items() if value or name not in ("request_id", "thought_tokens")}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Response:
        error = record.get("error")
        return cls(**{**record, "error": None if error is None else Failure.of(error)})

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed after the first token of the text; None for fewer than two tokens."""
        tokens = self.tokens - self.thought_tokens
        if self.first_token_seconds is None or tokens < 2 or self.seconds <= self.first_token_seconds:
            return None
        return (tokens - 1) / (self.seconds - self.first_token_seconds)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A response with its reward and rank (1 is best, equal ones share it); both are None for a failed response.

    Attributes:
        right: the verified outcome; None if the query has no answer key, or if the key checks only the form and the
            response has it.
        reason: a sentence that says why the response is right or wrong, or that it has the form.
        lacking: if the form of the response is wrong, how it differs, such as "1 line, 3 asked".
    """

    response: Response
    reward: float | None = None
    rank: int | None = None
    right: bool | None = None
    reason: str = ""
    lacking: str = ""

    @property
    def outcome(self) -> str:
        """The verified outcome in a few words; "" if there is none."""
        if self.right is None:
            return ""
        return "right" if self.right else f"wrong form: {self.lacking}" if self.lacking else "wrong"

    def to_json(self) -> dict[str, Any]:
        answer = self.response
        outcome = {} if self.right is None else {"right": self.right, "reason": self.reason}
        return {
            "candidate": answer.candidate,
            "text": answer.text,
            "reward": self.reward,
            "rank": self.rank,
            **outcome,
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
        utilities: with prices, these replace the probabilities for `candidate` and `margin` (`prices.utilities`).
    """

    query: str
    probabilities: Mapping[str, float]
    tags: tuple[Tag, ...]
    candidate: str
    margin: float
    utilities: Mapping[str, float] | None = None

    @property
    def most_probable(self) -> str:
        """The candidate that is most likely to answer best. With prices, another one may be chosen."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def certainty(self) -> Certainty:
        """A word for the chosen candidate's probability, which is rounded to whole percent as on pages."""
        probability = round(self.probabilities[self.candidate], 2)
        return "sure" if probability >= SURE else "leaning" if probability > LEANING else "undecided"

    @property
    def rivals(self) -> tuple[str, ...]:
        """The two or three candidates between which the router is undecided, the most probable first.

        Empty if the router is not undecided, or if prices changed the choice.
        """
        if self.certainty != "undecided" or self.candidate != self.most_probable or len(self.probabilities) < 2:
            return ()
        order = sorted(self.probabilities, key=lambda name: -self.probabilities[name])
        close = [name for name in order if self.probabilities[name] >= CLOSE * self.probabilities[order[0]]]
        return tuple(order[: min(max(len(close), 2), MOST_CLOSE)])

    @property
    def order(self) -> tuple[str, ...]:
        """The candidates by descending value, the chosen one first; ties keep pool order."""
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
        """The decision that follows from the utilities, or without them, from the probabilities."""
        values = utilities or probabilities
        order = sorted(values.values(), reverse=True)
        chosen = max(values, key=lambda name: values[name])  # max returns the first of equal values
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
    """The candidates to run for a query.

    Attributes:
        unsureness: the unsureness of the router, in [0, 1].
        unsure: whether the unsureness is above the threshold.
        candidates: the candidates to run, the most probable first; only one if the router is sure.
    """

    decision: Decision
    unsureness: float
    unsure: bool
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class Vote:
    """One visitor's vote on one comparison of the demo."""

    KIND: ClassVar[str] = "comparison"  # marks these records among the history's votes

    query: str
    candidates: tuple[str, ...]
    outcome: VoteOutcome  # `best` (one response), `tie` (several are equally good), `none` (no response is good)
    best: str | None  # the candidate of the best response, if there is one
    reward: str | None  # the candidate with the highest reward; None if several share it
    blind: bool  # whether the names were hidden during the vote
    tag: str = ""  # what the query is about, in the tagger's words; "" if it has no tag
    longest: str = ""  # the candidate of the longest response; "" in older votes
    choice: str = ""  # the router's choice among all candidates of the fleet, compared or not; "" in older votes

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.KIND, **asdict(self), "candidates": list(self.candidates)}
