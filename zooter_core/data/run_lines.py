"""The shapes of the lines in a run's files, which are JSON objects and may have further fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from zooter_core.base.records import Finish, Tag

Record = Mapping[str, Any]
Count = Annotated[int, Field(strict=True, ge=0)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


@dataclass(frozen=True)
class QueryLine:
    """A query; `key` is its answer key, if it has one."""

    id: str
    text: str
    dataset: str | None
    tags: list[str]
    key: dict[str, Any] | None = None


@dataclass(frozen=True)
class ResponseLine:
    """A candidate's response to a query, with the fields of `records.Response`. A run numbers its samples, and a
    benchmark its turns."""

    id: str
    candidate: str
    text: str
    sample: Count = 0
    turn: Count = 0
    tokens: Count = 0
    finish: Finish = "stop"
    error: str | None = None


@dataclass(frozen=True)
class RewardLine:
    """The rewards of a query: each candidate's mean over its samples, and the samples.

    Attributes:
        verified: 1 for each sample that is right, else 0, where the query has an answer key.
        set_aside: why the query has no rewards; None if it has them.
        missing: the candidates whose responses were missing when the line was written.
    """

    id: str
    rewards: dict[str, Number] = field(default_factory=dict)
    samples: dict[str, list[Number]] = field(default_factory=dict)
    verified: dict[str, list[Literal[0, 1]]] = field(default_factory=dict)
    set_aside: str | None = None
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TagLine:
    """The tags of a query."""

    id: str
    tags: list[Tag]


@dataclass(frozen=True)
class LabelLine:
    """The labels of a query with rewards: s(q), s*(q), and the reward entropy of s(q) in [0, 1]."""

    id: str
    fold: Literal["train", "held_back"]
    plain: list[Number]
    enhanced: list[Number]
    entropy: Number


@dataclass(frozen=True)
class ScoreLine:
    """A benchmark's score of a candidate's response."""

    id: str
    candidate: str
    score: Number


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def wrong_in(record: Record, kind: type) -> str:
    """What is wrong with a line of that shape, with its field; empty if nothing is."""
    try:
        _adapter(kind).validate_python(record)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        return f'"{".".join(map(str, first["loc"]))}": {first["msg"]}'
    return ""
