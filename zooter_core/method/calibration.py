"""Calibration: a router's probabilities against how often each candidate gave the best answer, in numpy.

Shapes: n queries, N candidates; `wins` is `metrics.win_shares` of the scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zooter_core.method.metrics import DRAWS, LEVEL, Array

BINS = 10
TINY = 1e-300  # a divisor instead of 0
SHARPEST, FLATTEST = 0.02, 50.0  # the range of temperatures that is searched
GOLDEN = (5**0.5 - 1) / 2
ROUNDS = 40  # rounds of the search; each keeps 0.618 of the range
CLEARLY = 0.99  # an error is not due to chance if it exceeds those of 99% of calibrated routers
LEAST_ERROR = 0.05  # smaller errors do not matter in practice
FEW = 10  # queries; in bins with fewer, the spread follows from the probability


def log_loss(logits: Array, wins: Array, temperature: float = 1.0) -> float:
    """Mean over queries of -sum_i wins_i log softmax(logits / temperature)_i, in nats."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(axis=-1)) - (wins * scaled).sum(axis=-1)).mean())


def fit_temperature(logits: Array, wins: Array) -> float:
    """The temperature with the least log loss (Guo et al., 2017, arXiv 1706.04599, section 4.2).

    The loss is convex in 1 / temperature, so a golden-section search on the logarithm finds the minimum.
    """
    low, high = np.log(SHARPEST), np.log(FLATTEST)
    for _ in range(ROUNDS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if log_loss(logits, wins, float(np.exp(left))) < log_loss(logits, wins, float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


@dataclass(frozen=True)
class Reliability:
    """The chosen candidate's probability against its share of wins.

    Attributes:
        ece: the expected calibration error (Guo et al., equation 3); NaN without a query.
        bins: the bins of equal width with a query: `from`, `to`, `n`, and the means `probability` and `won`.
        n: queries whose choice has a score; None in reports of earlier versions.
    """

    ece: float
    bins: list[dict[str, float]]
    n: int | None = None

    def __post_init__(self) -> None:
        if not all({"from", "to", "n", "probability", "won"} <= set(one) for one in self.bins):
            raise ValueError("a bin is incomplete")


def reliability(probabilities: Array, wins: Array) -> Reliability:
    """The chosen candidate's probability against its share of wins, in bins of equal width.

    If some candidates have no score, the probability is that of winning against those with a score. Queries whose
    choice has no score are left out.

    Args:
        probabilities: shape (n, N).
        wins: shape (n, N), NaN for a missing score.
    """
    stated, won = _stated_and_won(probabilities, wins)
    place = np.minimum((stated * BINS).astype(int), BINS - 1)
    filled = [
        {
            "from": number / BINS,
            "to": (number + 1) / BINS,
            "n": int((place == number).sum()),
            "probability": float(stated[place == number].mean()),
            "won": float(won[place == number].mean()),
        }
        for number in range(BINS)
        if (place == number).any()
    ]
    error = sum(b["n"] * abs(b["probability"] - b["won"]) for b in filled)
    return Reliability(error / len(stated) if len(stated) else math.nan, filled, len(stated))


def _stated_and_won(probabilities: Array, wins: Array) -> tuple[Array, Array]:
    """The probability of each query's choice and its share of the win, for queries whose choice has a score."""
    chosen = probabilities.argmax(axis=-1)
    rows = np.arange(len(chosen))
    gaps = np.isnan(wins)
    if gaps.any():
        rows = np.flatnonzero(~gaps[rows, chosen])
        scored = np.where(gaps, 0.0, probabilities)
        probabilities = scored / np.maximum(scored.sum(axis=-1, keepdims=True), TINY)
    return probabilities[rows, chosen[rows]], wins[rows, chosen[rows]]


@dataclass(frozen=True)
class Calibration:
    """How far a router's probabilities are from how often it was right, on a random sample.

    Attributes:
        error: the expected calibration error, with its 95% interval `low` to `high`.
        chance: the error that 99% of calibrated routers do not exceed on the same number of queries.
        stated, won: the mean probability of the choice, and how often it was the best.
        bins: as `reliability` gives them.
    """

    n: int
    error: float
    low: float
    high: float
    chance: float
    stated: float
    won: float
    bins: list[dict[str, float]]

    @property
    def off(self) -> bool:
        """Whether the probabilities are clearly wrong: by more than chance explains, and by enough to matter."""
        return self.error > max(self.chance, LEAST_ERROR)


def calibration(probabilities: Array, wins: Array) -> Calibration:
    """The calibration of probabilities on at least one query, and the error that chance alone explains.

    On few queries, the error is above 0 even for a calibrated router. So its interval is the basic bootstrap interval,
    which corrects for that, and `chance` is simulated: in each bin, the difference between probability and share of
    wins is normal with the spread of such wins (consistency resampling, Bröcker and Smith, 2007). The interval begins
    at 0 if chance explains the error.

    Args:
        probabilities: shape (n, N). wins: shape (n, N), NaN for a missing score.
    """
    stated, won = _stated_and_won(probabilities, wins)
    shown = reliability(probabilities, wins)
    place = np.minimum((stated * BINS).astype(int), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    used = counts > 0
    n = counts[used]
    gaps = np.bincount(place, stated - won, BINS)[used] / n
    chance = np.sqrt(np.bincount(place, stated * (1 - stated), BINS)[used]) / n
    squares = np.bincount(place, (stated - won) ** 2, BINS)[used] / n
    spread = np.where(n < FEW, chance, np.sqrt(np.maximum(squares - gaps**2, 0.0) / np.maximum(n - 1, 1)))
    noise, share = np.random.default_rng(0).normal(size=(DRAWS, len(n))), n / n.sum()
    calibrated = np.quantile(np.abs(noise * chance) @ share, CLEARLY)
    low, high = np.quantile(np.abs(gaps + noise * spread) @ share, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = shown.ece
    least = max(2 * error - high, 0.0) if error > calibrated else 0.0
    return Calibration(
        len(stated), error, float(least), max(2 * error - float(low), error), float(calibrated),
        float(stated.mean()), float(won.mean()), shown.bins,
    )  # fmt: skip
