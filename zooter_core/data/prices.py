"""The cost of candidates, and the trade-off between quality and price at routing time, without retraining."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.records import Decision
from zooter_core.config.candidates import CandidateConfig
from zooter_core.config.fleet import Fleet
from zooter_core.method import metrics
from zooter_core.method.metrics import Array, mean

IMPROVEMENT = 0.1  # `willingness_to_pay` is the price of this gain in the probability of the best answer
TOKENS = 300  # the assumed length of a response if it is unknown
STARTING = 0.1  # the willingness of a starting router (figures in docs/notebook/routers.md)


def price_list(fleet: Fleet, pool: Sequence[str]) -> Array:
    """The price of each candidate of a pool in US dollars per million output tokens, shape (N,).

    Raises:
        ZooterError: a candidate is not in the fleet, or has no price there.
    """
    prices = [fleet.candidate(name).usd_per_million_tokens for name in pool]
    if missing := [name for name, price in zip(pool, prices, strict=True) if price is None]:
        expected = f"a price of every candidate in fleet.toml of {fleet.name}"
        step = "Add usd_per_million_tokens = ... to each [[candidate]]; 0 if it is free."
        raise ZooterError(expected, f"no valid price of {listed(missing)}", step)
    return np.array(prices, dtype=np.float64)


def known_prices(fleet: Fleet, pool: Sequence[str]) -> Array | None:
    """Like `price_list`, but None if a candidate of the pool has no price."""
    priced = {candidate.name for candidate in fleet.candidates if candidate.usd_per_million_tokens is not None}
    return price_list(fleet, pool) if priced.issuperset(pool) else None


def find_willingness(fleet: Fleet) -> float:
    """The probability that the fleet's router gives up for the lowest price: `[router] willingness` in fleet.toml.

    The default is 0 for a trained router. It is STARTING for a starting router, which can only guess the gain from a
    higher price.
    """
    if fleet.willingness is not None:
        return fleet.willingness
    return STARTING if fleet.router is None else 0.0


def assumed(fleet: Fleet) -> Array:
    """Each candidate's price for choosing, shape (N,), with assumptions for candidates without a price in fleet.toml.

    Candidates on this machine count as free. Hosted candidates count as the most expensive, so that they are not chosen
    for an unknown price.
    """
    written = [candidate.usd_per_million_tokens for candidate in fleet.candidates]
    highest = max((price for price in written if price is not None), default=0.0)
    unknown = [0.0 if runs_here(candidate) else highest for candidate in fleet.candidates]
    return np.array([instead if price is None else price for price, instead in zip(written, unknown, strict=True)])


def runs_here(candidate: CandidateConfig) -> bool:
    return candidate.endpoint is None or candidate.endpoint.local


def describe_weighing(fleet: Fleet) -> str:
    """A sentence on how the fleet's router weighs prices; "" if it does not."""
    willingness, costs = find_willingness(fleet), assumed(fleet)
    if not willingness or not costs.max() > costs.min():
        return ""
    unknown = [one.name for one in fleet.candidates if one.usd_per_million_tokens is None and not runs_here(one)]
    guess = f" Without a price there, these count as the dearest: {listed(unknown)}." if unknown else ""
    lead = f"the dearest model answers if it leads a free one by a probability of {willingness:.3g}"
    return f"It weighs the prices of fleet.toml: {lead} ([router] willingness).{guess}"


def why(decision: Decision) -> str:
    """A sentence on a choice that depended on prices; "" if the most probable candidate was chosen."""
    dearer, name = decision.most_probable, decision.candidate
    if dearer == name:
        return ""
    ahead = 100 * (decision.probabilities[dearer] - decision.probabilities[name])
    lead = f"is {ahead:.0f} points more probable" if ahead >= 0.5 else "is as probable"
    return f"{name} is chosen for its price: {dearer} {lead}, which its price is not worth here."


def cost(candidate: CandidateConfig, prompt: int, answer: int, cached: int = 0) -> float | None:
    """The cost of an answer in US dollars.

    If both prices are missing, candidates on this machine are free, and the cost of others is None. If only one of the
    two prices is missing, it counts as 0.

    Args:
        prompt, answer: the number of input and output tokens.
        cached: the number of tokens of the prompt that the server had cached.
    """
    reading, again = candidate.usd_per_million_prompt_tokens, candidate.usd_per_million_cached_tokens
    if candidate.usd_per_million_tokens is None and reading is None:
        return 0.0 if runs_here(candidate) else None
    paid = (candidate.usd_per_million_tokens or 0) * answer + (reading or 0) * (prompt - cached)
    return (paid + (reading or 0 if again is None else again) * cached) / 1e6


def dollars(prices: Array, tokens: Array) -> Array:
    """The cost of each response in US dollars per thousand queries, without the prompts, shape (n, N).

    Args:
        prices: dollars per million tokens, shape (N,).
        tokens: the lengths of the responses, shape (n, N).
    """
    return prices / 1e6 * tokens * 1000


def check_willingness(willingness: float) -> None:
    """Raise a ZooterError if the willingness is below 0 or not finite."""
    if not 0 <= willingness < math.inf:
        raise ZooterError("a willingness of 0 or above", f"{willingness:g}", "Use 0 to ignore prices.")


def utilities(probabilities: Array, costs: Array, share: float, worth: float | None = None) -> Array:
    """utility_i = probability_i - share * cost_i / worth, shape (..., N). If share is 0, the probabilities.

    `share` is the probability of the best answer that is given up to save costs of `worth`. The option `--willingness`
    sets `share`, where `worth` is the highest price. The endpoint's `willingness_to_pay` (a parameter of Martian's API)
    sets `worth` in dollars, where `share` is IMPROVEMENT.

    Args:
        worth: an amount in the unit of the costs. By default, the highest cost.
    """
    return probabilities - share * costs / ((costs.max() or 1.0) if worth is None else worth)


def by_willingness(fleet: Fleet, decision: Decision, willingness: float) -> Decision:
    """The decision by utility with the prices in fleet.toml, for `--willingness`.

    Missing prices are an error and not assumed, because the user has asked for this explicitly.

    Raises:
        ZooterError: the willingness is below 0 or not finite, or above 0 and a candidate has no price.
    """
    check_willingness(willingness)
    names = list(decision.probabilities)
    return weighed(decision, price_list(fleet, names) if willingness else np.zeros(len(names)), willingness)


def weighed(decision: Decision, costs: Array, willingness: float) -> Decision:
    """The decision by utility. It is by probability alone if the willingness is 0 or all candidates are free.

    Args:
        costs: the candidates' costs, shape (N,).
    """
    if not willingness or not costs.any():
        return Decision.of(decision.query, decision.probabilities, decision.tags)
    return _traded(decision, list(decision.probabilities), costs, willingness)


def by_dollars(decision: Decision, costs: Mapping[str, float | None], dollars: float) -> Decision:
    """The decision by utility among some candidates, with the costs of their answers, for `willingness_to_pay`.

    Args:
        costs: the cost of each candidate's answer in dollars.
        dollars: the willingness to pay, which is 0 or more. At 0, the cheapest candidate has the highest utility.
    """
    # With a willingness to pay of 0, any cost outweighs any probability.
    return _traded(decision, list(costs), np.array(list(costs.values()), float), IMPROVEMENT, max(dollars, 1e-12))


def _traded(
    decision: Decision, names: Sequence[str], costs: Array, share: float, worth: float | None = None
) -> Decision:
    values = utilities(np.array([decision.probabilities[name] for name in names]), costs, share, worth).tolist()
    by_name = dict(zip(names, values, strict=True))
    return Decision.of(decision.query, decision.probabilities, decision.tags, by_name)


@dataclass(frozen=True)
class ChoiceMeans:
    """Means over queries: the score (of the `n` choices with a score), the price of the chosen candidate in dollars per
    million tokens, and the dollars per thousand queries."""

    n: int
    score: float
    price: float
    dollars: float


@dataclass(frozen=True)
class Trade(ChoiceMeans):
    """Choosing with prices compared with choosing by probability alone, with the 95% interval of the gain in score."""

    willingness: float
    at_0: ChoiceMeans
    score_minus: tuple[float, float]


def trade(probabilities: Array, table: Array, prices: Array, costs: Array, willingness: float) -> Trade:
    """The score and cost of choosing by utility, compared with choosing by probability.

    Args:
        table: scores, shape (n, N).
        costs: dollars per thousand queries of each response, shape (n, N).
    """
    rows = np.arange(len(table))

    def choose(values: Array) -> tuple[Array, ChoiceMeans]:
        picks = values.argmax(axis=1)
        earned = table[rows, picks]
        paid, count = float(costs[rows, picks].mean()), int(np.isfinite(earned).sum())
        return earned, ChoiceMeans(count, float(mean(earned)), float(prices[picks].mean()), paid)

    traded, figures = choose(utilities(probabilities, prices, willingness))
    plain, at_0 = choose(probabilities)
    return Trade(**vars(figures), willingness=willingness, at_0=at_0, score_minus=metrics.interval(traded - plain))


@dataclass(frozen=True)
class Spent:
    """Mean costs of the chosen candidates, each candidate, a random candidate, and all candidates together.

    The unit is, for example, dollars per thousand queries. `n` is the number of queries if it is not that of all.
    """

    chosen: float
    candidates: dict[str, float]
    random: float
    all: float
    n: int | None = None


def spent(candidates: Sequence[str], chosen: NDArray[np.intp], costs: Array) -> Spent | None:
    """The mean costs of choices over the queries where every candidate has a cost; None if there are no such queries.

    Args:
        chosen: the indices of the chosen candidates, shape (n,).
        costs: the costs of the responses, for example in dollars per thousand queries, shape (n, N).
    """
    complete = np.isfinite(costs).all(axis=1)  # the same queries for each method
    if not complete.any():
        return None
    chosen, costs = chosen[complete], costs[complete]
    return Spent(
        chosen=float(costs[np.arange(len(chosen)), chosen].mean()),
        candidates=dict(zip(candidates, costs.mean(axis=0).tolist(), strict=True)),
        random=float(costs.mean()),
        all=float(costs.sum(axis=1).mean()),
        n=None if complete.all() else int(complete.sum()),
    )
