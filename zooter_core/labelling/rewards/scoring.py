"""Rewards of all responses to a query together: what is known from the cache, what fails set aside, pairs made one.

A comparing model sees all ordered pairs of a query's responses. With L(i, j) by how much i is better than j when i is
shown first, the reward of i is the mean over the others of (L(i, j) - L(j, i)) / 2: by how much it beats an average
rival, on the scale of one comparison, whatever the order they are shown in. LLM-Blender (arXiv 2306.02561) ranks by the
same sum. A sole response has reward 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zooter_core.errors import WorkError, ZooterError, first_line
from zooter_core.labelling.rewards import Comparing, RewardModel, Unscored
from zooter_core.labelling.rewards.cache import Item, ScoreCache
from zooter_core.records import LARGEST_SCORE

Asked = tuple[str, Sequence[str]]  # a query and its responses
Work = Callable[[Sequence[Item]], list[float]]
ENOUGH = 4  # queries of which nothing has a reward: then the model is at fault, not they


@dataclass(frozen=True, slots=True)
class Scored:
    """Rewards of one query's responses, in order.

    Attributes:
        rewards: None where a response has no finite reward.
        reason: why the first of them has none; None where all have one.
    """

    rewards: tuple[float | None, ...]
    reason: str | None = None

    @property
    def whole(self) -> list[float] | None:
        """The rewards, where every response has one."""
        return None if self.reason else [reward for reward in self.rewards if reward is not None]

    def line(self, query_id: str, pool: Sequence[str]) -> dict[str, Any]:
        """A line of rewards.jsonl: each candidate's mean and its samples, or why the query is set aside.

        The rewards are those of all samples of the first candidate, then of the second, and so on.
        """
        if self.whole is None:
            return {"id": query_id, "set_aside": self.reason}
        table = np.reshape(self.whole, (len(pool), -1))
        means = dict(zip(pool, table.mean(axis=1).tolist(), strict=True))
        return {"id": query_id, "rewards": means, "samples": dict(zip(pool, table.tolist(), strict=True))}


def score_queries(model: RewardModel, asked: Sequence[Asked], cache: ScoreCache | None = None) -> list[Scored]:
    """Rewards of the responses to each query. What raises or has no finite reward is set aside, the rest goes on.

    Raises:
        ZooterError: the model cannot work at all, or nothing of much that it was asked has a reward.
    """
    if isinstance(model, Comparing):
        found = _known_or_worked(model.compare, [pair for one in asked for pair in _ordered_pairs(one)], cache)
        return [_compared(one, found) for one in asked]
    found = _known_or_worked(model.score, [(query, text) for query, texts in asked for text in texts], cache)
    return [_scored([found[query, text] for text in texts]) for query, texts in asked]


def comparisons(responses: int) -> int:
    """How many comparisons a query costs."""
    return responses * (responses - 1)


def _ordered_pairs(asked: Asked) -> list[Item]:
    query, texts = asked
    places = range(len(texts))
    return [(query, texts[one], texts[other]) for one in places for other in places if one != other]


def _compared(asked: Asked, found: dict[Item, float]) -> Scored:
    query, texts = asked
    for pair in _ordered_pairs(asked):
        if math.isnan(found[pair]):  # without it the rewards of the others would not be on one scale
            return Scored((None,) * len(texts), _reason(found[pair]))
    rewards = []
    for one, text in enumerate(texts):
        rivals = [rival for other, rival in enumerate(texts) if other != one]
        ahead = sum(found[query, text, rival] - found[query, rival, text] for rival in rivals)
        rewards.append(ahead / (2 * len(rivals)) if rivals else 0.0)
    return Scored(tuple(rewards))


def _scored(rewards: Sequence[float]) -> Scored:
    reason = next((_reason(reward) for reward in rewards if math.isnan(reward)), None)
    return Scored(tuple(None if math.isnan(reward) else reward for reward in rewards), reason)


def _reason(reward: float) -> str:
    return reward.reason if isinstance(reward, Unscored) else "the reward is not a number"


def _known_or_worked(
    work: Callable[..., list[float]], items: Sequence[Item], cache: ScoreCache | None
) -> dict[Item, float]:
    """Each item's reward; an `Unscored` where there is none."""
    items = list(dict.fromkeys(items))
    found = cache.get(items) if cache else {}
    wanted = [item for item in items if item not in found]
    worked = dict(zip(wanted, _attempt(work, wanted), strict=True)) if wanted else {}
    good = {item: reward for item, reward in worked.items() if not math.isnan(reward)}
    if not good and len({query for query, *_ in wanted}) >= ENOUGH:
        raise WorkError(
            f"a reward for any of {len(wanted)} responses or comparisons",
            f"none; the first because: {_reason(worked[wanted[0]])}",
            "Mend the reward model (`zooter check`) and start again; what was finished is kept.",
        )
    if cache and good:
        cache.put(good)
    return found | worked


def _attempt(work: Work, items: Sequence[Item]) -> list[float]:
    """The rewards of a batch; where it raises, of its halves, down to the item that is to blame."""
    try:
        rewards = list(work(items))
    except ZooterError:
        raise
    except Exception as problem:  # models raise many kinds
        if len(items) == 1:
            return [Unscored(f"the reward model failed: {first_line(problem)}")]
        half = len(items) // 2
        return _attempt(work, items[:half]) + _attempt(work, items[half:])
    if len(rewards) != len(items):
        raise WorkError(f"{len(items)} rewards", str(len(rewards)), "Mend the reward model.")
    return [_finite(reward) for reward in rewards]


def _finite(reward: float | None) -> float:
    if isinstance(reward, Unscored):
        return reward
    try:
        number = math.nan if reward is None else float(reward)
    except (TypeError, ValueError):
        return Unscored(f"the reward is {reward!r:.40}")
    return number if abs(number) <= LARGEST_SCORE else Unscored(f"the reward is {reward}")  # NaN fails too
