"""Rewards of responses whose outcome was verified, on the scale of the reward model. In numpy. Not part of the paper.

    R = m + s (2 v - 1 + w tanh((r - m) / s))

r is the response's reward by the reward model; m and s are the mean and the standard deviation of all rewards of the
run. v is the verified outcome: 1 if the response is right, 0 if it is wrong. A right response lies about one standard
deviation above the run's mean and a wrong one about one below it. The reward model orders responses with the same
outcome; with w < 1, it never ranks a wrong one above a right one. Responses without a verified outcome keep R = r.

According to the paper, its reward model judges knowledge, mathematics and code badly. Reinforcement learning from
verifiable rewards (Tulu 3, arXiv 2411.15124) rewards verified outcomes in these fields, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zooter_core.method.metrics import Array, mean, std

# w. With .1, queries to which all responses are wrong hardly distinguish the candidates, and routers were worse
# (docs/notebook/routers.md).
OPINION = 0.5
ROUNDING = 1e-14  # relative to the mean; adding the mean would round off a smaller deviation


def verified_rewards(rewards: Array, outcomes: Array, scale: tuple[float, float] | None = None) -> Array:
    """The rewards R, which combine verified outcomes with the reward model's rewards.

    Args:
        rewards: rewards by the reward model, any shape; NaN where a response is missing.
        outcomes: outcomes of the same shape, in [0, 1]; NaN where the outcome was not verified.
        scale: m and s, by default those of `rewards`.
    """
    level, spread = scale or mean_and_deviation(rewards)
    judged = 2 * outcomes - 1 + OPINION * np.tanh((rewards - level) / spread)
    return np.where(np.isnan(outcomes), rewards, level + spread * judged)


def mean_and_deviation(rewards: Array) -> tuple[float, float]:
    """Mean and standard deviation of the rewards that are not NaN; a deviation of 1 if all are equal up to rounding."""
    level, spread = float(mean(rewards)), float(std(rewards))
    return level, spread if spread > ROUNDING * abs(level) else 1.0


@dataclass(frozen=True)
class Verified:
    """Figures of a run's responses that answer keys have verified.

    Attributes:
        n: the number of queries with a key.
        right: the share of each candidate's responses that are right; None for a candidate without responses.
        agreement: how often the reward model gives a right response a higher reward than a wrong one, over `pairs`
            pairs of responses; None without pairs.
    """

    n: int
    right: dict[str, float | None]
    agreement: float | None
    pairs: int

    @property
    def measured(self) -> dict[str, float]:
        """The shares of the candidates with responses."""
        return {name: share for name, share in self.right.items() if share is not None}


def verified_figures(pool: Sequence[str], rewards: Array, outcomes: Array) -> Verified | None:
    """Figures of verified responses; None if there are none.

    Args:
        rewards: rewards by the reward model, shape (queries, candidates, samples).
        outcomes: 1 for a right response and 0 for a wrong one, of the same shape; NaN where it was not verified.
    """
    rows = np.flatnonzero(np.isfinite(outcomes).any(axis=(1, 2)))
    if not len(rows):
        return None
    shares = mean(outcomes[rows], axis=(0, 2)).tolist()
    by_name = {name: None if np.isnan(share) else share for name, share in zip(pool, shares, strict=True)}
    flat, right = rewards[rows].reshape(len(rows), -1), outcomes[rows].reshape(len(rows), -1)
    ahead = np.sign(flat[:, :, None] - flat[:, None, :])[(right[:, :, None] == 1) & (right[:, None, :] == 0)]
    agreement = float((ahead + 1).mean() / 2) if len(ahead) else None  # a tie is half an agreement
    return Verified(len(rows), by_name, agreement, len(ahead))
