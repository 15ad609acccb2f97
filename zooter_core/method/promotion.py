"""A sequential test of whether a new router (the challenger) earns more than the serving one (the champion).

Champion and challenger choose different candidates for some queries. If both choices have a reward, the difference
d = r(challenger) - r(champion) is a *pair*. An ordinary test that is repeated after every pair would promote too many
challengers by chance, so the evidence is a bet against the hypothesis that the challenger is no better. If the
hypothesis is true, the capital

    K_n = product over t <= n of (1 + l_t d_t / b),   0 <= l_t <= LARGEST_BET,   |d_t| <= b

ever exceeds 1 / alpha with a probability of at most alpha, however often it is checked (Ville's inequality). The bet
l_t may depend only on the pairs before t. It is the bet of Waudby-Smith and Ramdas, "Estimating means of bounded random
variables by betting" (JRSS B, 2024), section B.3 (approximate growth rate, truncated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LARGEST_BET = 0.5  # share of the capital, so that a pair costs at most half of it
PRIOR_PAIRS, PRIOR_VARIANCE = 1.0, 0.25  # before the first pair, on the scale of d / b


@dataclass(frozen=True)
class Gate:
    """When a challenger is promoted.

    Attributes:
        pairs: the number of pairs that are needed. Only the latest ones, up to this number, count for the mean.
        margin: the least mean of the pairs, in spreads of the rewards (`partial_rewards.spread`).
        errors: the least mean of the pairs, in its standard errors.
        alpha: the probability that a challenger that is no better counts as proved.
        bound: the largest difference that counts in a bet, in spreads; larger ones are cut to it.
    """

    pairs: int = 50
    margin: float = 0.2
    errors: float = 1.5
    alpha: float = 0.05
    bound: float = 4.0


@dataclass(frozen=True)
class Evidence:
    """The result of the test.

    Attributes:
        pairs: the number of pairs.
        mean: the mean of the latest pairs (`Gate.pairs`), in units of reward; None without pairs.
        capital: the current capital of the bet.
        proved: whether the capital has ever reached 1 / alpha: the challenger is better, with an error probability of
            at most alpha, however often the test is repeated.
        passes: whether the challenger is proved, or has enough pairs with a mean above the margin.
    """

    pairs: int
    mean: float | None
    capital: float
    proved: bool
    passes: bool


def capital(differences: Array, bound: float) -> Array:
    """The capital after each pair, shape (n,); it is 1 before the first.

    Args:
        differences: the pairs in their order, shape (n,). They are clipped to [-bound, bound].
    """
    d = np.clip(np.asarray(differences, dtype=np.float64) / bound, -1.0, 1.0)
    before = np.arange(len(d)) + PRIOR_PAIRS
    means = (np.cumsum(d) - d) / before
    squares = (np.cumsum(d**2) - d**2 + PRIOR_PAIRS * PRIOR_VARIANCE) / before  # variance + mean^2
    bets = np.clip(means / np.maximum(squares, 1e-12), 0.0, LARGEST_BET)
    return np.exp(np.cumsum(np.log1p(bets * d)))


def evidence(differences: Array, spread: float, gate: Gate) -> Evidence:
    """The evidence from the pairs of a champion and a challenger.

    Args:
        differences: rewards of the challenger's choices minus those of the champion's, in their order, shape (n,).
        spread: the spread of the rewards; if it is 0, no challenger passes.
    """
    differences = np.asarray(differences, dtype=np.float64)
    count = len(differences)
    latest = differences[-gate.pairs :]
    if not count or spread <= 0:
        return Evidence(count, float(latest.mean()) if count else None, 1.0, False, False)
    mean = float(latest.mean())
    path = capital(differences, gate.bound * spread)
    proved = bool((path >= 1 / gate.alpha).any())
    doubt = float(latest.std()) / len(latest) ** 0.5
    enough = count >= gate.pairs and mean >= max(gate.margin * spread, gate.errors * doubt)
    return Evidence(count, mean, float(path[-1]), proved, proved or enough)
