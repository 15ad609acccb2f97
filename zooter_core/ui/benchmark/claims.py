"""What the figures of a report and of a sweep let one say, in words; no sentence claims more than its interval."""

from __future__ import annotations

from collections.abc import Sequence

from zooter_core.evaluation.report_tables import Figures, as_good, pool_of
from zooter_core.ui.text import plain

FEW = 30  # queries: with fewer an interval from resampling them is too narrow to go by


def of_report(held_back: Figures) -> list[str]:
    """Markdown sentences on the router against the best single candidate, the oracle and RMR."""
    mean, spread = held_back["mean"], held_back["interval"]
    single = f"**{plain(held_back['average']['best_single']['candidate'])}**"
    n = held_back["n"]
    said = []
    if between := spread.get("chosen_minus_best_single"):
        said.append(_difference(mean["chosen"] - mean["best_single"], between, n, f"{single}, the best model alone"))
    said += _gap(held_back, single)
    regret = {key: _worth(mean[key], spread[key]) for key in ("regret", "regret_best_single", "regret_random")}
    said.append(
        f"Regret, how much less than the best response to a query: of the router {regret['regret']}, of {single} "
        f"{regret['regret_best_single']}, of a model taken at random {regret['regret_random']}."
    )
    if between := spread.get("chosen_minus_rmr"):
        rmr = f"**RMR**, which runs {_all(len(pool_of(held_back)))} for every query"
        said.append(_difference(mean["chosen"] - mean["rmr"], between, n, rmr))
    return said


def _all(count: int) -> str:
    return f"all {count} models" if count > 2 else "both models" if count == 2 else "the one model"


def _difference(difference: float, between: Sequence[float], n: int, other: str) -> str:
    """The router against another method; a verdict only where the interval leaves out 0 and queries are enough."""
    low, high = between
    figures = f"95% interval {low:.3f} to {high:.3f}, {n:,} held-back queries"
    if n < FEW:
        return (
            f"On these {n} queries the router earns {difference:+.3f} reward a query against {other} ({figures}). "
            "So few are not enough to tell whether it is better."
        )
    if low > 0:
        return f"The router earns **more** than {other}: {difference:.3f} reward a query ({figures})."
    if high < 0:
        figures = f"95% interval {-high:.3f} to {-low:.3f}, {n:,} held-back queries"
        return f"The router earns **less** than {other}: {-difference:.3f} reward a query ({figures})."
    return (
        f"The router **cannot be told** from {other}: the difference, {difference:+.3f} reward a query, may as "
        f"well be none ({figures})."
    )


def _worth(mean: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"**{mean:.3f}** ({low:.3f} to {high:.3f})"


def _gap(held_back: Figures, single: str) -> list[str]:
    """How much of the way from the best single candidate to the oracle the router has come."""
    mean = held_back["mean"]
    way = mean["oracle"] - mean["best_single"]
    if way <= 0:
        return [f"There is nothing to gain by routing here: {single} alone is as good as the oracle on every query."]
    share = (mean["chosen"] - mean["best_single"]) / way
    if found := held_back.get("gap_closed"):
        low, high = found["interval"]
        rest = f"95% interval {low:.0%} to {high:.0%}"
    else:
        rest = (
            "too few queries for an interval" if "gap_closed" in held_back else "this report holds no interval for it"
        )
    if share < 0:
        return [
            f"On the way from {single} to the oracle the router goes backwards, by {-share:.0%} of the way on these "
            f"queries ({rest})."
        ]
    return [f"On these queries it comes **{share:.0%}** of the way from {single} to the oracle ({rest})."]


def of_sweep(sweep: Figures) -> str:
    """Whether the best beta is better than the others beyond noise."""
    best, many = sweep["best"], len({row["tau"] for row in sweep["rows"]}) > 1

    def name(row: Figures) -> str:
        return f"{row['beta']:g}" + (f" with tau {row['tau']:g}" if many else "")

    others, near = len(sweep["rows"]) - 1, as_good(sweep)
    if not others:
        return f"Only beta {name(best)} was tried: there is nothing to compare it with."
    if not near:
        return (
            f"Beta **{name(best)}** earned the most, and each of the other {others} **less beyond noise**: no 95% "
            "interval of the difference reaches 0. It was picked on these very queries, which flatters it a little."
        )
    which, count = ", ".join(name(row) for row in near), "all" if len(near) == others else str(len(near))
    return (
        f"Beta **{name(best)}** earned the most, but **within noise**: {count} of the other {others} may be as "
        f"good (the 95% interval of the difference reaches 0): {which}."
    )
