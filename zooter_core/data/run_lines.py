"""What the lines of a run's files must be, so that a line that was altered is named and not built upon.

A file that a finished step left is compared by its hash. The file of a step that is not finished has none yet: its
lines are checked one by one. Each check takes a record and returns what is wrong with it, or None.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, get_args

from zooter_core.records import Finish
from zooter_core.strict_json import dump_json, parse_json

Record = Mapping[str, Any]
Check = Callable[[Record], str | None]


def response_check(pool: Sequence[str], samples: int) -> Check:
    """For lines of responses.jsonl.

    Args:
        samples: responses of a candidate to a query.
    """

    def check(record: Record) -> str | None:
        sample, tokens = record.get("sample"), record.get("tokens")
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        if not _whole(sample) or not 0 <= sample < samples:  # type: ignore[operator]
            return f'"sample" is not a whole number from 0 to {samples - 1}'
        if not _whole(tokens) or tokens < 0:  # type: ignore[operator]
            return '"tokens" is not a whole number of at least 0'
        return _response_text(record)

    return check


def turn_check(pool: Sequence[str], turns: Mapping[str, int]) -> Check:
    """For responses to benchmarks.

    Args:
        turns: problem id -> its number of turns.
    """

    def check(record: Record) -> str | None:
        turn = record.get("turn")
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        if not _whole(turn) or not 0 <= turn < turns[record["id"]]:  # type: ignore[operator]
            return '"turn" is not the number of one'
        return _response_text(record)

    return check


def _response_text(record: Record) -> str | None:
    error = record.get("error")
    if not isinstance(record.get("text"), str):
        return '"text" is not a text'
    if record.get("finish") not in get_args(Finish):
        return f'"finish" is none of {", ".join(get_args(Finish))}'
    return None if error is None or isinstance(error, str) else '"error" is not a text'


def score_check(pool: Sequence[str]) -> Check:
    """For scores of responses to benchmarks."""

    def check(record: Record) -> str | None:
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        return None if _finite(record.get("score")) else '"score" is not a finite number'

    return check


def has_scores(record: Record, names: Collection[str]) -> bool:
    """Whether a line of a score file has a finite score of each of these candidates and of no other."""
    return _each_finite(record.get("scores"), names)


def _each_finite(values: Any, names: Collection[str]) -> bool:
    return isinstance(values, dict) and set(values) == set(names) and all(map(_finite, values.values()))


def reward_check(pool: Sequence[str], samples: int | None) -> Check:
    """For lines of rewards.jsonl; `samples` as in `response_check`, None where it is not known."""

    def check(record: Record) -> str | None:
        if "set_aside" in record:
            return None if isinstance(record["set_aside"], str) else '"set_aside" is not a text'
        means, each = record.get("rewards"), record.get("samples")
        if not isinstance(means, dict) or not _each_finite(means, pool):
            return f'"rewards" is not a finite number for each of {", ".join(pool)}'
        lists = (
            isinstance(each, dict) and set(each) == set(pool) and all(_rewards(own, samples) for own in each.values())
        )
        if not isinstance(each, dict) or not lists:
            return f'"samples" is not a list of finite numbers for each of {", ".join(pool)}'
        near = (math.isclose(means[name], sum(each[name]) / len(each[name]), abs_tol=1e-9) for name in pool)
        return None if all(near) else '"rewards" are not the means of "samples"'

    return check


def _rewards(values: Any, samples: int | None) -> bool:
    if not isinstance(values, list) or not values or not all(map(_finite, values)):
        return False
    return samples is None or len(values) == samples


def tag_check(record: Record) -> str | None:
    """For lines of tags.jsonl."""
    tags = record.get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        return '"tags" is not a list of objects'
    if not all(isinstance(tag.get("name"), str) and _finite(tag.get("score")) for tag in tags):
        return "a tag is not a name and a score"
    return None


def same_check(wanted: Mapping[str, Record]) -> Check:
    """For lines that can be worked out anew: each must be the record of its id."""

    def check(record: Record) -> str | None:
        return None if record == parse_json(dump_json(wanted[record["id"]])) else "not what the step writes"

    return check


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
