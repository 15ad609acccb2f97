"""The tables of the traffic file and their rows: decisions, rewards, queries' vectors, and sums per hour.

Triggers update the sums. When a decision is deleted, its rewards and its vector are deleted too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from zooter_core.base.strict_json import dump_json, parse_json

MODEL, FEEDBACK = "reward model", "feedback"  # sources of a reward
SERVED, SAMPLE, PAIR, NEWCOMER = "served", "sample", "pair", "newcomer"  # why a reward was computed; or IMPORT
ENDPOINT, DEMO, IMPORT = "endpoint", "demo", "import"  # sources of a decision
VOTES = {"good": 1.0, "bad": -1.0}  # vote -> reward
LONGEST_TEXT = 20_000  # characters of a query
LONGEST_ANSWER = 20_000  # characters of an answer
LONGEST_USER = 200  # characters of a user's id

TABLES = """
CREATE TABLE IF NOT EXISTS decisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, time REAL NOT NULL, key TEXT, user TEXT,
    session TEXT, query TEXT NOT NULL, context TEXT, fleet TEXT, router TEXT, choice TEXT, candidate TEXT,
    probability REAL, probabilities TEXT NOT NULL, reason TEXT, tags TEXT NOT NULL, prompt_tokens INTEGER,
    tokens INTEGER, dollars REAL, seconds REAL, first_token_seconds REAL, finish TEXT, answer TEXT,
    chore INTEGER NOT NULL, source TEXT NOT NULL, other_user TEXT, thought_tokens INTEGER);
CREATE INDEX IF NOT EXISTS decisions_time ON decisions (time);
CREATE TABLE IF NOT EXISTS rewards (
    request_id TEXT NOT NULL, candidate TEXT NOT NULL, reward REAL NOT NULL, source TEXT NOT NULL, why TEXT NOT NULL,
    inclusion REAL, time REAL NOT NULL, dollars REAL, tokens INTEGER, seconds REAL, answer TEXT,
    thought_tokens INTEGER, PRIMARY KEY (request_id, candidate, source)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rewards_feedback ON rewards (time) WHERE source = 'feedback';
CREATE INDEX IF NOT EXISTS rewards_why ON rewards (why, time);
CREATE TABLE IF NOT EXISTS vectors (number INTEGER PRIMARY KEY, encoder TEXT NOT NULL, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS hours (
    hour INTEGER, candidate TEXT, routed INTEGER, chore INTEGER, n INTEGER,
    PRIMARY KEY (hour, candidate, routed, chore)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reward_hours (
    hour INTEGER, candidate TEXT, source TEXT, why TEXT, n INTEGER, total REAL, squares REAL,
    PRIMARY KEY (hour, candidate, source, why)) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS decision_added AFTER INSERT ON decisions BEGIN
    INSERT INTO hours (hour, candidate, routed, chore, n) VALUES (CAST(NEW.time / 3600 AS INTEGER),
        COALESCE(NEW.candidate, ''), NEW.probability IS NOT NULL, NEW.chore, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS decision_deleted AFTER DELETE ON decisions BEGIN
    UPDATE hours SET n = n - 1
    WHERE hour = CAST(OLD.time / 3600 AS INTEGER) AND candidate = COALESCE(OLD.candidate, '')
        AND routed = (OLD.probability IS NOT NULL) AND chore = OLD.chore;
    DELETE FROM hours WHERE hour = CAST(OLD.time / 3600 AS INTEGER) AND n <= 0;
    DELETE FROM rewards WHERE request_id = OLD.request_id;
END;
CREATE TRIGGER IF NOT EXISTS vector_deleted AFTER DELETE ON decisions BEGIN
    DELETE FROM vectors WHERE number = OLD.number;
END;
CREATE TRIGGER IF NOT EXISTS reward_added AFTER INSERT ON rewards BEGIN
    INSERT INTO reward_hours VALUES (CAST(NEW.time / 3600 AS INTEGER), NEW.candidate, NEW.source, NEW.why, 1,
        NEW.reward, NEW.reward * NEW.reward)
    ON CONFLICT DO UPDATE SET n = n + 1, total = total + excluded.total, squares = squares + excluded.squares;
END;
CREATE TRIGGER IF NOT EXISTS reward_deleted AFTER DELETE ON rewards BEGIN
    UPDATE reward_hours SET n = n - 1, total = total - OLD.reward, squares = squares - OLD.reward * OLD.reward
    WHERE hour = CAST(OLD.time / 3600 AS INTEGER) AND candidate = OLD.candidate AND source = OLD.source
        AND why = OLD.why;
    DELETE FROM reward_hours WHERE hour = CAST(OLD.time / 3600 AS INTEGER) AND n <= 0;
END;
"""
# The counts per hour, and rows of `decisions` in the same form, for incomplete hours at both ends of a period.
HOURS = "SELECT hour, candidate, routed, chore, n FROM hours"
AS_HOURS = """SELECT CAST(time / 3600 AS INTEGER) AS hour, COALESCE(candidate, '') AS candidate,
    probability IS NOT NULL AS routed, chore, 1 AS n FROM decisions"""


@dataclass(slots=True)
class LoggedDecision:
    """The stored data of one served request."""

    request_id: str
    time: float  # when it ended, in seconds since 1970
    query: str  # the user's last text
    key: str | None = None  # the name of its API key
    # The field `user` of the request, otherwise `safety_identifier`; in the form of `stored_user`.
    user: str | None = None
    session: str | None = None  # the conversation's key, a hash
    # The text for routing, if it is more than the query: the turns that it follows up on, then the query.
    context: str | None = None
    fleet: str | None = None
    router: str | None = None  # the version of the router
    choice: str | None = None  # the candidate that the router or the client chose
    candidate: str | None = None  # the candidate that answered; None if no candidate did
    probability: float | None = None  # of the choice; None if the client chose the candidate
    probabilities: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    tags: Sequence[str] = ()
    prompt_tokens: int | None = None
    tokens: int | None = None  # of the answer, including thoughts
    dollars: float | None = None  # for prompt and answer; None without prices
    seconds: float | None = None
    first_token_seconds: float | None = None
    finish: str | None = None
    answer: str | None = None
    chore: bool = False  # whether a chat UI sent it on its own, for example for a title
    source: str = ENDPOINT  # `endpoint`, `demo` or `import`
    other_user: str | None = None  # `safety_identifier`, if the request has both and they differ
    thought_tokens: int | None = None  # how many of `tokens` are thoughts; None if they were not counted
    number: int = 0  # consecutive number in order of addition; set when the decision is read

    def __post_init__(self) -> None:
        """Truncate texts, and convert ids of users to the stored form."""
        self.query, self.context = self.query[:LONGEST_TEXT], self.context and self.context[:LONGEST_TEXT]
        self.answer = self.answer and self.answer[:LONGEST_ANSWER]
        self.user = self.user and stored_user(self.user)
        self.other_user = self.other_user and stored_user(self.other_user)

    @property
    def routed_text(self) -> str:
        """The text for routing: the turns that the query follows up on, then the query."""
        return self.context or self.query

    def row(self) -> tuple[Any, ...]:
        """The decision's values in the order of `DECISION_COLUMNS`."""
        values = {name: getattr(self, name) for name in DECISION_COLUMNS}
        values["probabilities"] = dump_json(dict(self.probabilities), ensure_ascii=False)
        values["tags"] = dump_json(list(self.tags), ensure_ascii=False)
        return tuple(values.values())

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """The decision from a row of `number` and `DECISION_COLUMNS`."""
        values = dict(zip(DECISION_COLUMNS, row[1:], strict=True), number=row[0])
        values |= {name: parse_json(values[name]) for name in ("probabilities", "tags")}
        return cls(**values | {"chore": bool(values["chore"])})


@dataclass(slots=True)
class LoggedReward:
    """The reward of one candidate's answer to a request that was served."""

    request_id: str
    candidate: str
    reward: float  # on the scale of its source; feedback is 1 for good, -1 for bad, or the client's score
    source: str = MODEL
    why: str = SERVED
    # The probability that this reward is computed; None for feedback and imports.
    inclusion: float | None = None
    time: float = 0.0  # when it was computed
    dollars: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    answer: str | None = None  # the text, if answers are stored
    thought_tokens: int | None = None  # how many of `tokens` are thoughts; None if they were not counted


@dataclass(frozen=True, slots=True)
class Total:
    """The number of one candidate's decisions in a period or in an hour of it."""

    hour: int | None  # since 1970; None for the whole period
    candidate: str  # "" if no candidate answered
    routed: bool  # whether the router chose, not the client
    chore: bool
    n: int

    @property
    def by_router(self) -> bool:
        """Whether the router chose, and the requests are not chores."""
        return self.routed and not self.chore


DECISION_COLUMNS = tuple(entry.name for entry in fields(LoggedDecision) if entry.name != "number")
REWARD_COLUMNS = tuple(entry.name for entry in fields(LoggedReward))
COLUMNS = ", ".join(DECISION_COLUMNS)
REWARDS = ", ".join(REWARD_COLUMNS)


def id_prefix(name: str) -> str:
    """The prefix of the ids of requests that have this id in an imported log."""
    return f"import-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}-"


def user_ids(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The ids of a request's user in the named fields, as `user` and `other_user` of a decision."""
    ids = dict.fromkeys(value for name in names if isinstance(value := fields.get(name), str) and value)
    first, second = [*ids, None, None][:2]
    return {"user": first, "other_user": second}


def stored_user(name: str) -> str:
    """The stored form of a user's id, which is its SHA-256 if it is long."""
    return name if len(name) <= LONGEST_USER else f"sha256-{hashlib.sha256(name.encode()).hexdigest()}"
