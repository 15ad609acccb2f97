"""What thinking costs and earns: a model that thinks before it answers, compared with one that does not, on the same
queries.

Shapes: n queries, N candidates; NaN where a candidate has no answer, or nothing was counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zooter_core.method.metrics import LEVEL, Array, mean, t_quantile
from zooter_core.method.worth import Estimate, weighted_mean

EVERY = "all queries"  # the kind of all queries
OFTEN = 0.1  # the smallest share of answers with thoughts for a candidate that counts as thinking
LEAST = 10  # fewest queries of a kind
MOST_KINDS = 6  # kinds that are compared, the ones with the most queries


@dataclass(frozen=True)
class AnswerTable:
    """Figures of every candidate's answer to every query, shape (n, N).

    Attributes:
        tokens: the tokens of the answers, including `thoughts`.
    """

    rewards: Array
    tokens: Array
    thoughts: Array
    seconds: Array
    dollars: Array


@dataclass(frozen=True)
class Thinking:
    """What one candidate's thinking costs and earns on a kind of queries: its means less those of another candidate.

    Attributes:
        kind: a tag, a data set, or EVERY.
        thinker, other: the candidate that thinks, and the one that thinks less or not at all.
        twins: whether both are the same model.
        clear: whether the difference of the rewards is significant, given the number of kinds that are tested.
        tokens, seconds, dollars: None if they were not counted.
    """

    kind: str
    thinker: str
    other: str
    twins: bool
    clear: bool
    reward: Estimate
    tokens: Estimate | None
    seconds: Estimate | None
    dollars: Estimate | None


def worth_of_thinking(
    pool: Sequence[str],
    answers: AnswerTable,
    kinds: Sequence[Sequence[str]],
    twins: Sequence[Sequence[str]] = (),
    inclusion: Array | None = None,
) -> list[Thinking]:
    """A comparison of each pair of a thinking candidate and another one, on all queries and on the most common kinds.

    Args:
        kinds: the kinds of each of the n queries.
        twins: candidates that are the same model with different settings for thinking. Without any in the pool, the
            best candidate that thinks is compared with the best one that does not.
        inclusion: the probability of each query to be in the sample, shape (n,); None if all are equal.
    """
    weights = np.ones(len(kinds)) if inclusion is None else inclusion
    rows: dict[str, list[int]] = {}
    for row, names in enumerate(kinds):
        for name in dict.fromkeys(names):
            rows.setdefault(name, []).append(row)
    common = sorted((name for name in rows if len(rows[name]) >= LEAST), key=lambda name: -len(rows[name]))
    parts = {EVERY: np.arange(len(kinds))} | {name: np.array(rows[name]) for name in common[:MOST_KINDS]}
    return [
        row
        for thinker, other, is_twin in _pairs(pool, answers, twins)
        for row in _rows(pool, answers, weights, parts, (thinker, other), is_twin)
    ]


def _pairs(
    pool: Sequence[str], answers: AnswerTable, twins: Sequence[Sequence[str]]
) -> Iterator[tuple[int, int, bool]]:
    """The columns of each pair's thinking and other candidate, and whether they are the same model."""
    often = mean(np.where(np.isnan(answers.thoughts), np.nan, answers.thoughts > 0), axis=0)
    thoughts, rewards = mean(answers.thoughts, axis=0), mean(answers.rewards, axis=0)
    pairs = []
    for names in twins:
        places = [pool.index(name) for name in names if name in pool and not np.isnan(thoughts[pool.index(name)])]
        places.sort(key=lambda place: float(thoughts[place]))
        if len(places) > 1 and often[places[-1]] >= OFTEN and thoughts[places[-1]] > thoughts[places[0]]:
            pairs.append((places[-1], places[0], True))
    sides = [[place for place in range(len(pool)) if side[place]] for side in (often >= OFTEN, often < OFTEN)]
    if not pairs and all(sides):
        first, second = (
            max(side, key=lambda place: float(np.nan_to_num(rewards[place], nan=-np.inf))) for side in sides
        )
        pairs.append((first, second, False))
    yield from pairs


def _rows(
    pool: Sequence[str],
    answers: AnswerTable,
    weights: Array,
    parts: Mapping[str, Array],
    pair: tuple[int, int],
    twins: bool,
) -> Iterator[Thinking]:
    thinker, other = pair
    tables = (answers.rewards, answers.tokens, answers.seconds, answers.dollars)
    differences = [table[:, thinker] - table[:, other] for table in tables]
    answered = ~np.isnan(differences[0])
    for kind, rows in parts.items():
        places = rows[answered[rows]]
        if len(places) < LEAST:
            continue
        reward, *costs = (weighted_mean(values[places], weights[places]) for values in differences)
        tests = 1 if kind == EVERY else len(parts) - 1
        bound = t_quantile(1 - (1 - LEVEL) / 2 / tests, reward.n - 1) * reward.error
        yield Thinking(
            kind, pool[thinker], pool[other], twins, abs(reward.mean) > bound, reward,
            *(cost if cost.n >= LEAST else None for cost in costs),
        )  # fmt: skip
