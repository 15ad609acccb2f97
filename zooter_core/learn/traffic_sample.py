"""The requests of a period that all candidates answered, drawn at random: what a report can look up.

Who was served, and every candidate's reward, dollars, seconds and tokens, as tables.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, IMPORT, LoggedDecision, LoggedReward
from zooter_core.method.metrics import Array

MOST_SAMPLED = 10_000


@dataclass(frozen=True)
class Sample:
    """The requests that all candidates answered.

    Attributes:
        pool: the candidates.
        rewards, dollars, seconds, tokens, thoughts: shape (n, N); NaN where there is none. Tokens are those of the
            answers, of which `thoughts` are thoughts.
        chosen: who was served, by its place in the pool, shape (n,).
        inclusion: the probability of being sampled, shape (n,).
        drawn: how many there are; `n` of them were read.
        decisions: the requests in the order of their time, as they were logged.
    """

    pool: tuple[str, ...]
    rewards: Array
    dollars: Array
    seconds: Array
    tokens: Array
    thoughts: Array
    chosen: NDArray[np.intp]
    inclusion: Array
    drawn: int
    decisions: tuple[LoggedDecision, ...] = ()

    @property
    def n(self) -> int:
        return len(self.chosen)


def read_sample(traffic: Traffic, since: float, until: float) -> Sample:
    """The uniform sample of a period, or MOST_SAMPLED requests of it, drawn at random.

    Requests for which the client named the model, and chores, are left out.
    """
    ids = traffic.sampled(since, math.inf)  # rewards are computed after the request
    part = random.Random(0).sample(ids, MOST_SAMPLED) if len(ids) > MOST_SAMPLED else ids
    decisions = [
        decision
        for decision in traffic.by_id(part)
        if since <= decision.time < until and decision.probability is not None and not decision.chore
        and decision.candidate and decision.source != IMPORT
    ]  # fmt: skip
    rewards: dict[str, dict[str, LoggedReward]] = defaultdict(dict)
    for reward in traffic.rewards_of([decision.request_id for decision in decisions]):
        if reward.source != FEEDBACK:
            rewards[reward.request_id][reward.candidate] = reward
    inclusion = {
        request_id: max((reward.inclusion or 0 for reward in row.values() if reward.why == "sample"), default=0.0)
        for request_id, row in rewards.items()
    }
    decisions = [
        entry for entry in decisions if inclusion.get(entry.request_id) and entry.candidate in rewards[entry.request_id]
    ]
    decisions.sort(key=lambda entry: (entry.time, entry.number))
    return _table(decisions, rewards, inclusion, round(len(decisions) * len(ids) / len(part)) if part else 0)


def _table(
    decisions: Sequence[LoggedDecision],
    rewards: Mapping[str, Mapping[str, LoggedReward]],
    inclusion: Mapping[str, float],
    drawn: int,
) -> Sample:
    pool = tuple(dict.fromkeys(name for entry in decisions for name in sorted(rewards[entry.request_id])))
    places = {name: place for place, name in enumerate(pool)}
    tables = np.full((5, len(decisions), len(pool)), np.nan)
    for row, entry in enumerate(decisions):
        for name, reward in rewards[entry.request_id].items():
            values: list[float | None] = [reward.reward]
            for figure in ("dollars", "seconds", "tokens", "thought_tokens"):
                first, second = (entry, reward) if name == entry.candidate else (reward, reward)
                value = getattr(first, figure)
                values.append(getattr(second, figure) if value is None else value)
            tables[:, row, places[name]] = [math.nan if value is None else value for value in values]
    chosen = np.array([places[entry.candidate or ""] for entry in decisions], dtype=np.intp)
    probabilities = np.array([inclusion[entry.request_id] for entry in decisions])
    rewards_of, dollars, seconds, tokens, thoughts = tables
    return Sample(pool, rewards_of, dollars, seconds, tokens, thoughts, chosen, probabilities, drawn, tuple(decisions))
