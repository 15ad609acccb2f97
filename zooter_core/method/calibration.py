"""Calibration: a router's probabilities against how often each candidate gave the best answer, in numpy.

Shapes: n queries, N candidates; `wins` is `metrics.win_shares` of the scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zooter_core.method.metrics import Array

BINS = 10
TINY = 1e-300  # what divides instead of 0
SHARPEST, FLATTEST = 0.02, 50.0  # the range of temperatures that is searched
GOLDEN = (5**0.5 - 1) / 2
ROUNDS = 40  # of the search; a round leaves 0.618 of the range


def log_loss(logits: Array, wins: Array, temperature: float = 1.0) -> float:
    """Mean over queries of -sum_i wins_i log softmax(logits / temperature)_i, in nats."""
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(axis=-1)) - (wins * scaled).sum(axis=-1)).mean())


def temperature_of(logits: Array, wins: Array) -> float:
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


def reliability(probabilities: Array, wins: Array) -> dict[str, Any]:
    """The chosen candidate's probability against its share of wins, in bins of equal width.

    Where some candidates have no score, a probability is that of winning against those that have one; a query whose
    choice has none does not count.

    Returns `n`, the number of queries; `ece`, the expected calibration error (Guo et al., equation 3; None without a
    query); and `bins`, the bins with a query: `from`, `to`, `n`, and the means `probability` and `won`.

    Args:
        probabilities: shape (n, N).
        wins: shape (n, N), NaN for a missing score.
    """
    chosen = probabilities.argmax(axis=-1)
    rows = np.arange(len(chosen))
    gaps = np.isnan(wins)
    if gaps.any():
        rows = np.flatnonzero(~gaps[rows, chosen])
        scored = np.where(gaps, 0.0, probabilities)
        probabilities = scored / np.maximum(scored.sum(axis=-1, keepdims=True), TINY)
    stated, won = probabilities[rows, chosen[rows]], wins[rows, chosen[rows]]
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
    return {"n": len(rows), "ece": error / len(rows) if len(rows) else None, "bins": filled}
