"""Reward models: how good is a response to a query. A kind is one file with one class, and one line in KINDS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zooter_core.fleet import RewardConfig
from zooter_core.plugins import load_kind

KINDS = {"scalar": "zooter_core.rewards.scalar:ScalarReward"}


class RewardModel(Protocol):
    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The reward of each (query, response) pair; higher is better. The scale is the model's own."""


def reward_model(config: RewardConfig) -> RewardModel:
    """Load the reward model of a fleet.

    Raises:
        ZooterError: there is no such kind.
        WorkError: its weights cannot be loaded.
    """
    made: RewardModel = load_kind("reward", KINDS, config.kind)(config)
    return made
