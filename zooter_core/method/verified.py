"""Rewards of responses whose outcome was verified, on the scale of the reward model. In numpy. Beyond the paper.

    R = m + s (2 v - 1 + w tanh((r - m) / s))

r is the response's reward by the reward model; m and s are the mean and the standard deviation of all rewards of the
run. v is the verified outcome: 1 if the response is right, 0 if it is wrong. So a right response lies about one
standard deviation above the run's mean and a wrong one as far below it, and the reward model orders responses that
are equally right: with w < 1 it can never put a wrong one first. Responses that nothing verifies keep R = r.

The paper names knowledge, mathematics and code as what its reward model judges badly. To reward verified outcomes
there is what reinforcement learning from verifiable rewards does (Tulu 3, arXiv 2411.15124).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zooter_core.method.metrics import Array, mean, std

# w. With .1, queries of which all responses are wrong hardly tell who is better; routers lost by it
# (docs/notebook/routers.md).
OPINION = 0.5
ROUNDING = 1e-14  # of the mean: a smaller deviation would be lost when the mean is added


def verified_rewards(rewards: Array, outcomes: Array, scale: tuple[float, float] | None = None) -> Array:
    """Rewards in which verified outcomes take the place of the reward model's opinion.

    Args:
        rewards: by the reward model, any shape; NaN where a response is missing.
        outcomes: of the same shape, in [0, 1]; NaN where nothing verifies the response.
        scale: m and s, if not those of `rewards`.
    """
    level, spread = scale or mean_and_deviation(rewards)
    judged = 2 * outcomes - 1 + OPINION * np.tanh((rewards - level) / spread)
    return np.where(np.isnan(outcomes), rewards, level + spread * judged)


def mean_and_deviation(rewards: Array) -> tuple[float, float]:
    """Mean and standard deviation of the rewards that there are; a deviation of 1 where all but rounding is equal."""
    level, spread = float(mean(rewards)), float(std(rewards))
    return level, spread if spread > ROUNDING * abs(level) else 1.0


@dataclass(frozen=True)
class Verified:
    """What answer keys say of a run's responses.

    Attributes:
        n: queries with a key.
        right: the share of each candidate's responses that are right; None for one without responses.
        agreement: how often the reward model gives the right one of a right and a wrong response the higher reward,
            over `pairs` of them; None where there is none.
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
    """Figures of verified responses; None where there are none.

    Args:
        rewards: by the reward model, shape (queries, candidates, samples).
        outcomes: 1 for a right response and 0 for a wrong one, of the same shape; NaN where nothing verifies it.
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
