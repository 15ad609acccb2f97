"""Linear regression that finds its regularisation from the data: empirical Bayes, in numpy.

    y_i(q) = x(q) w_i + noise,   w_ki ~ N(0, r_g v) for each feature k of group g,   noise ~ N(0, v)

1. The evidence of some ratios r is the density of the scores under them, with v at its maximum,

       log p(y | r) = -M / 2 log(sum over i of y_i' C_i^-1 y_i) - 1/2 sum over i of log det C_i,
       C_i = I + sum over g of r_g X_g X_g'   on the queries that have candidate i's score, M scores in all.

   It needs no queries set aside: ratios that fit noise lose more by the determinant (MacKay, Bayesian interpolation,
   1992).
2. The weights are the posterior mean for each r of a grid, averaged by evidence (Hoeting et al., Bayesian model
   averaging, 1999). A group of features that is unrelated to the scores gets weights near 0.

Shapes: n queries, d features, G groups of features, N candidates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.metrics import Array

Rows = NDArray[np.intp]
TINY = np.finfo(np.float64).tiny


def scored_alike(scores: Array) -> Iterator[tuple[NDArray[np.bool_], Rows]]:
    """Groups of candidates with scores on the same queries: which queries these are, shape (n,), and their columns."""
    patterns, numbers = np.unique(~np.isnan(scores).T, axis=0, return_inverse=True)
    for number, scored in enumerate(patterns):
        if scored.any():
            yield scored, np.flatnonzero(numbers.reshape(-1) == number)


def shares(features: Array, groups: Rows, scores: Array, grid: Array, before: Array | float = 0.0) -> Array:
    """The probability of each row of ratios, by its evidence. Shape (rows,).

    Args:
        features: shape (n, d).
        groups: each feature's group, shape (d,).
        scores: shape (n, N), NaN where one is missing.
        grid: shape (rows, G).
        before: the logarithm of each row's prior probability, up to a constant, shape (rows,).
    """
    parts = [features[:, groups == group] for group in range(grid.shape[1])]
    kernels = [part @ part.T for part in parts]
    alike, count = list(scored_alike(scores)), np.count_nonzero(~np.isnan(scores))
    evidence = np.empty(len(grid))
    for row, ratios in enumerate(grid):
        covariance = np.eye(len(features)) + np.tensordot(ratios, kernels, axes=1)
        squares = logs = 0.0
        for scored, columns in alike:
            part, y = covariance[np.ix_(scored, scored)], scores[np.ix_(scored, columns)]
            squares += float((y * np.linalg.solve(part, y)).sum())
            logs += len(columns) * float(np.linalg.slogdet(part)[1])
        evidence[row] = -count / 2 * np.log(max(squares, TINY)) - logs / 2  # squares are 0 if all scores tie
    evidence += before
    weights = np.exp(evidence - evidence.max())
    return np.asarray(weights / weights.sum())


def posterior(features: Array, scores: Array, ratios: Array) -> Array:
    """The posterior mean of the weights, R X' (X R X' + I)^-1 y with R = diag(r). Shape (d, N).

    Args:
        features: X, shape (n, d).
        scores: y, shape (n, N), none missing.
        ratios: each feature's ratio, shape (d,).
    """
    scaled = features * ratios
    return np.asarray(scaled.T @ np.linalg.solve(scaled @ features.T + np.eye(len(features)), scores))


def posterior_of_sums(gram: Array, product: Array, ratios: Array) -> Array:
    """The same as (X'X + R^-1)^-1 X'y, which is faster if there are more queries than features.

    Args:
        gram: X'X, shape (d, d).
        product: X'y, shape (d, N).
    """
    roots = np.sqrt(ratios)[:, np.newaxis]
    return np.asarray(roots * np.linalg.solve(roots * gram * roots.T + np.eye(len(gram)), roots * product))
