"""Checks of the lines of a run's files, so that an altered line is reported and not used.

The file of a finished step is compared by its hash. The file of an unfinished step has no hash yet: its lines are
checked one by one. A check takes a record and returns what is wrong with it, or None.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeGuard, get_args

from zooter_core.base.records import Finish
from zooter_core.base.strict_json import dump_json, parse_json

Record = Mapping[str, Any]
Check = Callable[[Record], str | None]


def response_check(pool: Sequence[str], counts: int | Mapping[str, int], field: str = "sample") -> Check:
    """A check of lines of responses.jsonl.

    Args:
        counts: number of responses of a candidate to a query, for all queries or by id.
        field: what numbers them: `sample`, or `turn` in a benchmark.
    """

    def check(record: Record) -> str | None:
        number, tokens, error = (record.get(name) for name in (field, "tokens", "error"))
        count = counts if isinstance(counts, int) else counts[record["id"]]
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        if not _is_integer(number) or not 0 <= number < count:
            return f'"{field}" is not a whole number from 0 to {count - 1}'
        if not _is_integer(tokens) or tokens < 0:
            return '"tokens" is not a whole number of at least 0'
        if not isinstance(record.get("text"), str):
            return '"text" is not a text'
        if record.get("finish") not in get_args(Finish):
            return f'"finish" is none of {", ".join(get_args(Finish))}'
        return None if error is None or isinstance(error, str) else '"error" is not a text'

    return check


def score_check(pool: Sequence[str]) -> Check:
    """A check of the scores of responses to a benchmark."""

    def check(record: Record) -> str | None:
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        return None if _is_finite(record.get("score")) else '"score" is not a finite number'

    return check


def all_finite(values: Any, names: Collection[str]) -> bool:
    """Whether a value is an object with a finite number for each of these names and no other."""
    return isinstance(values, dict) and set(values) == set(names) and all(map(_is_finite, values.values()))


def reward_check(pool: Sequence[str], samples: int | None) -> Check:
    """A check of lines of rewards.jsonl; `samples` as for `response_check`, None to accept any number.

    A line names in `missing` the candidates whose responses were missing when it was written.
    """

    def check(record: Record) -> str | None:
        missing = record.get("missing", [])
        if not isinstance(missing, list) or missing != [name for name in pool if name in missing]:
            return f'"missing" is not a list of some of {", ".join(pool)}'
        if "missing" in record and not missing:
            return '"missing" is empty'
        names = [name for name in pool if name not in missing]
        if "set_aside" in record:
            return None if isinstance(record["set_aside"], str) else '"set_aside" is not a text'
        means, samples_of = record.get("rewards"), record.get("samples")
        if not isinstance(means, dict) or not all_finite(means, names):
            return f'"rewards" is not a finite number for each of {", ".join(names)}'
        if (
            not isinstance(samples_of, dict)
            or set(samples_of) != set(names)
            or not all(_are_rewards(values, samples) for values in samples_of.values())
        ):
            return f'"samples" is not a list of finite numbers for each of {", ".join(names)}'
        near = (
            math.isclose(means[name], sum(samples_of[name]) / len(samples_of[name]), abs_tol=1e-9) for name in names
        )
        return None if all(near) else '"rewards" are not the means of "samples"'

    return check


def _are_rewards(values: Any, samples: int | None) -> bool:
    if not isinstance(values, list) or not values or not all(map(_is_finite, values)):
        return False
    return samples is None or len(values) == samples


def tag_check(record: Record) -> str | None:
    """A check of lines of tags.jsonl."""
    tags = record.get("tags")
    if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
        return '"tags" is not a list of objects'
    if not all(isinstance(tag.get("name"), str) and _is_finite(tag.get("score")) for tag in tags):
        return "a tag is not a name and a score"
    return None


def same_check(wanted: Mapping[str, Record]) -> Check:
    """A check of lines that can be computed again: each must equal the record of its id."""

    def check(record: Record) -> str | None:
        return None if record == parse_json(dump_json(wanted[record["id"]])) else "not what the step writes"

    return check


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
