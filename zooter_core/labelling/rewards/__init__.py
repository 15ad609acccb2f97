"""Reward models: how good is a response to a query. A kind is one file with one class, and one line in KINDS.

Most kinds score a response by itself (`score`); a comparing one says of two responses which is better (`compare`), and
`scoring` makes one reward a response of all comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from zooter_core import backends
from zooter_core.backends import Backend
from zooter_core.config.labelling import RewardConfig
from zooter_core.plugins import load_kind

KINDS = {
    "scalar": "zooter_core.labelling.rewards.scalar:ScalarReward",
    "ultra": "zooter_core.labelling.rewards.ultra:UltraReward",
    "pairwise": "zooter_core.labelling.rewards.pairwise:PairwiseReward",
    "judge": "zooter_core.labelling.rewards.judge:judge",
    "http": "zooter_core.labelling.rewards.http:HttpReward",
}


class Unscored(float):
    """A NaN that says why there is no reward."""

    reason: str

    def __new__(cls, reason: str) -> Unscored:
        made = super().__new__(cls, "nan")
        made.reason = reason
        return made


@runtime_checkable
class Pointwise(Protocol):
    """A reward model that scores each response by itself."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The reward of each (query, response) pair; higher is better. The scale is the model's own.

        An `Unscored` stands where a pair alone has no reward. A ZooterError says that the model cannot work at all;
        any other exception is taken for the fault of one of the pairs.
        """


@runtime_checkable
class Comparing(Protocol):
    """A reward model that compares two responses to one query."""

    def compare(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """By how much the first response of each (query, first, second) is better, below 0 where it is worse."""


# Rewards of a model with an attribute `version` are kept: what tells its weights from others of the same name and
# settings, such as the hub's commit; "" where nothing does.
RewardModel = Pointwise | Comparing


def reward_model(
    config: RewardConfig,
    backend: Callable[[str], Backend] = backends.backend,
    spare: Callable[[], None] = lambda: None,
) -> RewardModel:
    """Load the reward model of a fleet; where memory runs out, once more when there is room.

    Args:
        backend: backends by kind, for a judge.
        spare: makes room in memory, as far as that goes.

    Raises:
        ZooterError: there is no such kind.
        WorkError: its weights cannot be loaded.
    """
    from zooter_core.backends.local import memory

    kind: Callable[..., RewardModel] = load_kind("reward", KINDS, config.kind)
    try:
        return kind(config, backend)
    except Exception as problem:
        if not memory.is_full(problem):
            raise
    spare()  # only now: until here the error holds on to what had been loaded
    return kind(config, backend)
