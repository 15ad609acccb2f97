"""Whether a new router earns more than the one that serves, from queries that both were compared on, one at a time.

Champion and challenger differ on some queries. Where they do and both choices have a reward, the difference
d = r(challenger) - r(champion) is a *pair*. Looking again after every pair with an ordinary test promotes by mistake,
so the evidence is a bet: someone who believes that the challenger is no better offers fair odds, and the capital

    K_n = product over t <= n of (1 + l_t d_t / b),   0 <= l_t <= LARGEST_BET,   |d_t| <= b

of who bets against that grows beyond 1 / alpha with a probability of at most alpha, however often one looks (Ville's
inequality). The bet l_t may depend on the pairs before t alone. It is that of Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting" (JRSS B, 2024), section B.3 (approximate growth rate, truncated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LARGEST_BET = 0.5  # of the capital: a pair that goes wrong takes half of it at most
PRIOR_PAIRS, PRIOR_VARIANCE = 1.0, 0.25  # before the first pair, on the scale of d / b


@dataclass(frozen=True)
class Gate:
    """When a challenger is promoted.

    Attributes:
        pairs: how many pairs are needed. Only the latest of that number count.
        margin: their mean must be at least this much, in spreads of the rewards (`partial_rewards.spread`).
        errors: their mean must also be at least this many of its standard errors.
        alpha: the probability that a challenger that is no better is called proved.
        bound: the largest difference that counts in a bet, in spreads; larger ones are cut to it.
    """

    pairs: int = 50
    margin: float = 0.2
    errors: float = 1.5
    alpha: float = 0.05
    bound: float = 4.0


@dataclass(frozen=True)
class Evidence:
    """What the pairs say.

    Attributes:
        pairs: how many there are.
        mean: of the latest ones that the gate looks at, in units of reward; None without any.
        capital: of the bet; from 1 / alpha on it has ever reached, the challenger is proved.
        proved: the challenger is better, with an error of alpha however often this was looked at.
        passes: proved, or enough pairs with a mean above the margin.
    """

    pairs: int
    mean: float | None
    capital: float
    proved: bool
    passes: bool


def capital(differences: Array, bound: float) -> Array:
    """The capital after each pair, shape (n,), from 1 before the first.

    Args:
        differences: in their order, shape (n,); those beyond `bound` are cut to it on both sides.
    """
    d = np.clip(np.asarray(differences, dtype=np.float64) / bound, -1.0, 1.0)
    before = np.arange(len(d)) + PRIOR_PAIRS
    means = (np.cumsum(d) - d) / before
    squares = (np.cumsum(d**2) - d**2 + PRIOR_PAIRS * PRIOR_VARIANCE) / before  # variance + mean^2
    bets = np.clip(means / np.maximum(squares, 1e-12), 0.0, LARGEST_BET)
    return np.exp(np.cumsum(np.log1p(bets * d)))


def evidence(differences: Array, spread: float, gate: Gate) -> Evidence:
    """What the pairs of a champion and a challenger say, in the order in which they came.

    Args:
        differences: rewards of the challenger's choices minus those of the champion's, shape (n,).
        spread: of the rewards; where it is 0, nothing can be told apart and nothing passes.
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
