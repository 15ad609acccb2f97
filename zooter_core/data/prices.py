"""What candidates cost, and a trade of quality against price at the time of a decision, without a new training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.config.fleet import Fleet
from zooter_core.errors import ZooterError, listed
from zooter_core.method import metrics

Array = NDArray[np.float64]
TOKENS = 300  # assumed of a response that is not at hand


def prices_of(fleet: Fleet, pool: Sequence[str]) -> Array:
    """Dollars a million tokens of each candidate of a pool, shape (N,).

    Raises:
        ZooterError: a candidate is not in the fleet, or has no price there.
    """
    found = [fleet.candidate(name).usd_per_million_tokens for name in pool]
    if wrong := [name for name, price in zip(pool, found, strict=True) if price is None or not 0 <= price < math.inf]:
        raise ZooterError(
            f"a price of every candidate in fleet.toml of {fleet.name}",
            f"none, or none that can be, of {listed(wrong)}",
            "Add usd_per_million_tokens = ... to each [[candidate]]; 0 where it is free.",
        )
    return np.array(found, dtype=np.float64)


def dollars(prices: Array, tokens: Array) -> Array:
    """What responses of so many tokens, shape (n, N), cost for a thousand such queries; the prompts are left out."""
    return prices / 1e6 * tokens * 1000


def check_willingness(willingness: float) -> None:
    """Refuse what cannot be traded with."""
    if not 0 <= willingness < math.inf:
        raise ZooterError("a willingness of 0 or above", f"{willingness:g}", "At 0 the price is no matter.")


def check_trade(fleet: Fleet, willingness: float) -> None:
    """The same, and that the fleet has the prices to trade with."""
    check_willingness(willingness)
    if willingness:
        prices_of(fleet, fleet.pool)


def utilities(probabilities: Array, prices: Array, willingness: float) -> Array:
    """utility_i = probability_i - willingness * price_i / highest price, shape (..., N).

    The willingness is how much probability of the best answer one gives up to go from the highest price to none; at 0
    the utilities are the probabilities.
    """
    check_willingness(willingness)
    return probabilities - willingness * prices / (prices.max() or 1.0)


def utilities_of(fleet: Fleet, probabilities: Mapping[str, float], willingness: float) -> dict[str, float]:
    """The utility of each candidate of one decision.

    Raises:
        ZooterError: a candidate has no price, or the willingness is below 0.
    """
    values = utilities(np.array(list(probabilities.values())), prices_of(fleet, list(probabilities)), willingness)
    return dict(zip(probabilities, values.tolist(), strict=True))


def trade(probabilities: Array, table: Array, prices: Array, costs: Array, willingness: float) -> dict[str, Any]:
    """What choosing by utility earns and costs, beside choosing by probability (`at_0`).

    Returns the mean `score`, `price` (dollars a million tokens of the candidate chosen) and `dollars` a thousand
    queries, all over queries, and the 95% bootstrap interval of what the score is more, `score_minus`.

    Args:
        table: scores, shape (n, N).
        costs: dollars a thousand queries of each response, shape (n, N).
    """
    rows = np.arange(len(table))

    def chosen(by: Array) -> tuple[Array, dict[str, float]]:
        picks = by.argmax(axis=1)
        earned = table[rows, picks]
        paid = {"price": float(prices[picks].mean()), "dollars": float(costs[rows, picks].mean())}
        return earned, {"score": float(earned.mean()), **paid}

    traded, found = chosen(utilities(probabilities, prices, willingness))
    plain, before = chosen(probabilities)
    return {"willingness": willingness, **found, "at_0": before, "score_minus": metrics.interval(traded - plain)}
