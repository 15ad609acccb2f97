"""What routing was worth in a period: the figures behind `zooter report` and the page Traffic.

The equations are in method/worth.py. Here the sample is read from the traffic, and the figures become sentences.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.strict_json import parse_json
from zooter_core.learn.drift import Change, changes, day
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, IMPORT, VERIFIED, LoggedDecision, LoggedReward, Total
from zooter_core.method.metrics import Array
from zooter_core.method.worth import (
    FEWEST,
    FEWEST_VOTES,
    RANDOM,
    RMR,
    ROUTING,
    SLOWEST,
    SUM,
    Estimate,
    agreement,
    ratio_of_means,
    regression_mean,
    rules,
    weighted_mean,
)

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

MOST_SAMPLED = 20_000  # requests of the sample that are read; of more, as many are drawn
MOST_REGRESSED = 300_000  # decisions up to which the mean of all served rewards is computed
LEAST_SERVED = 0.99  # the share of them that needs a reward
EVERYTHING = "all tags"


@dataclass(frozen=True)
class Rule:
    """What a way to choose would have had, an answer.

    Attributes:
        name: `routing`, `random`, `rmr` or a candidate.
        reward, dollars, seconds: means.
        gain: the reward of routing less that of this rule.
        cost: the dollars of routing divided by those of this rule.
    """

    name: str
    reward: Estimate
    dollars: Estimate
    seconds: Estimate
    gain: Estimate
    cost: Estimate


@dataclass(frozen=True)
class Report:
    """All that is said about a period.

    Attributes:
        since, until: in seconds since 1970.
        totals: of decisions by candidate, in all (Traffic.totals).
        sampled: requests that all candidates answered.
        inclusion: the lowest and the highest probability of being sampled; (0, 0) without any.
        pool: the candidates in the sample.
        rules: routing first, then the candidates, best first, random and RMR; empty with too little data.
        agreement: of the reward model with thumbs, by tag and for EVERYTHING.
        changes: what has changed.
    """

    fleet: str
    since: float
    until: float
    totals: list[Total]
    sampled: int
    inclusion: tuple[float, float]
    pool: tuple[str, ...]
    rules: list[Rule]
    agreement: dict[str, Estimate]
    changes: list[Change]

    @property
    def routed(self) -> int:
        """Requests for which the router chose, chores left out."""
        return sum(total.n for total in self.totals if total.routed and not total.chore)

    @property
    def chores(self) -> int:
        """Requests that chat UIs sent for themselves."""
        return sum(total.n for total in self.totals if total.chore)

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(total.n for total in self.totals)

    @property
    def best(self) -> Rule | None:
        """The candidate with the highest mean reward in the sample."""
        return next((rule for rule in self.rules if rule.name in self.pool), None)

    def rule(self, name: str) -> Rule | None:
        """A rule by name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def answered(self) -> dict[str, int]:
        """How many requests of the router's each candidate answered, most first."""
        counts: dict[str, int] = dict.fromkeys(self.pool, 0)
        for total in self.totals:
            if total.routed and not total.chore and total.candidate:
                counts[total.candidate] = counts.get(total.candidate, 0) + total.n
        return dict(sorted(counts.items(), key=lambda entry: -entry[1]))

    def to_json(self) -> dict[str, Any]:
        """The report in the shape of `zooter report --json`."""
        parts = ("reward", "gain", "dollars", "cost", "seconds")
        return {
            "fleet": self.fleet,
            "since": self.since,
            "until": self.until,
            "sentences": sentences(self),
            "requests": self.requests,
            "routed": self.routed,
            "chores": self.chores,
            "answered": self.answered(),
            "sampled": self.sampled,
            "inclusion": list(self.inclusion),
            "rules": {rule.name: {part: _estimate_json(getattr(rule, part)) for part in parts} for rule in self.rules},
            "best_single": self.best.name if self.best else None,
            "agreement": {tag: _estimate_json(estimate) for tag, estimate in self.agreement.items()},
            "changes": [asdict(change) for change in self.changes],
        }


def _estimate_json(estimate: Estimate) -> dict[str, float | int | None]:
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {"n": estimate.n}


def report_on(traffic: Traffic, fleet: str, since: float, until: float, ensemble: Ensemble | None = None) -> Report:
    """What routing was worth from one time to another.

    Args:
        ensemble: the fleet, to say how far queries are from those that its router learned from; None does not.

    Raises:
        ZooterError: its router does not load.
    """
    totals = traffic.totals(since, until)
    routed = sum(total.n for total in totals if total.routed and not total.chore)
    sample = read_sample(traffic, since, until)
    estimates = _rules(traffic, sample, since, until, routed) if sample.n >= FEWEST else []
    return Report(
        fleet,
        since,
        until,
        totals,
        sample.drawn,
        (float(sample.inclusion.min()), float(sample.inclusion.max())) if sample.n else (0.0, 0.0),
        sample.pool,
        estimates,
        _agreement(traffic, since, until),
        changes(traffic, since, until, ensemble),
    )


@dataclass(frozen=True)
class Sample:
    """The requests that all candidates answered.

    Attributes:
        pool: the candidates.
        rewards, dollars, seconds: shape (n, N); NaN where there is none.
        chosen: who was served, by its place in the pool, shape (n,).
        inclusion: the probability of being sampled, shape (n,).
        drawn: how many there are; `n` of them were read.
    """

    pool: tuple[str, ...]
    rewards: Array
    dollars: Array
    seconds: Array
    chosen: NDArray[np.intp]
    inclusion: Array
    drawn: int

    @property
    def n(self) -> int:
        return len(self.chosen)


def read_sample(traffic: Traffic, since: float, until: float) -> Sample:
    """The uniform sample of a period. Requests for which the client named the model, and chores, are left out."""
    ids = traffic.sampled(since, math.inf)  # rewards are computed after the request
    part = sorted(random.Random(0).sample(ids, MOST_SAMPLED)) if len(ids) > MOST_SAMPLED else ids
    decisions = [
        decision
        for decision in traffic.by_id(part)
        if since <= decision.time < until and decision.probability is not None and not decision.chore
        and decision.candidate and decision.source != IMPORT
    ]  # fmt: skip
    rewards: dict[str, dict[str, LoggedReward]] = defaultdict(dict)
    for reward in traffic.rewards(request_ids=[decision.request_id for decision in decisions]):
        earlier = rewards[reward.request_id].get(reward.candidate)
        if reward.source != FEEDBACK and (earlier is None or reward.source == VERIFIED):
            rewards[reward.request_id][reward.candidate] = reward
    inclusion = {
        request_id: max((reward.inclusion or 0 for reward in row.values() if reward.why == "sample"), default=0.0)
        for request_id, row in rewards.items()
    }
    decisions = [
        entry for entry in decisions if inclusion.get(entry.request_id) and entry.candidate in rewards[entry.request_id]
    ]
    return _table(decisions, rewards, inclusion, round(len(decisions) * len(ids) / len(part)) if part else 0)


def _table(
    decisions: Sequence[LoggedDecision],
    rewards: Mapping[str, Mapping[str, LoggedReward]],
    inclusion: Mapping[str, float],
    drawn: int,
) -> Sample:
    pool = tuple(dict.fromkeys(name for entry in decisions for name in sorted(rewards[entry.request_id])))
    places = {name: place for place, name in enumerate(pool)}
    tables = np.full((3, len(decisions), len(pool)), np.nan)
    for row, entry in enumerate(decisions):
        for name, reward in rewards[entry.request_id].items():
            served = name == entry.candidate
            dollars = entry.dollars if served and entry.dollars is not None else reward.dollars
            seconds = entry.seconds if served and entry.seconds is not None else reward.seconds
            values = (reward.reward, dollars, seconds)
            tables[:, row, places[name]] = [math.nan if value is None else value for value in values]
    chosen = np.array([places[entry.candidate or ""] for entry in decisions], dtype=np.intp)
    probabilities = np.array([inclusion[entry.request_id] for entry in decisions])
    return Sample(pool, tables[0], tables[1], tables[2], chosen, probabilities, drawn)


def _rules(traffic: Traffic, sample: Sample, since: float, until: float, routed: int) -> list[Rule]:
    """Every rule's estimates: routing, then candidates by reward, then random and RMR."""
    rewards = rules(sample.rewards, sample.chosen)
    dollars, seconds = rules(sample.dollars, sample.chosen, SUM), rules(sample.seconds, sample.chosen, SLOWEST)
    p = sample.inclusion
    average, count = traffic.served_mean(since, until) if routed <= MOST_REGRESSED else (0.0, 0)
    served = average if routed and count >= LEAST_SERVED * routed else None
    estimates = []
    for key, name in (
        (ROUTING, ROUTING),
        *((str(n), name) for n, name in enumerate(sample.pool)),
        (RANDOM, RANDOM),
        (RMR, RMR),
    ):
        estimates.append(
            Rule(
                name,
                _narrower(rewards[key], p, rewards[ROUTING], served),
                weighted_mean(dollars[key], p),
                weighted_mean(seconds[key], p),
                _narrower(rewards[ROUTING] - rewards[key], p, rewards[ROUTING], served),
                ratio_of_means(dollars[ROUTING], dollars[key], p),
            )
        )
    first, *singles, chance, ranked = estimates
    singles = [rule for rule in singles if rule.reward.n]
    return [first, *sorted(singles, key=lambda rule: -rule.reward.mean), chance, ranked]


def _narrower(values: Array, inclusion: Array, served: Array, mean: float | None) -> Estimate:
    """The mean by inverse probability, or with the help of every served reward where that is narrower."""
    plain = weighted_mean(values, inclusion)
    if mean is None:
        return plain
    helped = regression_mean(values, inclusion, served[:, None], np.array([mean]))
    return helped if helped.error < plain.error else plain


def _agreement(traffic: Traffic, since: float, until: float) -> dict[str, Estimate]:
    """How well the reward model agrees with thumbs, for all answers and by tag, where there are votes enough."""
    good, bad = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for vote, reward, tags in traffic.votes(since, until):
        for tag in (EVERYTHING, *set(parse_json(tags))):
            if vote:
                (good if vote > 0 else bad)[tag].append(reward)
    enough = [tag for tag in good if min(len(good[tag]), len(bad[tag])) >= FEWEST_VOTES]
    enough.sort(key=lambda tag: (tag != EVERYTHING, -len(good[tag]) - len(bad[tag])))
    return {tag: agreement(np.array(good[tag]), np.array(bad[tag])) for tag in enough}


def sentences(report: Report) -> list[str]:
    """What the figures mean, in plain words, the most important first."""
    if not report.requests:
        return [f"There was no traffic from {day(report.since)} to {day(report.until)}."]
    lines = _worth(report)
    counts = report.answered()
    total = sum(counts.values())
    unused = [name for name, count in counts.items() if not count]
    if total and counts:
        shares = ", ".join(f"{name} {count / total:.0%}" for name, count in counts.items() if count)
        lines.append(f"The router chose for {report.routed:,} of {report.requests:,} requests: {shares}.")
        if unused:
            lines.append(
                f"{len(counts) - len(unused)} of {len(counts)} models were needed; never chosen: {', '.join(unused)}."
            )
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
    return lines + [change.message for change in report.changes]


def _worth(report: Report) -> list[str]:
    best, random_rule, ranked = report.best, report.rule(RANDOM), report.rule(RMR)
    if best is None or random_rule is None or ranked is None:
        return [
            f"There is too little data to say what routing is worth: {report.sampled} of the {FEWEST} requests that it"
            " takes were answered by every model. `zooter learn` lets all models answer a small share of the requests."
        ]
    gain = best.gain
    interval = f"95% CI {gain.low:.2f} to {gain.high:.2f}"
    if gain.significant:
        size = f"{abs(gain.mean):.2f} {'more' if gain.mean > 0 else 'less'}"
        first = f"Routing earned {size} reward per answer than always using {best.name} ({interval}){_saving(best)}."
    else:
        first = (
            f"Routing shows no significant difference in reward from always using {best.name}, the best single model"
            f" ({gain.mean:+.2f}, {interval}){_saving(best)}."
        )
    lines = [
        first,
        f"A model at random would have earned {_less(random_rule.gain)}, and the best of all answers by the reward"
        f" model (RMR) {_less(ranked.gain)}{_price(ranked)}.",
    ]
    low, high = report.inclusion
    share = f"{low:.0%}" if round(low, 2) == round(high, 2) else f"{low:.0%} to {high:.0%}"
    lines.append(f"This rests on {report.sampled:,} requests, drawn at random ({share}), that every model answered.")
    return lines


def _saving(rule: Rule) -> str:
    """What routing costs beside a rule, as the end of a sentence."""
    cost = rule.cost
    if not math.isfinite(cost.mean) or not math.isfinite(cost.low):
        return ""
    if cost.low <= 1 <= cost.high:
        interval = f"95% CI {cost.low - 1:+.0%} to {cost.high - 1:+.0%}"
        return f", at no significantly different cost ({cost.mean - 1:+.0%}, {interval})"
    if cost.mean < 1:
        return f", and cost {1 - cost.mean:.0%} less (95% CI {1 - cost.high:.0%} to {1 - cost.low:.0%})"
    if cost.mean < 2:
        return f", and cost {cost.mean - 1:.0%} more (95% CI {cost.low - 1:.0%} to {cost.high - 1:.0%})"
    return f", and cost {cost.mean:.1f} times as much (95% CI {cost.low:.1f} to {cost.high:.1f})"


def _less(gain: Estimate) -> str:
    """What a rule would have earned beside routing."""
    if gain.low <= 0 <= gain.high or not math.isfinite(gain.low):
        return f"about the same ({-gain.mean:+.2f}, 95% CI {-gain.high:.2f} to {-gain.low:.2f})"
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"{abs(gain.mean):.2f} {'less' if gain.mean > 0 else 'more'} (95% CI {low:.2f} to {high:.2f})"


def _price(rule: Rule) -> str:
    """How many times as much as routing a rule would have cost."""
    return (
        f" at {1 / rule.cost.mean:.1f} times the cost" if math.isfinite(rule.cost.mean) and rule.cost.mean > 0 else ""
    )


NAMES = {ROUTING: "routing", RANDOM: "random", RMR: "RMR"}
HEADINGS = ("", "reward", "routing earned", "dollars per 1,000", "cost of routing", "seconds")


def rows_of(report: Report) -> list[tuple[str, ...]]:
    """A row of texts for each rule, under HEADINGS."""
    rows: list[tuple[str, ...]] = []
    for rule in report.rules:
        name = f"always {rule.name}" if rule.name in report.pool else NAMES[rule.name]
        gain = f"{rule.gain.mean:+.2f} ({rule.gain.low:.2f} to {rule.gain.high:.2f})" if rule.name != ROUTING else ""
        cost = f"{rule.cost.mean:.0%}" if rule.name != ROUTING and math.isfinite(rule.cost.mean) else ""
        dollars = f"{1000 * rule.dollars.mean:.2f}" if rule.dollars.n else ""
        seconds = f"{rule.seconds.mean:.1f}" if rule.seconds.n else ""
        rows.append((name, f"{rule.reward.mean:.2f}", gain, dollars, cost, seconds))
    return rows
