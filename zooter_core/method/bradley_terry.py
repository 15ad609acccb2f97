"""The Bradley-Terry model in numpy: the strengths of n models, from races that one of several models won.

    P(i wins a race among S) = exp(u_i) / sum over j in S of exp(u_j)

For two models, this is the logistic function of u_i - u_j (Bradley and Terry, 1952); for more, Luce's choice rule
(1959).

1. The strengths u maximise the likelihood, by Newton's method. Each model begins with PRIOR wins in races of all, so
   that a model that has never lost has a finite strength.
2. Their covariance is the inverse of the Fisher information, the sum of diag(p) - p p' over the races. Of two models
   that won w_1 and w_2 races, the first's log-odds are log(w_1 / w_2), with the variance 1 / w_1 + 1 / w_2.

Only differences of strengths have a meaning: u sums to 0, and the inverse is taken on the space of differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.method.metrics import Z95, Array

PRIOR = 0.5  # wins; it reduces the bias of the log-odds of few races (Haldane, 1956)
MOST_STEPS, SMALLEST = 200, 1e-10


@dataclass(frozen=True)
class Strengths:
    """Estimated strengths.

    Attributes:
        values: u, shape (n,).
        covariance: shape (n, n).
    """

    values: Array
    covariance: Array

    def shares(self) -> Array:
        """Each model's probability of winning a race of all, with Wald's 95% interval for log-odds. Shape (n, 3).

        The log-odds u_i - log(sum over j != i of exp(u_j)) have the derivatives 1 for i and -s_j / (1 - s_i) for j.
        """
        odds = np.exp(self.values)
        shares = odds / odds.sum()
        derivatives = -shares / (1 - shares)[:, np.newaxis]
        np.fill_diagonal(derivatives, 1.0)
        errors = np.sqrt(np.einsum("ij,jk,ik->i", derivatives, self.covariance, derivatives))
        logits = np.log(shares / (1 - shares))
        return 1 / (1 + np.exp(-(logits[:, np.newaxis] + Z95 * errors[:, np.newaxis] * np.array([0, -1, 1]))))


def fit(races: NDArray[np.bool_], winners: Sequence[int], prior: float = PRIOR) -> Strengths:
    """The strengths of n models.

    Args:
        races: the models that took part in each race, shape (races, n); there may be no race.
        winners: each race's winner, as an index.
        prior: wins with which each model begins. At 0, there is no maximum if some models have won all races against
            the others.
    """
    n = races.shape[1]
    takes_part, counts = np.vstack([races, np.ones(n)]), np.append(np.ones(len(races)), n * prior)
    won = np.bincount(np.asarray(winners, dtype=np.intp), minlength=n) + prior
    values, covariance = np.zeros(n), np.eye(n)
    for _ in range(MOST_STEPS):
        odds = takes_part * np.exp(values)
        chances = odds / odds.sum(axis=1, keepdims=True)
        expected = counts @ chances
        information = np.diag(expected) - (chances.T * counts) @ chances
        covariance = np.linalg.inv(information + 1 / n) - 1 / n  # equal shifts carry no information
        step = covariance @ (won - expected)
        values = values + step / max(1.0, float(np.ptp(step)))  # a longer step might diverge
        if np.ptp(step) < SMALLEST:
            break
    return Strengths(values, covariance)
