"""What the figures of a report and of a sweep show, in sentences that claim no more than their intervals allow."""

from __future__ import annotations

import math
from collections.abc import Sequence

from zooter_core.evaluation.figures import BetaTau, Evaluation, Sweep
from zooter_core.ui.text import plain

FEW = 30  # queries; with fewer, a bootstrap interval over queries is too narrow


def of_report(held_back: Evaluation) -> list[str]:
    """The router against the best single model, the oracle and RMR, as sentences in Markdown."""
    mean, intervals = held_back.mean, held_back.interval
    single = _best_single(held_back)
    keys = ("regret", "regret_best_single", "regret_random")
    regret = {key: _with_interval(getattr(mean, key), getattr(intervals, key)) for key in keys}
    rmr = f"**RMR**, which runs {_all_models(len(held_back.pool))} for every query"
    return [
        against_best_single(held_back),
        _gap(held_back, single),
        *_best_choice(held_back, single),
        f"Regret, the reward lost against the best response to each query: router {regret['regret']}, {single} "
        f"{regret['regret_best_single']}, a random model {regret['regret_random']}.",
        _difference(mean.chosen - mean.rmr, intervals.chosen_minus_rmr, held_back.n, rmr),
    ]


def against_best_single(held_back: Evaluation) -> str:
    """The router against the best single model, as Markdown."""
    mean = held_back.mean
    other = f"{_best_single(held_back)}, the best single model"
    interval = held_back.interval.chosen_minus_best_single
    return _difference(mean.chosen - mean.best_single, interval, held_back.n, other)


def _best_single(held_back: Evaluation) -> str:
    return f"**{plain(held_back.best_single)}**"


def _all_models(count: int) -> str:
    return f"all {count} models" if count > 2 else "both models" if count == 2 else "the one model"


def _difference(difference: float, interval: Sequence[float], n: int, other: str) -> str:
    """The router against another method; a verdict only if the interval excludes 0 and there are enough queries."""
    low, high = interval
    amount, queries = _rounded(difference, interval, "+"), f"{n:,} held-back queries"
    if n < FEW:
        return (
            f"The router differs from {other}, by {amount} per query ({_ci(low, high)}, {queries}). "
            "With so few queries, that does not show whether it is better."
        )
    if low > 0:
        return (
            f"The router is **better** than {other}, by {amount.lstrip('+')} per query ({_ci(low, high)}, {queries})."
        )
    if high < 0:
        less = amount.lstrip("-")
        return f"The router is **worse** than {other}, by {less} per query ({_ci(-high, -low)}, {queries})."
    return f"**No significant difference** from {other}: {amount} per query ({_ci(low, high)}, {queries})."


def _decimals(low: float, high: float) -> int:
    """The decimals that a mean with this interval can bear: two digits of the interval's width, but two to four."""
    return min(max(1 - math.floor(math.log10(high - low)), 2), 4) if high > low else 3


def _rounded(value: float, interval: Sequence[float], sign: str = "") -> str:
    return f"{value:{sign}z.{_decimals(*interval)}f}"  # z: no "-0.00"


def _ci(low: float, high: float) -> str:
    return f"95% CI {_rounded(low, (low, high))} to {_rounded(high, (low, high))}"


def _with_interval(mean: float, interval: Sequence[float]) -> str:
    low, high = (_rounded(end, interval) for end in interval)
    return f"**{_rounded(mean, interval)}** ({low} to {high})"


def _gap(held_back: Evaluation, single: str) -> str:
    """How much of the gap between the best single model and the oracle the router closes."""
    if (share := held_back.share_of_gap) is None:
        return f"Routing cannot gain anything here: {single} alone is as good as the oracle on every query."
    precision = "too few queries for an interval"
    if held_back.gap_closed:
        low, high = held_back.gap_closed.interval
        precision = f"95% CI {low:.0%} to {high:.0%}"
    if share < 0:
        return f"It does not close the gap between {single} and the oracle but widens it by {-share:.0%} ({precision})."
    return f"It closes **{share:.0%}** of the gap between {single} and the oracle ({precision})."


def _best_choice(held_back: Evaluation, single: str) -> list[str]:
    """How often the router and the best single model are the best choice; nothing in reports that do not say."""
    shares = held_back.best_choice
    router, alone = shares.get("router"), shares.get("best_single")
    if router is None or alone is None:
        return []
    (low, high), (from_, to) = router.interval, alone.interval
    return [
        f"It chooses the best model in **{router.share:.0%}** of cases (95% CI {low:.0%} to {high:.0%}), {single} "
        f"alone is best in **{alone.share:.0%}** ({from_:.0%} to {to:.0%})."
    ]


def of_sweep(sweep: Sweep) -> str:
    """Whether the best beta is significantly better than the others, as Markdown."""
    best, others, near, taus = sweep.best, sweep.others, sweep.as_good, {row.tau for row in sweep.rows}

    def name(row: BetaTau) -> str:
        return f"{row.beta:g}" + (f" with tau {row.tau:g}" if len(taus) > 1 else "")

    if not others:
        return f"Only beta {name(best)} was tried, so there is nothing to compare it with."
    top = f"Beta **{name(best)}** scores highest"
    if not near:
        return (
            f"{top}, and **significantly higher** than each of the other {len(others)}: no 95% interval of the "
            "difference reaches 0. It was chosen on these same queries, which favours it a little."
        )
    if len(near) == len(others):
        return (
            f"**No significant difference** between the {len(others) + 1} values of beta: the 95% intervals of "
            f"all differences from the highest score (beta {name(best)}) reach 0. These scores do not show that beta "
            "matters."
        )
    return (
        f"{top}, but **no significant difference** from {len(near)} of the other {len(others)} (their 95% intervals "
        f"reach 0): {', '.join(map(name, near))}."
    )
