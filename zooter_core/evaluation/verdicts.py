"""Verdicts on whether routing is worth it, from paired scores or a report, and the sentences for them.

The terminal, the pages and the demo show the same sentences. A sentence claims a difference only if its interval
supports it. Sentences are plain text, which pages must escape.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, Literal

import numpy as np

from zooter_core.arithmetic.sums import NUMBERS
from zooter_core.base.errors import ZooterError
from zooter_core.base.money import in_dollars
from zooter_core.config.fleet import Fleet
from zooter_core.data.prices import Spent
from zooter_core.data.scores import OTHER, Scores
from zooter_core.evaluation.figures import (
    REGRETS,
    Evaluation,
    Interval,
    Kind,
    Report,
    Source,
    Sweep,
    SweepRow,
    Verdict,
    find,
    load_report,
)
from zooter_core.method.metrics import Array, without_gaps
from zooter_core.method.verdict import difference, fewest, stands_out

ENOUGH = 100  # held-back queries; with fewer, the verdict comes from cross-validation, which uses all training queries
MOST_KINDS = 3  # kinds of queries with gains, and with losses
MOST_NEEDED = 10_000  # the largest number of needed queries in a sentence
FAR = 2.0  # relative to the gap; larger percentages are hard to read
BORDERLINE = 1.5  # relative to the number of queries; below it, sentences call the result borderline
STARTING, PRESENT = "the starting router", "the present router"  # compared with the new router of an exam
BEST_SINGLE = "the best single model"  # in cross-validation, if the folds do not agree on one model
QUERIES = {"held-back": "held-back queries", "cross-validation": "cross-validated queries", "judged": "queries"}


def reach_verdict(
    scores: Scores,
    earned: Array,
    alone: Array,
    against: str,
    source: Source,
    hindsight: bool = False,
    folds: Array | None = None,
    corrected: bool = False,
) -> Verdict:
    """The verdict on choices for n queries by their scores, without costs and `never_needed`, which are set later.

    Args:
        scores: the scores of the queries, whose `kinds` are used for gains and losses.
        earned, alone: the scores of the router's choice and of the candidate `against`, shape (n,). If the best single
            candidates of the folds differ in cross-validation, the verdict does not name a candidate.
        folds, corrected: as in `difference`, for cross-validation.
    """
    gain = difference(earned, alone, folds, corrected)
    if source == "cross-validation":
        named, scored = scores.scores[:, scores.candidates.index(against)], np.isfinite(alone)
        against = against if np.allclose(named[scored], alone[scored]) else BEST_SINGLE
    gains, loses = _kinds(scores, earned - alone)
    return Verdict(
        **asdict(gain),
        against=against,
        source=source,
        hindsight=hindsight,
        points=bool(np.nanmin(scores.scores) >= 0 and np.nanmax(scores.scores) <= 1),
        gains=gains,
        loses=loses,
    )


def _kinds(scores: Scores, values: Array) -> tuple[list[Kind], list[Kind]]:
    """The kinds of queries whose differences are significantly above 0, and below 0.

    Args:
        values: the difference on each query, shape (n,).
    """
    rows: dict[str, list[int]] = {}
    for row, names in enumerate(scores.kinds):
        for name in dict.fromkeys(names):
            rows.setdefault(name, []).append(row)
    kinds = {name: without_gaps(values[places])[0] for name, places in rows.items() if len(places) >= fewest()}
    if len(rows) < 2:
        return [], []
    clear = [
        Kind(name=name, n=len(kind), difference=float(kind.mean()))
        for name, kind in kinds.items()
        if name != OTHER and stands_out(kind, len(kinds))
    ]
    clear.sort(key=lambda kind: -abs(kind.difference))
    gains, loses = ([kind for kind in clear if side * kind.difference > 0] for side in (1, -1))
    return gains[:MOST_KINDS], loses[:MOST_KINDS]


def with_cost(verdict: Verdict, spent: Spent, unit: Literal["dollars", "tokens"]) -> Verdict:
    """The verdict with the costs of the router and of the candidate that it is compared with."""
    cost, alone = spent.chosen, spent.candidates[verdict.against]
    if unit == "dollars":
        return replace(verdict, dollars=cost, dollars_against=alone)
    return replace(verdict, tokens=cost, tokens_against=alone)


def of_report(report: Report) -> Verdict | None:
    """The verdict in the report of a training run; from cross-validation if fewer than ENOUGH queries are held back."""
    held_back = report.held_back
    if report.cross_validation and (held_back is None or held_back.n < ENOUGH):
        return report.cross_validation
    return held_back.verdict if held_back else None


def load_fleet_report(fleet: Fleet) -> Report | None:
    """The report.json that belongs to a fleet's router.

    None if there is no readable report, or if the fleet has only a part of the report's candidates.
    """
    if fleet.router is None or (path := find(fleet.folder, fleet.router.path)) is None:
        return None
    with suppress(ZooterError):
        report = load_report(path)
        pool = set(report.candidates["all"].mean_reward)
        part = set(fleet.names_in(pool)) < pool
        return None if part else report
    return None


def load_fleet_verdict(fleet: Fleet) -> Verdict | None:
    """The verdict in the report of a fleet's router, if there is one."""
    report = load_fleet_report(fleet)
    return of_report(report) if report else None


def in_a_line(report: Report) -> str:
    """A self-contained sentence on how often the router chooses the best model on queries that it has not learned from.

    It is "" if this is unknown, or if the best single model is the best choice at least as often.
    """
    held_back = report.held_back
    router, single = (held_back and held_back.best_choice[name] for name in ("router", "best_single"))
    if not (held_back and router and single) or held_back.n < fewest() or router.share <= single.share:
        return ""
    count = len(held_back.pool)
    models = NUMBERS[count] if count < len(NUMBERS) else f"{count:,}"
    return (
        f"Picks the best of {models} models in {100 * router.share:.0f} of 100 queries; one call instead of {models}."
    )


def takes_over(report: Report, rival: Verdict | None) -> bool:
    """Whether the new router of a report replaces the fleet's old router.

    A difference counts if it is significant, as in all verdicts: its 95% interval excludes 0, and enough queries differ
    (`difference`).

    - The new router replaces the old one if it beats the old one on queries that neither of them has learned from.
    - A starting router has not been evaluated itself. To replace it, the new router need only beat the best single
      model (`of_report`) and be no worse than the starting router on average.
    - If there is no significant difference, or there are no queries for a comparison, the old router stays. Otherwise,
      merely calling a command could make a router serve that is worse than chance.
    - An old router that does not work is always replaced.

    Both routers are compared by probability alone, without prices.

    Args:
        rival: the verdict on the new router against the old one; None if the old router does not work.
    """
    alone = of_report(report)
    if rival is None or _beats(rival):
        return True
    return rival.against == STARTING and alone is not None and _beats(alone) and not rival.difference < 0


def _beats(verdict: Verdict) -> bool:
    return verdict.significant and verdict.difference > 0


def _against_rmr(figures: Evaluation) -> Verdict:
    """The router against RMR, by the means and the interval in a report."""
    low, high = interval = figures.interval.get("chosen_minus_rmr", (math.nan, math.nan))
    n = figures.counts.get("chosen_minus_rmr", figures.n)
    return replace(
        figures.verdict,
        against="RMR",
        # If scores are missing, the means are over different queries. The interval is over queries with both scores.
        difference=figures.mean["chosen"] - figures.mean["rmr"] if n == figures.n else (low + high) / 2,
        interval=None if math.isnan(low) else interval,
        n=n,
        differing=n,  # unknown
        significant=low > 0 or high < 0,
        queries_needed=None,
    )


# Sentences


def sentences(verdict: Verdict, subject: str = "Routing") -> list[str]:
    """The sentences for a verdict: the difference and advice, kinds of queries, unused candidates, and the cost."""
    parts = [
        f"{verb} on {_and(f'{kind.name} ({_amount(kind.difference, verdict, sign=True)})' for kind in kinds)}"
        for verb, kinds in (("gains", verdict.gains), ("loses", verdict.loses))
        if kinds
    ]
    more = [f"It {' and '.join(parts)}."] if parts else []
    if verdict.never_needed:
        more.append(f"It never chose {_and(verdict.never_needed, 'or')}.")
    if verdict.dollars is not None and verdict.dollars_against is not None:
        cost, alone = in_dollars(verdict.dollars), in_dollars(verdict.dollars_against)
        more.append(f"Its answers cost {cost} dollars per thousand queries, those of {verdict.against} alone {alone}.")
    if verdict.tokens is not None and verdict.tokens_against is not None:
        alone = f"those of {verdict.against} alone {verdict.tokens_against:,.0f}"
        more.append(f"Its answers have {verdict.tokens:,.0f} tokens on average, {alone}.")
    return [headline(verdict, subject) + _advice(verdict), *more]


def _advice(verdict: Verdict) -> str:
    """Advice if routing has not been shown to be better, after a space; otherwise ""."""
    if _beats(verdict) or not verdict.differing:
        return ""
    if verdict.significant:
        return f" Use {verdict.against} alone."
    alone = f" Until then, {verdict.against} alone does as well." if verdict.n >= fewest() else ""
    return f"{alone} More queries of your own tell more: `zooter queries --from` selects them from logs."


def settled(report: Report, rival: Verdict, taken: bool) -> list[str]:
    """Sentences on how the new router of an exam compares with the old one (`takes_over`), and which of them serves."""
    alone = of_report(report)
    first = headline(rival, "The new router", rival.against)
    if not rival.n:
        learned = "" if rival.against == STARTING else "it has learned from all of them, or "
        why = f"{learned}no model that it chose answered"
        first = f"No query is left to compare the new router with {rival.against}: {why}."
    if not taken:
        return [first, f"A new router takes the place of an old one if it is better, so {rival.against} stays."]
    if alone is not None and takes_over(report, rival) and not _beats(rival):
        return [first, f"It beats always using {alone.against}, which no starting router has shown."]
    return [first]


def headline(verdict: Verdict, subject: str = "Routing", other: str = "", aside: str = "") -> str:
    """The difference in one or two sentences.

    Args:
        other: what the subject is compared with. By default, the verdict's candidate.
        aside: an explanation of `other`, which follows it.
    """
    n, noun = verdict.n, QUERIES[verdict.source]
    if not other:
        other, aside = f"always using {verdict.against}", "the best single model in hindsight" * verdict.hindsight
    other, comma = (f"{other}, {aside}", ",") if aside else (other, "")
    queries = f"{n:,} {noun}" if n != 1 else "1 " + noun.replace("queries", "query")
    if n < fewest():
        compared = f"{subject[:1].lower()}{subject[1:]} with {other}"
        return f"{queries} {'is' if n == 1 else 'are'} too few to compare {compared}."
    if verdict.differing == 0:
        return f"{subject} earns what {other}{comma} earns on each of {queries}."
    if verdict.differing < fewest():
        places, amount = f"{verdict.differing} of {queries}", _amount(verdict.difference, verdict, sign=True)
        return f"{subject} and {other}{comma} differ on {places} only, too few to tell ({amount}).{_needed(verdict)}"
    low, high = verdict.interval or (math.nan, math.nan)
    worse = verdict.significant and verdict.difference < 0
    if worse:
        low, high = -high, -low
    precision = f"95% CI {_amount(low, verdict, unit='')} to {_amount(high, verdict, unit='')}, {queries}"
    if verdict.interval is None:
        precision = f"the same on each of {queries}"
    if verdict.significant:
        amount = _amount(abs(verdict.difference), verdict)
        return f"{subject} {'is worse than' if worse else 'beats'} {other}{comma} by {amount} ({precision})."
    start = "No significant difference" if subject == "Routing" else f"{subject} shows no significant difference"
    amount = _amount(verdict.difference, verdict, sign=True)
    return f"{start} from {other} ({amount}, {precision}).{_needed(verdict)}"


def _needed(verdict: Verdict) -> str:
    """A sentence on the number of queries needed for significance, after a space; "" if it is unknown.

    The estimate assumes that the true difference equals the measured one. So if it is close to the present number of
    queries, the sentence says that the result is borderline, and recommends twice as many queries, which are enough for
    a difference that is 30% smaller.
    """
    needed, noun = verdict.queries_needed, QUERIES["held-back" if verdict.source == "held-back" else "judged"]
    if needed is None:
        return ""
    if needed > MOST_NEEDED:
        return f" It would take more than {MOST_NEEDED:,} queries to tell."
    if needed < BORDERLINE * verdict.n:
        return f" This is borderline: twice as many {noun} should tell."
    return f" About {two_digits(needed)} {noun} would tell."


def two_digits(count: float) -> str:
    """A number of queries, rounded up to two digits."""
    unit = 10 ** max(len(str(math.ceil(count))) - 2, 0)
    return f"{-(-math.ceil(count) // unit) * unit:,}"


def _amount(value: float, verdict: Verdict, sign: bool = False, unit: str = " points") -> str:
    """The difference, rounded according to the verdict's interval, and in hundredths if scores are shares."""
    scale = 100 if verdict.points else 1
    low, high = verdict.interval or (0.0, value)
    text = _rounded(scale * value, (scale * low, scale * high), "+" if sign else "")
    return text + unit if verdict.points else text


def _and(names: Any, word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def ends(interval: Interval | None, form: str) -> str:
    """An interval as a table cell; empty if there is none."""
    low, high = interval or (math.nan, math.nan)
    return "" if math.isnan(low) else f"{low:{form}} to {high:{form}}"


def _rounded(value: float, interval: Interval, sign: str = "") -> str:
    """The mean, rounded to two digits of its interval's width and at most four decimals."""
    width = abs(interval[1] - interval[0])
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 4) if width > 0 else 3
    return f"{value:{sign}z.{decimals}f}"  # z: no "-0.00"


def of_held_back(figures: Evaluation) -> list[str]:
    """Further sentences for a report: the router against the best single model, the oracle and RMR."""
    single, pool = figures.best_single, len(figures.pool)
    router, alone, random = (_with_interval(figures.mean[key], figures.interval[key]) for key in REGRETS)
    models = f"all {pool} models" if pool > 2 else "both models" if pool == 2 else "the one model"
    rmr = headline(_against_rmr(figures), other="RMR", aside=f"which runs {models} for every query")
    return [
        _gap(figures, single),
        *_best_choice(figures, single),
        f"Regret, the reward lost against the best response to each query: router {router}, {single} {alone}, a random "
        f"model {random}.",
        *([] if figures.rmr_is_oracle else [rmr]),
    ]


def _with_interval(mean: float, interval: Interval) -> str:
    if math.isnan(interval[0]):
        return f"{mean:z.3f}"
    low, high = (_rounded(end, interval) for end in interval)
    return f"{_rounded(mean, interval)} ({low} to {high})"


def _gap(figures: Evaluation, single: str) -> str:
    """A sentence on the share of the gap between the best single model and the oracle that the router closes."""
    if (share := figures.share_of_gap) is None:
        return f"Routing cannot gain anything here: {single} alone is as good as the oracle on every query."
    precision = "too few queries for an interval"
    if figures.gap_closed:
        low, high = figures.gap_closed.interval
        precision = f"95% CI {low:.0%} to {high:.0%}"
    if share < -FAR:
        times = f"{1 - share:,.0f} times as wide"
        return f"It does not close the small gap between {single} and the oracle but makes it {times}."
    if share < 0:
        return f"It does not close the gap between {single} and the oracle but widens it by {-share:.0%} ({precision})."
    return f"It closes {share:.0%} of the gap between {single} and the oracle ({precision})."


def _best_choice(figures: Evaluation, single: str) -> list[str]:
    """A sentence on how often the router and the best single model are the best choice; empty if one has no score."""
    router, alone = figures.best_choice["router"], figures.best_choice["best_single"]
    if router is None or alone is None:
        return []
    (low, high), (from_, to) = router.interval, alone.interval
    return [
        f"It chooses the best model in {router.share:.0%} of cases (95% CI {low:.0%} to {high:.0%}), {single} alone is "
        f"best in {alone.share:.0%} ({from_:.0%} to {to:.0%})."
    ]


def of_sweep(sweep: Sweep) -> list[str]:
    """Sentences on whether the best beta is significantly better than the others, and on the gain from routing."""
    best, taus = sweep.best_row, {row.tau for row in sweep.rows}
    others = [row for row in sweep.rows if not sweep.is_best(row)]
    near = [row for row in others if not row.minus_best[1] < 0]  # the interval includes 0 or is unknown

    def name(row: SweepRow) -> str:
        return f"{row.beta:g}" + (f" with tau {row.tau:g}" if len(taus) > 1 else "")

    if not others:
        first = f"Only beta {name(best)} was tried, so there is nothing to compare it with."
    elif not near:
        first = (
            f"Beta {name(best)} scores highest, and significantly higher than each of the other {len(others)}: no 95% "
            "interval of the difference reaches 0. It was chosen on these same queries, which favours it a little."
        )
    elif len(near) == len(others):
        tried, matter = (
            ("values of beta", "beta matters") if len(taus) == 1 else ("pairs of beta and tau", "they matter")
        )
        first = (
            f"No significant difference between the {len(others) + 1} {tried}: the 95% intervals of all "
            f"differences from the highest score (beta {name(best)}) reach 0. These scores do not show that {matter}."
        )
    else:
        first = (
            f"Beta {name(best)} scores highest, with no significant difference from {len(near)} of the other "
            f"{len(others)} (their 95% intervals reach 0): {', '.join(map(name, near))}."
        )
    return [first, *(sentences(sweep.verdict, f"Routing with beta {name(best)}") if sweep.verdict else [])]
