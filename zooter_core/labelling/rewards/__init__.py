"""Reward models: how good a response to a query is. A kind is one class, and one line in KINDS.

Most kinds score every response on its own (`score`). A comparing kind says which of two responses is better
(`compare`), and `scoring` turns all comparisons into one reward per response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from zooter_core import backends
from zooter_core.backends import Backend
from zooter_core.base.plugins import load_kind
from zooter_core.base.weights import check_torch
from zooter_core.config.labelling import RewardConfig

KINDS = {
    "scalar": "zooter_core.labelling.rewards.scalar:ScalarReward",
    "ultra": "zooter_core.labelling.rewards.scalar:UltraReward",
    "pairwise": "zooter_core.labelling.rewards.pairwise:PairwiseReward",
    "judge": "zooter_core.labelling.rewards.judge:judge",
    "http": "zooter_core.labelling.rewards.http:HttpReward",
    "embedded": "zooter_core.labelling.rewards.scalar:ScalarReward",
}
PLAIN = "Hello", "Hello!", "What?"  # a query and two responses for which every working model has a reward
ON_TORCH = ("scalar", "ultra", "pairwise", "embedded")

# The amount that a false sum subtracts from a reward of the embedded fleet's model: 0.8 standard deviations of the
# rewards of responses to GSM8K, and more than the largest difference between two of these with the same words.
PENALTY = 2.0


class Unscored(float):
    """A NaN that says why there is no reward."""

    reason: str

    def __new__(cls, reason: str) -> Unscored:
        unscored = super().__new__(cls, "nan")
        unscored.reason = reason
        return unscored


@runtime_checkable
class Pointwise(Protocol):
    """A reward model that scores every response on its own."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The reward of every (query, response) pair, on the model's own scale; higher is better.

        A pair without a reward gets an `Unscored`. A ZooterError means that the model cannot work at all; any other
        exception is attributed to one of the pairs.
        """


@runtime_checkable
class Comparing(Protocol):
    """A reward model that compares two responses to one query."""

    def compare(self, triples: Sequence[tuple[str, str, str]]) -> list[float]:
        """The margin of the first response in every (query, first, second); negative if it is worse."""


# The rewards of a model with an attribute `version` are cached. It tells apart weights with the same name and settings,
# such as two commits of the hub, and may be "".
RewardModel = Pointwise | Comparing


def reward_model(
    config: RewardConfig, backend: Callable[[str], Backend] = backends.backend, spare: Callable[[], None] = lambda: None
) -> RewardModel:
    """Load a fleet's reward model. If memory runs out, free some and try once more.

    Args:
        backend: returns the backend of a kind, for a judge.
        spare: frees as much memory as possible.

    Raises:
        ZooterError: there is no such kind, or it needs PyTorch, which is not installed.
        WorkError: its weights cannot be loaded.
    """
    from zooter_core.backends import memory

    if config.kind in ON_TORCH:
        check_torch(f'The reward model "{config.kind}"')
    kind: Callable[..., RewardModel] = load_kind("reward", KINDS, config.kind)
    try:
        return kind(config, backend)
    except Exception as problem:
        if not memory.is_full(problem):
            raise
    spare()  # not inside `except`: the exception keeps the half-loaded model alive
    return kind(config, backend)


def without_marks(text: str, marks: Sequence[str]) -> str:
    """A text without special tokens, so that a response cannot begin or end a turn."""
    for mark in marks:
        if mark.strip():
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def fill_template(template: str, texts: Mapping[str, str]) -> str:
    """A template with every {name} replaced in one pass, so that a {response} inside a text stays."""
    return re.sub("|".join(f"{{{name}}}" for name in texts), lambda place: texts[place[0][1:-1]], template)


class Recomputed:
    """The rewards of another model, minus PENALTY for a response with a false sum: small reward models judge form and
    relevance, not arithmetic. There is no penalty if the query has a false sum itself, in a puzzle or to be checked.
    """

    def __init__(self, model: Pointwise) -> None:
        self.model = model
        self.version = f"{getattr(model, 'version', '')} recomputed"

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        from zooter_core.arithmetic.false_sums import false_sums  # here, as routing does not need its patterns

        rewards = self.model.score(pairs)
        return [
            reward - PENALTY if false_sums(response) and not false_sums(query) else reward
            for reward, (query, response) in zip(rewards, pairs, strict=True)
        ]
