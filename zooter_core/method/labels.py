"""From rewards to labels: the equations of ZOOTER (arXiv 2311.08692, section 3), in numpy.

Shapes: n queries, N candidates in pool order; `rewards`, `labels` and `priors` have N columns. A reward that is
missing is NaN; `complete` says what its candidate's share of the label is. `label` does all steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, did_you_mean
from zooter_core.method.metrics import mean, std
from zooter_core.method.tags import TagIndex

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
NORMALISATIONS = ("none", "zscore", "zscore-dataset", "spread")
LOTS = 16**12
ROUNDING = 1e-14  # of the largest reward; a smaller spread is rounding
ROUNDS, TOLERANCE = 200, 1e-6  # of the iteration for priors if rewards are missing


def normalise(rewards: Array, name: str, groups: Sequence[str]) -> Array:
    """Rewards on a stated scale before the softmax, shape (n, N).

    `none` leaves them unchanged. `zscore` subtracts the mean of all rewards and divides by their standard deviation,
    `zscore-dataset` does so in each data set. `spread` subtracts each query's mean and divides by the root mean square
    of the differences, so that a tau has the same meaning for accuracies in [0, 1] and for rewards of any reward model.

    Args:
        rewards: shape (n, N).
        name: one of NORMALISATIONS.
        groups: the data set of each query.
    """
    if name not in NORMALISATIONS:
        raise ZooterError(
            f"a normalisation ({', '.join(NORMALISATIONS)})", f'"{name}"', did_you_mean(name, NORMALISATIONS)
        )
    rewards = np.asarray(rewards, dtype=np.float64)
    if name == "none":
        return rewards
    if name != "zscore-dataset":
        return (_spread if name == "spread" else _standardise)(rewards)
    scaled, names = np.empty_like(rewards), np.asarray(groups)
    for group in dict.fromkeys(groups):
        scaled[names == group] = _standardise(rewards[names == group])
    return scaled


def _standardise(rewards: Array) -> Array:
    level, spread = mean(rewards), std(rewards)
    size = np.fmax.reduce(np.abs(rewards), axis=None)
    return (rewards - level) / spread if spread > ROUNDING * size else rewards * 0.0


def _spread(rewards: Array) -> Array:
    size = np.fmax.reduce(np.abs(rewards), axis=None)
    # Differences first: a mean of large numbers is rounded, and the squares of huge ones would overflow.
    apart = rewards - np.fmin.reduce(rewards, axis=-1, keepdims=True)
    largest = np.fmax.reduce(apart, axis=None) or 1.0
    apart = apart / largest
    centred = apart - mean(apart, axis=-1, keepdims=True)
    spread = np.sqrt(mean(centred**2))
    return centred / spread if spread * largest > ROUNDING * size else centred * 0.0


def softmax(rewards: Array, tau: float = 1.0) -> Array:
    """Labels s(q) = softmax(r(q) / tau) along the last axis (equation 2 of the paper has tau = 1).

    A missing reward is NaN and stays NaN until `complete` fills the gap; the softmax is over the other rewards.

    Raises:
        ZooterError: tau is not positive or not finite, or a reward is infinite.
    """
    if not 0 < tau < np.inf:
        raise ZooterError("a finite temperature tau > 0", str(tau), "Use --tau 1 (the paper's value).")
    rewards = np.asarray(rewards, dtype=np.float64)
    if np.isinf(rewards).any():
        raise ZooterError("finite rewards", "infinity", "Remove the queries with such rewards first.")
    with np.errstate(over="ignore"):  # a tiny tau makes differences -inf, whose exponential is 0, as it should be
        powers = np.exp((rewards - np.fmax.reduce(rewards, axis=-1, keepdims=True)) / tau)
    return powers / np.nansum(powers, axis=-1, keepdims=True)


def complete(labels: Array, shares: Array) -> Array:
    """Labels in which candidates m without a reward get their shares p(q), and the scored ones, S(q), the rest:

        s_m(q) = p_m(q)                                              where m has no reward
        s_i(q) = (1 - sum over missing m of p_m(q)) softmax_S(r(q))_i     where i has one

    The shares are the mean of the query's tag priors, the expected softmax over all candidates. The rewards still
    decide among the candidates that have one.

    Args:
        labels: shape (n, N), NaN where a reward is missing.
        shares: p, shape (n, N) or (N,), rows sum to one.
    """
    missing = np.isnan(labels)
    if not missing.any():
        return labels
    missing_share = np.where(missing, shares, 0.0).sum(axis=-1, keepdims=True)
    return np.where(missing, shares, (1 - missing_share) * labels)


def mean_label(labels: Array) -> Array:
    """The mean label of n queries, shape (N,); with gaps, the one that completes them: m = mean of complete(s, m)."""
    if len(labels) and not np.isnan(labels).any():
        return labels.mean(axis=0)
    mean = np.full(labels.shape[1], 1 / labels.shape[1])
    if not len(labels):
        return mean
    for _ in range(ROUNDS):
        before, mean = mean, complete(labels, mean).mean(axis=0)
        if np.abs(mean - before).max() < TOLERANCE:
            break
    return mean


def tag_priors(labels: Array, tags: Sequence[Sequence[str]]) -> Array:
    """Tag priors s_t: the mean label of the queries that carry tag t (section 3.3). Shape (T, N), in the order of the
    tags' names; NaN for a tag that no query carries.

    With gaps (NaN), a prior is the mean of the completed labels, which are in turn completed by the priors. The
    solution is found by iteration, starting from the mean over all queries. For a single tag, it maximises the
    likelihood of the wins among the scored candidates, if a missing candidate does not change the odds between others
    (Luce's choice axiom).

    Args:
        labels: shape (n, N), NaN where a reward is missing.
        tags: the tags of each of the n queries; a tag named twice counts once.
    """
    index, gaps = TagIndex.of(tags), np.isnan(labels).any(axis=1)
    counts = index.counts[:, None]
    with np.errstate(invalid="ignore"):
        if not gaps.any():
            return index.sums(labels) / counts
        overall = mean_label(labels)
        rows = np.flatnonzero(gaps)
        complete_sums, incomplete = index.rows(np.flatnonzero(~gaps)).sums(labels[~gaps]), index.rows(rows)
        priors = np.where(counts > 0, overall, np.nan)
        for _ in range(ROUNDS):
            filled = complete(labels[rows], incomplete.average_over_tags(priors, overall))
            before, priors = priors, (complete_sums + incomplete.sums(filled)) / counts
            if np.nanmax(np.abs(priors - before), initial=0.0) < TOLERANCE:
                break
    return priors


def enhance(labels: Array, tags: Sequence[Sequence[str]], priors: Array, beta: float) -> Array:
    """Tag-based label enhancement: s*(q) = beta s(q) + (1 - beta) mean over t in T(q) of s_t (section 3.3).

    Tags without a prior are ignored; a query without any other tag keeps s(q). Gaps are completed first.

    Args:
        labels: shape (n, N), NaN where a reward is missing.
        tags: the tags T(q) of each of the n queries; a tag named twice counts once.
        priors: s_t, as from `tag_priors`.
        beta: 1 is the plain label, 0 the prior alone; the paper found 0.3 best.
    """
    return _enhanced(labels, TagIndex.of(tags), priors, mean_label(labels), beta)[1]


def _enhanced(labels: Array, index: TagIndex, priors: Array, overall: Array, beta: float) -> tuple[Array, Array, Array]:
    """The completed labels, the enhanced ones, and the mean prior of each query's tags (its label without tags)."""
    if not 0 <= beta <= 1:
        raise ZooterError("beta between 0 and 1", str(beta), "Use --beta 0.3 (the paper's value).")
    carried = np.logical_and.reduce(np.isfinite(priors), axis=1)
    index, priors = index.only(carried), priors[carried]
    labels = complete(np.asarray(labels, dtype=np.float64), index.average_over_tags(priors, overall))
    prior = index.average_over_tags(priors, labels)
    tagged = (index.sizes > 0)[:, None]
    return labels, np.where(tagged, beta * labels + (1 - beta) * prior, labels), prior


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
        rewards: r, normalised; the only array with NaN, for missing rewards.
        plain: s, the softmax of the rewards, completed.
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
) -> Labels:
    """Rewards -> normalised -> softmax -> tag priors -> enhanced labels, for all queries at once.

    Args:
        rewards, groups: as for `normalise`.
        tags: as for `enhance`. A query without tags has its plain label as prior.
        config: beta, tau and normalise; the caller applies holdout and seed.
        train: the rows that the tag priors are computed from and that are enhanced; the others keep their plain label.
            All rows if None.
    """
    scaled = normalise(rewards, config.normalise, groups)
    labels, index = softmax(scaled, config.tau), TagIndex.of(tags)
    learned, learned_index = np.ones(len(labels), dtype=bool), index
    if train is not None:
        learned[:] = False
        learned[train] = True
        learned_index = index.rows(train)
    learned_labels = labels if learned.all() else labels[train]
    priors, overall = tag_priors(learned_labels, learned_index), mean_label(learned_labels)
    plain, enhanced, prior = _enhanced(labels, index, priors, overall, config.beta)
    learned = learned[:, None]
    return Labels(scaled, plain, np.where(learned, prior, plain), np.where(learned, enhanced, plain))


def lot(query_id: str, seed: int | str) -> int:
    """A number in [0, LOTS) for a query, by a hash of its id."""
    return int(hashlib.sha256(f"{seed}|{query_id}".encode()).hexdigest()[:12], 16)


def held_back(lots: Sequence[int] | NDArray[np.uint64], datasets: Sequence[str], holdout: float) -> Mask:
    """Which queries are held back from training, shape (n,).

    Args:
        lots: each query's lot.
        datasets: each query's data set; the share is drawn within each of them, to the nearest query.
    """
    numbers = np.asarray(lots, dtype=np.float64)
    _, groups = np.unique(np.asarray(datasets, dtype=object).astype(str), return_inverse=True)
    order = np.lexsort((numbers, groups))
    places = np.arange(len(numbers) + 1)
    drawn = np.empty(len(numbers), dtype=bool)
    drawn[order] = np.diff(np.floor(places * holdout + 0.5)) > 0  # for a fifth, every 5th in the order of the lots
    return drawn


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
