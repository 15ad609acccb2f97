"""The cost of candidates, and a trade-off of quality against price at routing time, without retraining."""

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
TOKENS = 300  # assumed length of a response, if it is not known
STARTING = 0.1  # the willingness of a starting router (figures in docs/notebook/routers.md)


def price_list(fleet: Fleet, pool: Sequence[str]) -> Array:
    """US dollars per million tokens that each candidate of a pool writes, shape (N,).

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
    """Like `price_list`; None if some candidate of the pool has no price."""
    priced = {candidate.name for candidate in fleet.candidates if candidate.usd_per_million_tokens is not None}
    return price_list(fleet, pool) if priced.issuperset(pool) else None


def find_willingness(fleet: Fleet) -> float:
    """How much probability the fleet's router gives up for the lowest price: `[router] willingness`, or by default
    STARTING for a starting router, which can only guess what a higher price gains, and 0 for a trained one."""
    if fleet.willingness is not None:
        return fleet.willingness
    return STARTING if fleet.router is None else 0.0


def assumed(fleet: Fleet) -> Array:
    """Every candidate's price for choosing, shape (N,), with assumptions for those without one in fleet.toml.

    One that runs on this machine counts as free, and a hosted one as the most expensive, so that it is not chosen for
    an unknown price.
    """
    written = [candidate.usd_per_million_tokens for candidate in fleet.candidates]
    highest = max((price for price in written if price is not None), default=0.0)
    unknown = [0.0 if runs_here(candidate) else highest for candidate in fleet.candidates]
    return np.array([instead if price is None else price for price, instead in zip(written, unknown, strict=True)])


def runs_here(candidate: CandidateConfig) -> bool:
    return candidate.endpoint is None or candidate.endpoint.local


def describe_weighing(fleet: Fleet) -> str:
    """How the fleet's router weighs prices, for people; empty if it does not."""
    willingness, costs = find_willingness(fleet), assumed(fleet)
    if not willingness or not costs.max() > costs.min():
        return ""
    unknown = [one.name for one in fleet.candidates if one.usd_per_million_tokens is None and not runs_here(one)]
    guess = f" Without a price there, these count as the dearest: {listed(unknown)}." if unknown else ""
    lead = f"the dearest model answers if it leads a free one by a probability of {willingness:.3g}"
    return f"It weighs the prices of fleet.toml: {lead} ([router] willingness).{guess}"


def why(decision: Decision) -> str:
    """A sentence on a choice that depended on prices; empty if the most probable candidate was chosen."""
    dearer, name = decision.most_probable, decision.candidate
    if dearer == name:
        return ""
    ahead = 100 * (decision.probabilities[dearer] - decision.probabilities[name])
    lead = f"is {ahead:.0f} points more probable" if ahead >= 0.5 else "is as probable"
    return f"{name} is chosen for its price: {dearer} {lead}, which its price is not worth here."


def cost(candidate: CandidateConfig, prompt: int, answer: int, cached: int = 0) -> float | None:
    """The cost of an answer in US dollars. Without any price, a candidate on this machine is free, and the cost of
    others is None. If only one of two prices is missing, it counts as 0.

    Args:
        prompt, answer: tokens that the candidate reads and writes.
        cached: tokens of the prompt that its server had cached.
    """
    reading, again = candidate.usd_per_million_prompt_tokens, candidate.usd_per_million_cached_tokens
    if candidate.usd_per_million_tokens is None and reading is None:
        return 0.0 if runs_here(candidate) else None
    paid = (candidate.usd_per_million_tokens or 0) * answer + (reading or 0) * (prompt - cached)
    return (paid + (reading or 0 if again is None else again) * cached) / 1e6


def dollars(prices: Array, tokens: Array) -> Array:
    """US dollars per thousand queries like each of these, shape (n, N), without the prompts.

    Args:
        prices: dollars per million tokens, shape (N,).
        tokens: the responses' lengths, shape (n, N).
    """
    return prices / 1e6 * tokens * 1000


def check_willingness(willingness: float) -> None:
    """Refuse a willingness that is below 0 or not finite."""
    if not 0 <= willingness < math.inf:
        raise ZooterError("a willingness of 0 or above", f"{willingness:g}", "Use 0 to ignore prices.")


def utilities(probabilities: Array, costs: Array, share: float, worth: float | None = None) -> Array:
    """utility_i = probability_i - share * cost_i / worth, shape (..., N). At a share of 0, the probabilities.

    `share` is the probability of the best answer that is given up to save costs of `worth`. Two parameters set them:
    with `--willingness`, it is the share for the highest price; with the endpoint's `willingness_to_pay` (Martian's
    parameter), it is the dollars for a share of IMPROVEMENT.

    Args:
        worth: in the unit of the costs. Default: the highest cost.
    """
    return probabilities - share * costs / ((costs.max() or 1.0) if worth is None else worth)


def by_willingness(fleet: Fleet, decision: Decision, willingness: float) -> Decision:
    """A decision by utility, with the prices of fleet.toml (`--willingness`). Who asks for it wants to know what is
    missing, so nothing is assumed.

    Raises:
        ZooterError: the willingness is below 0 or not finite, or above 0 and a candidate has no price.
    """
    check_willingness(willingness)
    names = list(decision.probabilities)
    return weighed(decision, price_list(fleet, names) if willingness else np.zeros(len(names)), willingness)


def weighed(decision: Decision, costs: Array, willingness: float) -> Decision:
    """A decision by utility; by probability alone if the willingness is 0 or everything is free.

    Args:
        costs: the candidates' costs, shape (N,).
    """
    if not willingness or not costs.any():
        return Decision.of(decision.query, decision.probabilities, decision.tags)
    return _traded(decision, list(decision.probabilities), costs, willingness)


def by_dollars(decision: Decision, costs: Mapping[str, float | None], dollars: float) -> Decision:
    """A decision by utility among some candidates, with the costs of their answers in dollars (`willingness_to_pay`).

    Args:
        dollars: 0 or more. At 0, the cheapest candidate has the highest utility.
    """
    # With nothing to pay, a dollar outweighs any probability.
    return _traded(decision, list(costs), np.array(list(costs.values()), float), IMPROVEMENT, max(dollars, 1e-12))


def _traded(
    decision: Decision, names: Sequence[str], costs: Array, share: float, worth: float | None = None
) -> Decision:
    values = utilities(np.array([decision.probabilities[name] for name in names]), costs, share, worth).tolist()
    by_name = dict(zip(names, values, strict=True))
    return Decision.of(decision.query, decision.probabilities, decision.tags, by_name)


@dataclass(frozen=True)
class ChoiceMeans:
    """Means over queries: the score on the `n` queries whose choice has one, the price of the chosen candidate in
    dollars per million tokens, and the dollars of a thousand queries."""

    n: int
    score: float
    price: float
    dollars: float


@dataclass(frozen=True)
class Trade(ChoiceMeans):
    """Choosing with prices compared with choosing by probability alone; the 95% interval of the gain in score."""

    willingness: float
    at_0: ChoiceMeans
    score_minus: tuple[float, float]


def trade(probabilities: Array, table: Array, prices: Array, costs: Array, willingness: float) -> Trade:
    """Score and cost of choosing by utility, compared with choosing by probability.

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
    """Mean costs with the chosen candidates, each candidate, a random one, and all of them; for instance the dollars of
    a thousand queries. `n`: on how many queries, where not on all."""

    chosen: float
    candidates: dict[str, float]
    random: float
    all: float
    n: int | None = None


def spent(candidates: Sequence[str], chosen: NDArray[np.intp], costs: Array) -> Spent | None:
    """Mean costs of choices on the queries where every candidate has a cost; None if there are none.

    Args:
        chosen: indices of candidates, shape (n,).
        costs: the responses' costs, e.g. in dollars per thousand queries, shape (n, N).
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
