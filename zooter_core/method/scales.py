"""Rewards on a stated scale, so that a temperature means the same for accuracies and for any reward model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zooter_core.base.errors import ZooterError, did_you_mean
from zooter_core.method.metrics import Array, mean, std

NORMALISATIONS = ("none", "zscore", "zscore-dataset", "spread")


def _standardise(rewards: Array, columns: int) -> Array:
    level, spread = mean(rewards[:, :columns]), std(rewards[:, :columns])
    return (rewards - level) / spread if spread > 0 else rewards * 0.0


def _spread(rewards: Array, columns: int) -> Array:
    # The squares of huge ones would overflow.
    rewards = rewards / (np.fmax.reduce(np.abs(rewards[:, :columns]), axis=None) or 1.0)
    centred = rewards - mean(rewards[:, :columns], axis=-1, keepdims=True)
    spread = np.sqrt(mean(centred[:, :columns] ** 2))
    return centred / spread if spread > 0 else centred * 0.0


def normalise(rewards: Array, name: str, groups: Sequence[str], scale_columns: int | None = None) -> Array:
    """Rewards on a stated scale before the softmax, shape (n, N).

    `none` leaves them unchanged. `zscore` subtracts the mean of all rewards and divides by their standard deviation,
    `zscore-dataset` does so in each data set. `spread` subtracts each query's mean and divides by the root mean square
    of what remains: then a tau means the same for accuracies in [0, 1] and for the rewards of any reward model.

    Args:
        rewards: shape (n, N).
        name: one of NORMALISATIONS.
        groups: the data set of each query.
        scale_columns: the number of columns, from the first, that set the scale; all if None.
    """
    if name not in NORMALISATIONS:
        raise ZooterError(
            f"a normalisation ({', '.join(NORMALISATIONS)})", f'"{name}"', did_you_mean(name, NORMALISATIONS)
        )
    rewards = np.asarray(rewards, dtype=np.float64)
    columns = rewards.shape[1] if scale_columns is None else scale_columns
    if name == "none":
        return rewards
    if name != "zscore-dataset":
        return (_spread if name == "spread" else _standardise)(rewards, columns)
    scaled, names = np.empty_like(rewards), np.asarray(groups)
    for group in dict.fromkeys(groups):
        scaled[names == group] = _standardise(rewards[names == group], columns)
    return scaled
