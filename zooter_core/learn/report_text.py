"""The text of the report on traffic: sentences, the table of rules, and the JSON of `zooter report --json`."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from zooter_core.base.money import in_dollars
from zooter_core.evaluation import thinking
from zooter_core.evaluation.verdicts import two_digits
from zooter_core.learn.changes import day
from zooter_core.learn.report import EVERYTHING, Rule, TrafficReport
from zooter_core.method.worth import FEWEST, RANDOM, RMR, ROUTING, Estimate

MOST_IN_PERCENT = 3.0  # a factor, i.e. 200% more; larger factors read better as "3.1 times as much"
YEAR = 365  # days; longer waits are not worth planning
UNITS = (("week", 7, 21), ("day", 1, 2), ("hour", 1 / 24, 0))  # unit, its length in days, the least days for it
USUAL = 1000  # requests per day, assumed while there are no requests
LEAST_DIFFERENCE = 0.1  # the difference of rewards to detect if the observed difference would take too long


def sentences(report: TrafficReport) -> list[str]:
    """Sentences for the figures, the most important first, with warnings at the end."""
    return statements(report) + [change.message for change in report.changes]


def statements(report: TrafficReport) -> list[str]:
    """Sentences for the figures, without warnings."""
    if not report.requests:
        return [f"There was no traffic from {day(report.since)} to {day(report.until)}."]
    lines = _worth(report)
    counts = report.answered
    total = sum(counts.values())
    unused = [name for name, count in counts.items() if not count]
    if total and counts:
        shares = ", ".join(f"{name} ({_ratio(count / total)})" for name, count in counts.items() if count)
        routed = f"The router chose for {report.routed:,} of {report.requests:,} requests."
        lines.append(f"{routed} Answers came from {shares}.")
        if unused:
            enough = f"{len(counts) - len(unused)} of {len(counts)} models were enough"
            lines.append(f"No answer came from {', '.join(unused)}; {enough}.")
    lines += thinking.sentences(report.thinking)
    if report.chores:
        count = "1 request was a chore" if report.chores == 1 else f"{report.chores:,} requests were chores"
        lines.append(f"{count} of chat UIs, such as for a title; nothing else here counts them.")
    if overall := report.agreement.get(EVERYTHING):
        chance = ", which may be chance" if overall.low <= 0.5 else ""
        lines.append(
            f"Of an answer that people liked and one that they disliked, the reward model prefers the liked one in"
            f" {overall.mean:.0%} of the pairs{chance} (95% CI {overall.low:.0%} to {overall.high:.0%},"
            f" {overall.n:,} votes)."
        )
    if report.calibration and not report.calibration.off:
        c = report.calibration
        lines.append(
            f"The router's probabilities fit: its choices had {c.stated:.0%} on average and were the best in"
            f" {c.won:.0%} of {c.n:,} sampled requests (expected calibration error {c.error:.2f}, 95% CI {c.low:.2f} to"
            f" {c.high:.2f})."
        )
    return lines


def _worth(report: TrafficReport) -> list[str]:
    best, random_rule, ranked = report.best, report.rule(RANDOM), report.rule(RMR)
    if best is None or random_rule is None or ranked is None:
        return [
            f"There is too little data to say what routing is worth: {report.sampled} of the {FEWEST} requests that it"
            " takes were answered by every model. `zooter learn` lets all models answer a small share of the requests.",
            outlook(report),
        ]
    gain = best.gain
    if gain.significant:
        size, interval = f"{abs(gain.mean):.2f} {'more' if gain.mean > 0 else 'less'}", _ends(gain)
        first = (
            f"Routing earned {size} reward per answer than always using {best.name} (95% CI {interval}){_saving(best)}."
        )
    else:
        first = (
            f"Routing shows no significant difference in reward from always using {best.name}, the best single model"
            f" ({gain.mean:+z.2f}, 95% CI {gain.low:z.2f} to {gain.high:z.2f}){_saving(best)}."
        )
    lines = [
        first,
        f"A model at random would have earned {_less(random_rule.gain)}, and the best of all answers by the reward"
        f" model (RMR) {_less(ranked.gain)}{_price(ranked)}.",
    ]
    low, high = map(_percent, report.inclusion)
    share = low if low == high else f"{low} to {high}"
    lines.append(f"The basis is {report.sampled:,} requests, drawn at random ({share}), that every model answered.")
    return [*lines, *filter(None, [outlook(report)])]


def _saving(rule: Rule) -> str:
    """The cost of routing compared with a rule, as the end of a sentence; "" without prices."""
    cost = rule.cost
    if not math.isfinite(cost.mean) or not math.isfinite(cost.low):
        return ""
    same = cost.low <= 1 <= cost.high
    start = ", at no significantly different cost (" if same else ", and cost "
    if cost.mean >= 2 or cost.high > MOST_IN_PERCENT:
        ends = f"95% CI {_number(cost.low)} to {_number(cost.high)}"
        return f"{start}{_number(cost.mean)} times as much{f', {ends})' if same else f' ({ends})'}"
    if same:
        return f"{start}{cost.mean - 1:+.0%}, 95% CI {cost.low - 1:+.0%} to {cost.high - 1:+.0%})"
    if cost.high < 0.005:
        return f"{start}over 99% less"
    if cost.mean < 1:
        return f"{start}{1 - cost.mean:.0%} less (95% CI {1 - cost.high:.0%} to {1 - cost.low:.0%})"
    return f"{start}{cost.mean - 1:.0%} more (95% CI {cost.low - 1:.0%} to {cost.high - 1:.0%})"


def _number(ratio: float) -> str:
    """A factor, formatted for a sentence."""
    return f"{ratio:,.0f}" if ratio >= 9.5 else f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2g}"


def _less(gain: Estimate) -> str:
    """The reward of a rule compared with routing."""
    if gain.low <= 0 <= gain.high or not math.isfinite(gain.low):
        return f"about the same ({-gain.mean:+z.2f}, 95% CI {-gain.high:z.2f} to {-gain.low:z.2f})"
    return f"{abs(gain.mean):.2f} {'less' if gain.mean > 0 else 'more'} (95% CI {_ends(gain)})"


def _ends(gain: Estimate) -> str:
    """The interval of a gain or a loss, as positive numbers."""
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"{low:.2f} to {high:.2f}"


def _price(rule: Rule) -> str:
    """The cost of a rule as a multiple of the cost of routing."""
    ratio = rule.cost.mean
    return f" at {_number(1 / ratio)} times the cost" if math.isfinite(ratio) and ratio > 0 else ""


def outlook(report: TrafficReport) -> str:
    """A sentence on the time until the sample shows what routing is worth; "" if it already does or never will."""
    a_day, share = report.a_day, report.share
    if report.best is None:
        first, more = max(FEWEST - report.sampled, 1), "more " if report.sampled else ""
        return (
            f"The first figures need {first} {more}requests that every model has answered, {_percent(share)} of those"
            f" that are routed: {how_long(first, a_day, share)}."
        )
    gain = report.best.gain
    if gain.significant:
        return ""
    for difference in (abs(gain.mean), LEAST_DIFFERENCE):
        left = (gain.needed(difference) or math.inf) - gain.n
        if days(left, a_day or USUAL, share) <= YEAR:
            return (
                f"About {two_digits(left)} more of them ({_percent(share)} of the routed requests) would show a"
                f" difference of {difference:.2f}: {how_long(left, a_day, share)}."
            )
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"  # 0.5% is not 0%


def days(samples: float, a_day: float, share: float) -> float:
    """The number of days until `samples` requests are sampled, which are a share of all requests."""
    return samples / (a_day * share) if a_day and share else math.inf


def how_long(samples: float, a_day: float, share: float) -> str:
    """`days` in words, with the assumed number of requests per day, which is USUAL if there are none yet."""
    rate = a_day or USUAL
    whose = "today's " if a_day else ""
    return f"{in_units(days(samples, rate, share))} at {whose}{max(rate, 1):,.0f} requests a day"


def in_units(amount: float) -> str:
    """A number of days in a suitable unit, rounded up."""
    if amount > YEAR:
        return "more than a year"
    count, unit = next((amount / size, unit) for unit, size, least in UNITS if amount >= least)
    count = max(math.ceil(count), 1)
    return f"about {count} {unit}{'s' if count > 1 else ''}"


NAMES = {ROUTING: "routing", RANDOM: "random", RMR: "RMR"}
HEADINGS = ("", "reward", "routing earned", "dollars per 1,000", "cost of routing", "seconds", "tokens")
WITH_THOUGHTS = "tokens (thoughts)"  # replaces the last heading if a model thinks


def figures(report: TrafficReport) -> tuple[list[str], list[list[str]]]:
    """The headings and a row of texts for each rule, without empty columns, such as prices if all of them are 0."""
    rows: list[tuple[str, ...]] = []
    priced, thinks = (any(getattr(rule, part).mean > 0 for rule in report.rules) for part in ("dollars", "thoughts"))
    for rule in report.rules:
        name = f"always {rule.name}" if rule.name in report.pool else NAMES[rule.name]
        gain = f"{rule.gain.mean:+z.2f} ({rule.gain.low:z.2f} to {rule.gain.high:z.2f})" if rule.name != ROUTING else ""
        cost = _ratio(rule.cost.mean) if rule.name != ROUTING and math.isfinite(rule.cost.mean) else ""
        dollars = in_dollars(1000 * rule.dollars.mean) if rule.dollars.n and priced else ""
        seconds = f"{rule.seconds.mean:.1f}" if rule.seconds.n else ""
        tokens = f"{rule.tokens.mean:,.0f}" if rule.tokens.n else ""
        tokens += f" ({rule.thoughts.mean:,.0f})" if rule.thoughts.n and thinks else ""
        rows.append((name, f"{rule.reward.mean:z.2f}", gain, dollars, cost, seconds, tokens))
    headings = [*HEADINGS[:-1], WITH_THOUGHTS if thinks else HEADINGS[-1]]
    used = [place for place in range(len(HEADINGS)) if any(row[place] for row in rows)]
    return [headings[place] for place in used], [[row[place] for place in used] for row in rows]


def _ratio(ratio: float) -> str:
    return f"{_number(ratio)} times" if ratio >= 2 else f"{ratio:.0%}" if ratio >= 0.005 else "under 1%"


def report_json(report: TrafficReport) -> dict[str, Any]:
    """The report in the format of `zooter report --json`."""
    parts = ("reward", "gain", "dollars", "cost", "seconds", "tokens", "thoughts")
    return {
        "fleet": report.fleet,
        "since": report.since,
        "until": report.until,
        "sentences": sentences(report),
        "requests": report.requests,
        "routed": report.routed,
        "chores": report.chores,
        "answered": report.answered,
        "sampled": report.sampled,
        "inclusion": list(report.inclusion),
        "rules": {rule.name: {part: _estimate_json(getattr(rule, part)) for part in parts} for rule in report.rules},
        "best_single": report.best.name if report.best else None,
        "calibration": asdict(report.calibration) if report.calibration else None,
        "agreement": {tag: _estimate_json(estimate) for tag, estimate in report.agreement.items()},
        "changes": [asdict(change) for change in report.changes],
        "thinking": [
            {name: _estimate_json(value) if isinstance(value, Estimate) else value for name, value in vars(row).items()}
            for row in report.thinking
        ],
        "requests_a_day": report.a_day,
    }


def _estimate_json(estimate: Estimate) -> dict[str, float | int | None]:
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {"n": estimate.n}
