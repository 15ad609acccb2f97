"""What each file of a run holds, a JSON object a line, and the checks that find an altered line.

    file               a line for each          its fields                                      its check
    queries.jsonl      query                    id, text, dataset, tags, and key if it has one  same_check
    responses.jsonl    query, candidate and     id, sample and those of `records.Response`      response_check
                       sample
    rewards.jsonl      query                    id, rewards: {candidate: mean} and              reward_check
                                                samples: {candidate: [number]}, and with a key
                                                verified: {candidate: [0 or 1]};
                                                or id and set_aside: why it has no rewards;
                                                and missing: [candidate], of which responses
                                                were missing when the line was written
    tags.jsonl         query                    id, tags: [{name, score}]                       tag_check
    labels.jsonl       query with rewards       id, fold: "train" or "held_back", plain: s(q),  none: they are
                                                enhanced: s*(q), and the reward entropy of plain  made anew
                                                in [0, 1]: entropy

The lines of an unfinished step are checked one by one; of a finished one's file, the size is. A benchmark's folder has
a responses.jsonl with `turn` in the place of `sample`, and scores.jsonl.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, get_args

from zooter_core.base.records import Finish
from zooter_core.base.strict_json import dump_json, is_number, parse_json

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """How the lines of a file are checked.

    Attributes:
        wrong: what is wrong with a record; None if nothing is.
        key: the fields that tell the records of a file apart.
    """

    wrong: Callable[[Record], str | None]
    key: tuple[str, ...] = ("id",)


def response_check(pool: Sequence[str], counts: int | Mapping[str, int], number: str = "sample") -> Check:
    """The check of responses.jsonl.

    Args:
        counts: number of responses of a candidate to a query, for all queries or by id.
        number: the field that numbers them: `sample`, or `turn` in a benchmark.
    """

    def wrong(record: Record) -> str | None:
        count = counts if isinstance(counts, int) else counts[record["id"]]
        error = record.get("error")
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        if not _is_natural(record.get(number)) or record[number] >= count:
            return f'"{number}" is not a whole number from 0 to {count - 1}'
        if not _is_natural(record.get("tokens")):
            return '"tokens" is not a whole number of at least 0'
        if not isinstance(record.get("text"), str):
            return '"text" is not a text'
        if record.get("finish") not in get_args(Finish):
            return f'"finish" is none of {", ".join(get_args(Finish))}'
        return None if error is None or isinstance(error, str) else '"error" is not a text'

    return Check(wrong, ("id", "candidate", number))


def score_check(pool: Sequence[str]) -> Check:
    """The check of a benchmark's scores.jsonl."""

    def wrong(record: Record) -> str | None:
        if record.get("candidate") not in pool:
            return f'"candidate" is none of {", ".join(pool)}'
        return None if is_number(record.get("score")) else '"score" is not a finite number'

    return Check(wrong, ("id", "candidate"))


def reward_check(pool: Sequence[str], samples: int | None) -> Check:
    """The check of rewards.jsonl.

    Args:
        samples: number of responses of a candidate to a query; None to accept any.
    """

    def is_list(values: Any) -> bool:
        if not isinstance(values, list) or not values or samples not in (None, len(values)):
            return False
        return all(map(is_number, values))

    def wrong(record: Record) -> str | None:
        missing = record.get("missing", [])
        if not isinstance(missing, list) or missing != [name for name in pool if name in missing]:
            return f'"missing" is not a list of some of {", ".join(pool)}'
        if "missing" in record and not missing:
            return '"missing" is empty'
        if "set_aside" in record:
            return None if isinstance(record["set_aside"], str) else '"set_aside" is not a text'
        names = [name for name in pool if name not in missing]
        means, lists = record.get("rewards"), record.get("samples")
        if not isinstance(means, dict) or not all_finite(means, names):
            return f'"rewards" is not a finite number for each of {", ".join(names)}'
        if not isinstance(lists, dict) or set(lists) != set(names) or not all(map(is_list, lists.values())):
            return f'"samples" is not a list of finite numbers for each of {", ".join(names)}'
        outcomes = record.get("verified", {})
        if outcomes and not (isinstance(outcomes, dict) and set(outcomes) == set(names)):
            return f'"verified" is not an object with each of {", ".join(names)}'
        if any(not isinstance(o, list) or len(o) != len(lists[n]) or not set(o) <= {0, 1} for n, o in outcomes.items()):
            return '"verified" is not a list of 0 and 1 for each of the "samples"'
        near = (math.isclose(means[name], sum(lists[name]) / len(lists[name]), abs_tol=1e-9) for name in names)
        return None if all(near) else '"rewards" are not the means of "samples"'

    return Check(wrong)


def tag_check() -> Check:
    """The check of tags.jsonl."""

    def wrong(record: Record) -> str | None:
        tags = record.get("tags")
        if not isinstance(tags, list) or not all(isinstance(tag, dict) for tag in tags):
            return '"tags" is not a list of objects'
        right = all(isinstance(tag.get("name"), str) and is_number(tag.get("score")) for tag in tags)
        return None if right else "a tag is not a name and a score"

    return Check(wrong)


def same_check(wanted: Mapping[str, Record]) -> Check:
    """The check of lines that can be computed again: each must equal the record of its id."""

    def wrong(record: Record) -> str | None:
        return None if record == parse_json(dump_json(wanted[record["id"]])) else "not what the step writes"

    return Check(wrong)


def all_finite(values: Any, names: Collection[str]) -> bool:
    """Whether a value is an object with a finite number for each of these names and no other."""
    return isinstance(values, dict) and set(values) == set(names) and all(map(is_number, values.values()))


def _is_natural(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
