"""From rewards to labels: the equations of ZOOTER (arXiv 2311.08692, section 3), in numpy.

Shapes: n queries, N candidates in pool order; `rewards`, `labels` and `priors` have N columns. `label` does all steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.errors import ZooterError, did_you_mean

Array = NDArray[np.float64]


def softmax(rewards: Array, tau: float = 1.0) -> Array:
    """Labels s(q) = softmax(r(q) / tau) along the last axis (equation 2 of the paper has tau = 1).

    Raises:
        ZooterError: tau is not positive or not finite, or a reward is NaN or infinite.
    """
    if not 0 < tau < np.inf:
        raise ZooterError("a temperature tau > 0, and finite,", str(tau), "Use --tau 1 (the paper's value).")
    rewards = np.asarray(rewards, dtype=np.float64)
    if not np.isfinite(rewards).all():
        raise ZooterError("finite rewards", "NaN or infinity", "Remove the queries with such rewards first.")
    with np.errstate(over="ignore"):  # a tiny tau makes a difference -inf, whose power is 0 as it should be
        powers = np.exp((rewards - rewards.max(axis=-1, keepdims=True)) / tau)
    return powers / powers.sum(axis=-1, keepdims=True)


def tag_priors(labels: Array, tags: Sequence[Sequence[str]]) -> dict[str, Array]:
    """Tag priors s_t: the mean label of the queries that carry tag t (section 3.3).

    Args:
        labels: shape (n, N).
        tags: the tags of each of the n queries; a tag named twice counts once.
    """
    return {name: labels[rows].mean(axis=0) for name, rows in tag_rows(tags).items()}


def tag_rows(tags: Sequence[Sequence[str]]) -> dict[str, list[int]]:
    """Tag -> the numbers of the queries that carry it, by the tag's name. Arguments as for `tag_priors`."""
    rows: dict[str, list[int]] = {}
    for row, names in enumerate(tags):
        for name in dict.fromkeys(names):
            rows.setdefault(name, []).append(row)
    return dict(sorted(rows.items()))


def enhance(labels: Array, tags: Sequence[Sequence[str]], priors: Mapping[str, Array], beta: float) -> Array:
    """Tag-based label enhancement: s*(q) = beta s(q) + (1 - beta) mean over t in T(q) of s_t (section 3.3).

    Tags without a prior are ignored; a query without any other tag keeps s(q).

    Args:
        labels: shape (n, N).
        tags: the tags T(q) of each of the n queries; a tag named twice counts once.
        priors: tag -> s_t, shape (N,).
        beta: 1 is the plain label, 0 the prior alone; the paper found 0.3 best.

    Raises:
        ZooterError: beta lies outside [0, 1].
    """
    if not 0 <= beta <= 1:
        raise ZooterError("beta between 0 and 1", str(beta), "Use --beta 0.3 (the paper's value).")
    enhanced = np.array(labels, dtype=np.float64)
    for row, names in enumerate(tags):
        carried = [priors[name] for name in dict.fromkeys(names) if name in priors]
        if carried:
            enhanced[row] = beta * enhanced[row] + (1 - beta) * np.mean(carried, axis=0)
    return enhanced


@dataclass(frozen=True)
class LabelConfig:
    """How rewards become labels.

    Attributes:
        beta: share of the plain label in the enhanced one.
        tau: softmax temperature.
        normalise: one of NORMALISATIONS, applied before the softmax.
        holdout: share of queries that are held back from training, for evaluation.
        seed: chooses these queries.
    """

    beta: float = 0.3
    tau: float = 1.0
    normalise: str = "none"
    holdout: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Labels:
    """All steps from rewards to labels, each of shape (n, N).

    Attributes:
        rewards: r, normalised.
        plain: s, the softmax of the rewards.
        prior: the mean of s_t over the query's tags.
        enhanced: s*, the mixture of both.
    """

    rewards: Array
    plain: Array
    prior: Array
    enhanced: Array

    @property
    def changed(self) -> NDArray[np.intp]:
        """The rows whose enhanced label has another winner than the plain one."""
        return np.flatnonzero(self.plain.argmax(axis=1) != self.enhanced.argmax(axis=1))


def label(
    rewards: Array,
    groups: Sequence[str],
    tags: Sequence[Sequence[str]],
    config: LabelConfig,
    train: NDArray[np.intp] | None = None,
    scale_columns: int | None = None,
) -> Labels:
    """Rewards -> normalised -> softmax -> tag priors -> enhanced labels, for all queries at once.

    Args:
        rewards, groups, scale_columns: as for `normalise`.
        tags: as for `enhance`. A query without tags has its plain label as prior.
        config: beta, tau and normalise; the caller applies holdout and seed.
        train: the rows that the tag priors are computed from and that are enhanced; the others keep their plain label.
            All rows if None.

    Raises:
        ZooterError: a setting makes no sense.
    """
    scaled = normalise(rewards, config.normalise, groups, scale_columns)
    plain = softmax(scaled, config.tau)
    rows = np.arange(len(plain)) if train is None else train
    train_tags = [tags[row] for row in rows.tolist()]
    priors = tag_priors(plain[rows], train_tags)
    prior, enhanced = plain.copy(), plain.copy()
    prior[rows] = enhance(plain[rows], train_tags, priors, 0.0)
    enhanced[rows] = enhance(plain[rows], train_tags, priors, config.beta)
    return Labels(scaled, plain, prior, enhanced)


def held_back(query_id: str, config: LabelConfig) -> bool:
    """Whether a query is held back from training, decided by a hash of its id."""
    digest = hashlib.sha256(f"{config.seed}|{query_id}".encode()).hexdigest()
    return int(digest[:12], 16) / 16**12 < config.holdout


def kl(label: Array, predicted: Array) -> Array:
    """KL(label || predicted) along the last axis, in nats, with 0 log 0 = 0 (equation 3)."""
    label, predicted = np.asarray(label, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(label > 0, label * (np.log(label) - np.log(predicted)), 0.0)
    return terms.sum(axis=-1)


def entropy(labels: Array) -> Array:
    """Reward entropy H(q) / log N along the last axis, in [0, 1]; near 1 the reward model sees no difference."""
    labels = np.asarray(labels, dtype=np.float64)
    if labels.shape[-1] < 2:
        return np.zeros(labels.shape[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(labels > 0, -labels * np.log(labels), 0.0)
    return terms.sum(axis=-1) / np.log(labels.shape[-1])


def _standardise(rewards: Array, columns: int) -> Array:
    level, spread = rewards[:, :columns].mean(), rewards[:, :columns].std()
    return (rewards - level) / spread if spread > 0 else np.zeros_like(rewards)


def _spread(rewards: Array, columns: int) -> Array:
    rewards = rewards / (np.abs(rewards[:, :columns]).max() or 1.0)  # the squares of huge ones would overflow
    centred = rewards - rewards[:, :columns].mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred[:, :columns] ** 2).mean())
    return centred / spread if spread > 0 else np.zeros_like(centred)


def _by_group(rewards: Array, groups: Sequence[str], columns: int, scale: Callable[[Array, int], Array]) -> Array:
    scaled = np.empty_like(rewards)
    names = np.asarray(groups)
    for name in dict.fromkeys(groups):
        rows = names == name
        scaled[rows] = scale(rewards[rows], columns)
    return scaled


NORMALISATIONS: dict[str, Callable[[Array, Sequence[str], int], Array]] = {
    "none": lambda rewards, groups, columns: rewards,
    "zscore": lambda rewards, groups, columns: _standardise(rewards, columns),
    "zscore-dataset": lambda rewards, groups, columns: _by_group(rewards, groups, columns, _standardise),
    "spread": lambda rewards, groups, columns: _spread(rewards, columns),
}


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

    Raises:
        ZooterError: no normalisation has that name.
    """
    if name not in NORMALISATIONS:
        raise ZooterError(
            f"a normalisation ({', '.join(NORMALISATIONS)})", f'"{name}"', did_you_mean(name, NORMALISATIONS)
        )
    rewards = np.asarray(rewards, dtype=np.float64)
    return NORMALISATIONS[name](rewards, groups, rewards.shape[1] if scale_columns is None else scale_columns)
