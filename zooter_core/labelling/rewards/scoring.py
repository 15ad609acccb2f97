"""Rewards of the responses to queries: looked up in the cache, scored or compared, and ranked.

A comparing model sees all ordered pairs of a query's responses. With L(i, j) the margin of i over j when i is shown
first, the reward of i is the mean over all others of (L(i, j) - L(j, i)) / 2, which does not depend on the order in
which responses are shown. LLM-Blender (arXiv 2306.02561) ranks by the same sum. A single response has reward 0.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.base.errors import WorkError, ZooterError, first_line
from zooter_core.base.records import LARGEST_SCORE, Ranked, Response
from zooter_core.base.sqlite_file import CacheFile
from zooter_core.base.weights import cache_dir
from zooter_core.labelling.rewards import PLAIN, Comparing, RewardModel, Unscored

Item = tuple[str, ...]  # a query and a response, or a query and two responses that are compared
QueryResponses = tuple[str, Sequence[str]]  # a query and its responses
Score = Callable[[Sequence[Item]], list[float]]
COMPARED, SCORED = 4, 16  # queries after which progress is reported and rewards are cached
STOPPABLE = 4  # responses or comparisons between two checks for a stop
MANY = 4  # after this many queries without any reward, PLAIN is scored to test the model


@dataclass(frozen=True, slots=True)
class QueryRewards:
    """The rewards of one query's responses, in order."""

    rewards: tuple[float | None, ...]  # None for a response without a finite reward
    reason: str | None = None  # why the first such response has none; None if all responses have a reward

    def line(self, query_id: str, pool: Sequence[str]) -> dict[str, Any]:
        """A line of rewards.jsonl: each candidate's mean reward and its samples, or why the query is set aside.

        The rewards are in order: all samples of the first candidate, then of the second, and so on.
        """
        if self.reason:
            return {"id": query_id, "set_aside": self.reason}
        table = np.reshape(np.array(self.rewards, dtype=float), (len(pool), -1))
        means = dict(zip(pool, table.mean(axis=1).tolist(), strict=True))
        return {"id": query_id, "rewards": means, "samples": dict(zip(pool, table.tolist(), strict=True))}


class ScoreCache:
    """A file of rewards. A row holds a hash of the model and the item, and the number: 40 bytes.

    Args:
        identity: everything that rewards depend on: settings, weights and their version.
    """

    FILE = "rewards.sqlite"
    SETUP = "CREATE TABLE IF NOT EXISTS rewards (key BLOB PRIMARY KEY, reward REAL) WITHOUT ROWID"

    def __init__(self, identity: str, path: Path | None = None) -> None:
        self.identity = identity
        self.file = CacheFile(path or cache_dir() / self.FILE, self.SETUP)

    def get(self, items: Sequence[Item]) -> dict[Item, float]:
        keys = {self._key(item): item for item in items}
        rewards = self.file.find("SELECT key, reward FROM rewards WHERE key IN", list(keys))
        return {keys[key]: reward for key, reward in rewards.items()}

    def put(self, rewards: Mapping[Item, float]) -> None:
        """Store rewards, all or none of them."""
        rows = [(self._key(item), reward) for item, reward in rewards.items()]
        self.file.change(lambda file: file.executemany("INSERT OR REPLACE INTO rewards VALUES (?, ?)", rows))

    def _key(self, item: Item) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        for text in (self.identity, *item):
            part = text.encode("utf-8", "surrogatepass")
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def score_queries(
    model: RewardModel,
    queries: Sequence[QueryResponses],
    cache: ScoreCache | None = None,
    progress: Callable[[int], None] = lambda done: None,
    stop: threading.Event | None = None,
) -> list[QueryRewards]:
    """Score the responses to each query. A response that fails or has no finite reward is set aside.

    Args:
        queries: each query's text and the texts of its responses.
        cache: where rewards are looked up first, and stored.
        progress: called with the number of finished queries.
        stop: an event that ends the work when it is set; it is checked every few responses or comparisons.

    Raises:
        ZooterError: the model cannot work at all, or no response of many queries has a reward.
        WorkError: it was stopped.
    """
    size = COMPARED if isinstance(model, Comparing) else SCORED
    scored: list[QueryRewards] = []
    for first in range(0, len(queries), size):
        scored += _score_batch(model, queries[first : first + size], cache, stop)
        if len(scored) < len(queries):
            progress(len(scored))
    return scored


def _score_batch(
    model: RewardModel, queries: Sequence[QueryResponses], cache: ScoreCache | None, stop: threading.Event | None
) -> list[QueryRewards]:
    if isinstance(model, Comparing):
        pairs = [pair for query in queries for pair in _ordered_pairs(query)]
        rewards = _cached_or_scored(model.compare, pairs, cache, stop)
        return [_from_comparisons(query, rewards) for query in queries]
    items: list[Item] = [(query, text) for query, texts in queries for text in texts]
    rewards = _cached_or_scored(model.score, items, cache, stop)
    return [_from_scores([rewards[query, text] for text in texts]) for query, texts in queries]


def rank_by_reward(responses: Sequence[Response], scored: Sequence[Response], rewards: QueryRewards) -> list[Ranked]:
    """Rank responses, best first. Equal rewards share a rank; responses without one come last and have no rank.

    Args:
        scored: the responses that belong to `rewards`.

    Raises:
        WorkError: none of the scored responses has a reward.
    """
    pairs = [(response, reward) for response, reward in zip(scored, rewards.rewards, strict=True) if reward is not None]
    if scored and not pairs:
        raise WorkError("a reward for the responses", f"none: {rewards.reason}", "Try `zooter check`.")
    pairs.sort(key=lambda pair: -pair[1])
    with_reward, values = {id(response) for response, _ in pairs}, [reward for _, reward in pairs]
    return [
        *(Ranked(response, reward, 1 + values.index(reward)) for response, reward in pairs),
        *(Ranked(response) for response in responses if id(response) not in with_reward),
    ]


def _ordered_pairs(query: QueryResponses) -> list[Item]:
    text, responses = query
    return [(text, first, second) for first, second in permutations(responses, 2)]


def _from_comparisons(query: QueryResponses, margins: dict[Item, float]) -> QueryRewards:
    text, responses = query
    for pair in _ordered_pairs(query):
        if math.isnan(margins[pair]):  # without it, the others' rewards would not be on one scale
            return QueryRewards((None,) * len(responses), _reason(margins[pair]))
    rewards = []
    for place, response in enumerate(responses):
        rivals = [*responses[:place], *responses[place + 1 :]]
        ahead = sum(margins[text, response, rival] - margins[text, rival, response] for rival in rivals)
        rewards.append(ahead / (2 * len(rivals)) if rivals else 0.0)
    return QueryRewards(tuple(rewards))


def _from_scores(rewards: Sequence[float]) -> QueryRewards:
    reason = next((_reason(reward) for reward in rewards if math.isnan(reward)), None)
    return QueryRewards(tuple(None if math.isnan(reward) else reward for reward in rewards), reason)


def _reason(reward: float) -> str:
    return reward.reason if isinstance(reward, Unscored) else "the reward is not a number"


def _cached_or_scored(
    score: Callable[..., list[float]], items: Sequence[Item], cache: ScoreCache | None, stop: threading.Event | None
) -> dict[Item, float]:
    """The reward of every item, or an `Unscored`."""
    items = list(dict.fromkeys(items))
    cached = cache.get(items) if cache else {}
    missing = [item for item in items if item not in cached]
    scored: dict[Item, float] = {}
    size = STOPPABLE if stop else max(len(missing), 1)
    for first in range(0, len(missing), size):
        if stop and stop.is_set():
            raise WorkError("rewards", "a stop before the last one", "Ask again.")
        part = missing[first : first + size]
        scored |= zip(part, _score(score, part), strict=True)
    finite = {item: reward for item, reward in scored.items() if not math.isnan(reward)}
    many = len({query for query, *_ in missing}) >= MANY
    if not finite and many and math.isnan(_score(score, [PLAIN[: len(missing[0])]])[0]):
        raise WorkError(
            f"a reward for any of {len(missing)} responses or comparisons",
            f"none; the first because: {_reason(scored[missing[0]])}",
            "Fix the reward model (`zooter check`) and start again; finished work is kept.",
        )
    if cache and finite:
        cache.put(finite)
    return cached | scored


def _score(score: Score, items: Sequence[Item]) -> list[float]:
    """The rewards of a batch. If it raises, its halves are scored, down to the item that causes the error."""
    try:
        rewards = list(score(items))
    except ZooterError:
        raise
    except Exception as problem:  # models raise many types
        if len(items) == 1:
            return [Unscored(f"the reward model failed: {first_line(problem)}")]
        half = len(items) // 2
        return _score(score, items[:half]) + _score(score, items[half:])
    return [_finite(reward) for reward in rewards]


def _finite(reward: float | None) -> float:
    if isinstance(reward, Unscored):
        return reward
    number = math.nan if reward is None else float(reward)
    return number if abs(number) <= LARGEST_SCORE else Unscored(f"the reward is {reward}")  # NaN fails too
