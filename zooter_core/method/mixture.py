"""Combines several predictors of the best candidate, as far as the scores support it. In numpy.

    m_i(q) = sum over predictors k of a_k f_ki(q) / (root mean square of f_k),   brought to a root mean square of 1
    u_i(q) = w(q) (s m_i(q) + (1 - s) b_i(q) + h o_i) + (1 - w(q)) (z m_i(q) + (1 - z) l_i + .3 o_i)

1. The weights a are fixed beforehand. For combined forecasts, equal weights are hard to beat (Bates and Granger, 1969;
   Clemen, 1989; Stock and Watson, 2004, call it a puzzle): with few queries, estimated weights fit noise; with many,
   they do not transfer to a new data set.
2. A single predictor replaces the mixture only if it chooses significantly better.
3. b is a regression that is regularised by its own evidence (method/evidence.py), also at a root mean square of 1. It
   chooses the best single candidate if the scores support nothing else. The share s = 1 - (4 / t)^2, at least 0,
   shrinks towards it, like the non-negative garrote (Breiman, 1995). t is the slope of the scores on m over its
   standard error: how certain it is that m predicts the best candidate for a query. Up to t = 4, only b counts.
4. The evidence concerns queries like the training queries. w(q) falls from 1 to 0 as the query's cosine similarity to
   the most similar training query falls from the 30th to the 10th percentile of the same similarity between the folds.
   For queries unlike all of them, m needs more evidence, z = 1 - (8 / t)^2, and the rest is each candidate's mean l
   (its level).
5. Candidates that are better on average have a head start, since small leads depend on a query's wording and gain
   nothing. o_i is a candidate's place by its level, from 0 for the worst to 1 for the best; h is the largest of a few
   numbers for which cross-validated choices earn no less than without a head start.
6. From few queries, a router may learn the wrong candidate for a whole field. So a candidate other than the best single
   one (by l) may lead only if it is better by half a standard error on the ten most similar queries. Otherwise it is
   placed behind the best single one, by the difference of their levels l. It must also lead by more than .1: if a few
   queries show hardly any difference between two candidates, the best single one is the safer choice.

Scores and predictions are relative to their mean over a query's candidates. Shapes: n queries, N candidates, K
predictors. No prediction for a query is learned from that query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.metrics import Array, mean, ranks

TINY = 1e-9  # a spread below this share of the numbers is due to rounding
# Standard errors up to which the mixture has no weight: for queries like the training queries, and for others.
CLEAR, CLEAR_FAR = 4.0, 8.0
FAR, NEAR = 10, 30  # percentiles of the similarity to the most similar query, between which w goes from 0 to 1
# Head starts of the best candidate over the worst: those that are compared, and the one for queries unlike the training
# queries.
STARTS, FAR_START = (0.0, 0.1, 0.2), 0.3
SIMILAR, SUPPORT = 10, 0.5  # similar queries, and the standard errors by which a leading candidate must be better there
LEAD = 0.1  # by which a candidate must lead the best single one, if queries are few
BETTER = 2.5  # standard errors: one of four predictors is better than the mixture by chance in 5% of cases (Bonferroni)


def relative(scores: Array) -> Array:
    """Scores minus their mean over the candidates of each query, shape (..., n, N); NaN stays NaN."""
    return scores - mean(scores, axis=-1, keepdims=True)


def level(scores: Array) -> Array:
    """Each candidate's mean relative score, shape (N,); a candidate without scores counts as average."""
    return np.nan_to_num(np.asarray(mean(relative(scores), axis=0), dtype=np.float64))


def size(values: Array) -> float:
    """The root mean square of numbers; 0 if it is due to rounding, or if there are none."""
    if not np.isfinite(values).any():
        return 0.0
    root, largest = float(np.sqrt(mean(values**2))), float(np.nanmax(np.abs(values)))
    return root if root > TINY * largest else 0.0


def normalised(values: Array) -> Array:
    """Relative values, scaled to a root mean square of 1; zeros if they do not differ."""
    return values / (size(values) or np.inf)


def mixed(predictions: Array, weights: Sequence[float]) -> tuple[Array, Array]:
    """The mixture m, shape (n, N), and each predictor's factor in it, shape (K,).

    Args:
        predictions: shape (K, n, N).
    """
    parts = relative(predictions)
    factors = np.array([weight / (size(part) or np.inf) for weight, part in zip(weights, parts, strict=True)])
    total = np.tensordot(factors, parts, axes=1)
    return normalised(total), factors / (size(total) or np.inf)


def better_alone(predictions: Array, mixture: Array, scores: Array) -> int | None:
    """The index of a predictor that chooses significantly better than the mixture; None if there is none."""
    gains = [standard_errors(chosen(part, scores) - chosen(mixture, scores)) for part in predictions]
    best = int(np.argmax(gains))
    return best if gains[best] > BETTER else None


def chosen(predictions: Array, scores: Array) -> Array:
    """The score of the candidate with the highest prediction, shape (n,); NaN if it has none."""
    return np.take_along_axis(scores, predictions.argmax(axis=1)[:, None], axis=1)[:, 0]


def standard_errors(values: Array) -> float:
    """The mean in standard errors; 0 if that is undefined."""
    values = values[np.isfinite(values)]
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean() / error) if error > 0 else 0.0


def significance(mixture: Array, scores: Array, folds: NDArray[np.intp]) -> float:
    """t: the slope of the relative scores on the mixture, over its standard error.

    Both are centred in each fold. A fold's predictions are made without it, so they are high for candidates that happen
    to do badly there, which would count against every predictor. The standard error is clustered by query, since a
    query's candidates depend on each other (Liang and Zeger, 1986).
    """
    x, y = mixture.copy(), relative(scores)
    x[np.isnan(y)] = np.nan
    for fold in np.unique(folds):
        x[folds == fold] -= mean(x[folds == fold], axis=0)
        y[folds == fold] -= mean(y[folds == fold], axis=0)
    squares = np.nansum(x**2)
    if not size(x) or not size(y):
        return 0.0
    slope = np.nansum(x * y) / squares
    error = float(np.sqrt((np.nansum(x * (y - slope * x), axis=1) ** 2).sum()) / squares)
    return float(slope / error) if error > TINY * abs(slope) else float(np.sign(slope) * np.inf)


def shrinkage(t: float, clear: float = CLEAR) -> float:
    """s, the share of the mixture: 1 - (4 / t)^2, and 0 for t up to 4; with another limit z."""
    return 1 - (clear / t) ** 2 if t > clear else 0.0


def reach(similarities: Array) -> tuple[float, float]:
    """The similarities up to which w is 0 and from which it is 1, from those between the folds, shape (n,)."""
    low, high = np.percentile(similarities, (FAR, NEAR))
    return float(low), float(max(high, low + 1e-6))


def cross_fitted_levels(scores: Array, folds: NDArray[np.intp]) -> Array:
    """The level that the other folds give for each query, shape (n, N)."""
    levels = np.empty(scores.shape)
    for fold in np.unique(folds):
        levels[folds == fold] = level(scores[folds != fold])
    return levels


def places(levels: Array) -> Array:
    """o: the places of candidates by their levels, from 0 for the worst to 1 for the best, shape (..., N), N > 1.

    Equal levels share the mean of their places; levels that differ by rounding are equal.
    """
    count = levels.shape[-1]
    return (count - ranks(normalised(levels).round(6))) / (count - 1)


def head_start(predictions: Array, order: Array, weights: Array, scores: Array) -> float:
    """h: the largest of STARTS with which choices earn no less than without a head start.

    Args:
        order: `places` by the other folds, shape (n, N).
        weights: each query's w, shape (n, 1).
    """
    without = chosen(predictions, scores)
    gains = {start: mean(chosen(predictions + start * weights * order, scores) - without) for start in STARTS}
    return max(start for start, gain in gains.items() if gain >= 0 or start == 0)


def support(similarities: Array, scores: Array, best: NDArray[np.intp]) -> Array:
    """Each candidate's gain over one of them on similar queries, in standard errors, shape (n, N).

    A missing score counts as no gain.

    Args:
        similarities: to L queries whose scores are known, shape (n, L).
        scores: the scores of these queries, shape (L, N).
        best: for each query, the candidate to compare with, shape (n,).
    """
    count = min(SIMILAR, len(scores) // 2)
    similar = scores[np.argsort(-similarities, axis=1, kind="stable")[:, :count]]  # (n, count, N)
    gains = np.nan_to_num(similar - np.take_along_axis(similar, best[:, np.newaxis, np.newaxis], axis=2))
    gain, error = gains.mean(axis=1), gains.std(axis=1, ddof=1) / np.sqrt(count)
    certain = np.select([gain > 0, gain < 0], [np.inf, -np.inf], 0.0)
    return np.divide(gain, error, out=certain, where=error > TINY * np.abs(gain))


def supported(utilities: Array, support: Array, levels: Array, best: NDArray[np.intp]) -> Array:
    """The utilities, shape (n, N), with the best single candidate LEAD ahead, and unsupported ones placed behind it.

    Args:
        support: as from `support`.
        levels: their differences are the distances behind the best one, shape (n, N) or (N,).
    """
    gap = utilities - levels
    behind = levels + np.take_along_axis(gap, best[:, np.newaxis], axis=1)  # the best one's utility, less its lead in l
    ahead = LEAD * (np.arange(utilities.shape[1]) == best[:, np.newaxis])
    return np.where(support < SUPPORT, np.minimum(utilities, behind), utilities) + ahead


def stratified(groups: NDArray[Any], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each query, shape (n,): the queries of each group are spread evenly over the folds, at random.

    Each of k folds consists of two of 2 * k folds: `stratified(groups, 2 * k, seed) % k` are the k folds.
    """
    numbers = np.empty(len(groups), dtype=np.intp)
    order = np.lexsort((np.random.default_rng(seed).random(len(groups)), np.unique(groups, return_inverse=True)[1]))
    numbers[order] = np.arange(len(groups)) % folds
    return numbers
