"""What routing was worth in a period: the figures behind `zooter report` and the page Traffic.

The equations are in method/worth.py. Here the sample is read from the traffic, and the figures become sentences.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from zooter_core.backends.endpoint.faults import CUT_OFF
from zooter_core.base.money import in_dollars
from zooter_core.evaluation import thinking
from zooter_core.learn.deciding import Sampling
from zooter_core.learn.drift import Change, day, fallen_rewards, far_queries, miscalibrated
from zooter_core.learn.pace import outlook, requests_a_day
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import Total, tags_of
from zooter_core.learn.traffic_sample import Sample, read_sample
from zooter_core.method.calibration import Calibration, calibration
from zooter_core.method.metrics import Array, win_shares
from zooter_core.method.thinking import Answers, Thinking, worth_of_thinking
from zooter_core.method.worth import (
    BEST,
    FEWEST,
    FEWEST_VOTES,
    RANDOM,
    RMR,
    ROUTING,
    SLOWEST,
    SUM,
    UNKNOWN,
    Estimate,
    agreement,
    ratio_of_means,
    regression_mean,
    rules,
    weighted_mean,
)

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

MOST_REGRESSED = 300_000  # decisions up to which the mean of all served rewards is computed
LEAST_SERVED = 0.99  # the share of them that needs a reward
EVERYTHING = "all tags"
LATEST = 1000  # decisions, among which answers that were cut off are counted
CUT, FEWEST_CUT = 0.1, 5  # the share of a candidate's answers that is too many, and their number
THOUGHTS_ALONE = 0.9  # of an answer's tokens: it ended while the model was thinking
MOST_IN_PERCENT = 3.0  # times; 200% more. What is beyond reads better as "3.1 times as much"


@dataclass(frozen=True)
class Rule:
    """What a way to choose would have had, an answer.

    Attributes:
        name: `routing`, `random`, `rmr`, or a candidate.
        reward, dollars, seconds: means.
        gain: the reward of routing less that of this rule.
        cost: the dollars of routing divided by those of this rule.
        tokens, thoughts: means, of the answers and of what was thought for them, which is a part.
    """

    name: str
    reward: Estimate
    dollars: Estimate
    seconds: Estimate
    gain: Estimate
    cost: Estimate
    tokens: Estimate = UNKNOWN
    thoughts: Estimate = UNKNOWN


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
        calibration: of the router's probabilities on the sample; None with too little data.
        agreement: of the reward model with thumbs, by tag and for EVERYTHING.
        changes: the warnings.
        a_day: requests a day for which the router chose, in the latest days.
        last: when the latest request of all came; 0 if none did.
        cut: the candidates whose latest answers often ended while they were thinking, and the share of these.
        thinking: what candidates that think earn and cost beside others, by tag.
    """

    fleet: str
    since: float
    until: float
    totals: list[Total]
    sampled: int
    inclusion: tuple[float, float]
    pool: tuple[str, ...]
    rules: list[Rule]
    calibration: Calibration | None
    agreement: dict[str, Estimate]
    changes: list[Change]
    a_day: float = 0.0
    last: float = 0.0
    cut: dict[str, float] = field(default_factory=dict)
    thinking: list[Thinking] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of the requests that is sampled: that of the sample, or else what `zooter learn` takes."""
        return self.inclusion[1] or Sampling().share

    @property
    def outlook(self) -> str:
        """How long it takes until the sample can tell what routing is worth; "" once it can, or never will."""
        return outlook(self.best.gain if self.best else None, self.sampled, self.a_day, self.share)

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
        parts = ("reward", "gain", "dollars", "cost", "seconds", "tokens", "thoughts")
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
            "calibration": asdict(self.calibration) if self.calibration else None,
            "agreement": {tag: _estimate_json(estimate) for tag, estimate in self.agreement.items()},
            "changes": [asdict(change) for change in self.changes],
            "thinking": [_thinking_json(row) for row in self.thinking],
            "requests_a_day": self.a_day,
        }


def _thinking_json(row: Thinking) -> dict[str, Any]:
    return {name: _estimate_json(value) if isinstance(value, Estimate) else value for name, value in vars(row).items()}


def _estimate_json(estimate: Estimate) -> dict[str, float | int | None]:
    values = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {"n": estimate.n}


def report_on(
    traffic: Traffic,
    fleet: str,
    since: float,
    until: float,
    ensemble: Ensemble | None = None,
    twins: Sequence[Sequence[str]] = (),
) -> Report:
    """What routing was worth from one time to another.

    Args:
        ensemble: the fleet, to say how far queries are from those that its router learned from; None does not.
        twins: of the candidates, those that are one model with and without thinking (`evaluation.thinking.twins`).

    Raises:
        ZooterError: its router does not load.
    """
    totals = traffic.totals(since, until)
    routed = sum(total.n for total in totals if total.routed and not total.chore)
    sample = read_sample(traffic, since, until)
    calibrated = calibration_on(sample)
    far = far_queries(traffic, ensemble, since, until) if ensemble else []
    return Report(
        fleet,
        since,
        until,
        totals,
        sample.drawn,
        (float(sample.inclusion.min()), float(sample.inclusion.max())) if sample.n else (0.0, 0.0),
        sample.pool,
        _rules(traffic, sample, since, until, routed) if sample.n >= FEWEST else [],
        calibrated,
        _agreement(traffic, since, until),
        [*fallen_rewards(traffic, since, until), *far, *miscalibrated(calibrated, since)],
        requests_a_day(traffic, until),
        traffic.span()[1],
        _cut_while_thinking(traffic, since, until),
        _thinking(sample, twins) if sample.n >= FEWEST else [],
    )


def _cut_while_thinking(traffic: Traffic, since: float, until: float) -> dict[str, float]:
    """The candidates of whose latest answers too many ended while they were thinking, and the share of these."""
    answers, cut = Counter[str](), Counter[str]()
    for entry in traffic.newest(LATEST):
        if since <= entry.time < until and entry.candidate and entry.tokens:
            answers[entry.candidate] += 1
            ended = entry.finish in CUT_OFF and (entry.thought_tokens or 0) >= THOUGHTS_ALONE * entry.tokens
            cut[entry.candidate] += ended
    shares = {name: cut[name] / answers[name] for name in answers if cut[name] >= FEWEST_CUT}
    return {name: share for name, share in sorted(shares.items(), key=lambda of: -of[1]) if share >= CUT}


def _thinking(sample: Sample, twins: Sequence[Sequence[str]]) -> list[Thinking]:
    answers = Answers(sample.rewards, sample.tokens, sample.thoughts, sample.seconds, sample.dollars)
    return worth_of_thinking(sample.pool, answers, [entry.tags for entry in sample.decisions], twins, sample.inclusion)


def calibration_on(sample: Sample) -> Calibration | None:
    """The calibration of the router that served last, of all its versions while it has too few requests in the sample.

    None with too few requests at all.
    """
    rows = [row for row, entry in enumerate(sample.decisions) if entry.probabilities]
    latest = [row for row in rows if sample.decisions[row].router == sample.decisions[rows[-1]].router]
    rows = latest if len(latest) >= FEWEST else rows
    if len(rows) < FEWEST:
        return None
    stated = np.array([[sample.decisions[row].probabilities.get(name, 0.0) for name in sample.pool] for row in rows])
    wins = win_shares(sample.rewards[rows])
    judged = ~np.isnan(wins[np.arange(len(rows)), stated.argmax(axis=1)])  # not where its favourite has failed
    return calibration(stated[judged], wins[judged]) if judged.sum() >= FEWEST else None


def _rules(traffic: Traffic, sample: Sample, since: float, until: float, routed: int) -> list[Rule]:
    """Every rule's estimates: routing, then candidates by reward, then random and RMR.

    A candidate that joined lately, with too few requests for an interval, is not among them.
    """
    answered = ~np.isnan(sample.rewards)
    rewards, dollars, seconds, tokens, thoughts = (
        rules(values, sample.chosen, ranked, answered)
        for values, ranked in (
            (sample.rewards, BEST), (sample.dollars, SUM), (sample.seconds, SLOWEST), (sample.tokens, SUM),
            (sample.thoughts, SUM),
        )
    )  # fmt: skip
    p = sample.inclusion
    average, count = traffic.served_mean(since, until) if routed <= MOST_REGRESSED else (0.0, 0)
    served = average if routed and count >= LEAST_SERVED * routed else None
    names = {ROUTING: ROUTING, **{str(n): name for n, name in enumerate(sample.pool)}, RANDOM: RANDOM, RMR: RMR}
    first, *others, chance, ranked = (
        Rule(
            name,
            _narrower(rewards[key], p, rewards[ROUTING], served),
            weighted_mean(dollars[key], p),
            weighted_mean(seconds[key], p),
            _narrower(rewards[ROUTING] - rewards[key], p, rewards[ROUTING], served),
            ratio_of_means(dollars[ROUTING], dollars[key], p),
            weighted_mean(tokens[key], p),
            weighted_mean(thoughts[key], p),
        )
        for key, name in names.items()
    )
    singles = [rule for rule in others if rule.gain.n >= FEWEST]
    return [first, *sorted(singles, key=lambda rule: rule.gain.mean), chance, ranked]


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
        for tag in (EVERYTHING, *set(tags_of(tags))):
            if vote:
                (good if vote > 0 else bad)[tag].append(reward)
    enough = [tag for tag in good if min(len(good[tag]), len(bad[tag])) >= FEWEST_VOTES]
    enough.sort(key=lambda tag: (tag != EVERYTHING, -len(good[tag]) - len(bad[tag])))
    return {tag: agreement(np.array(good[tag]), np.array(bad[tag])) for tag in enough}


AGREEMENT_HEADINGS = ("tag", "votes", "agreement")


def agreement_rows(report: Report) -> list[tuple[str, ...]]:
    """A row of texts for each tag with votes enough, under AGREEMENT_HEADINGS."""
    return [
        (tag, f"{of.n:,}", f"{of.mean:.0%} ({of.low:.0%} to {of.high:.0%})") for tag, of in report.agreement.items()
    ]


CALIBRATION_HEADINGS = ("probability", "requests", "mean probability", "was the best")


def calibration_rows(shown: Calibration) -> list[tuple[str, ...]]:
    """A row of texts for each bin, under CALIBRATION_HEADINGS."""
    return [
        (f"{of['from']:.0%} to {of['to']:.0%}", f"{of['n']:,}", f"{of['probability']:.0%}", f"{of['won']:.0%}")
        for of in shown.bins
    ]


def sentences(report: Report) -> list[str]:
    """What the figures mean, in plain words, the most important first; warnings at the end."""
    return statements(report) + [change.message for change in report.changes]


def statements(report: Report) -> list[str]:
    """What the figures mean, without warnings."""
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
            used = len(counts) - len(unused)
            verb = "was" if used == 1 else "were"
            lines.append(f"{used} of {len(counts)} models {verb} needed; never chosen: {', '.join(unused)}.")
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


def _worth(report: Report) -> list[str]:
    best, random_rule, ranked = report.best, report.rule(RANDOM), report.rule(RMR)
    if best is None or random_rule is None or ranked is None:
        return [
            f"There is too little data to say what routing is worth: {report.sampled} of the {FEWEST} requests that it"
            " takes were answered by every model. `zooter learn` lets all models answer a small share of the requests.",
            report.outlook,
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
    low, high = (f"{100 * share:.3g}%" for share in report.inclusion)  # 0.5% is not 0%
    share = low if low == high else f"{low} to {high}"
    lines.append(f"This rests on {report.sampled:,} requests, drawn at random ({share}), that every model answered.")
    return [*lines, *filter(None, [report.outlook])]


def _saving(rule: Rule) -> str:
    """What routing costs beside a rule, as the end of a sentence; nothing without prices."""
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
    """How many times, for people."""
    return f"{ratio:,.0f}" if ratio >= 9.5 else f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2g}"


def _less(gain: Estimate) -> str:
    """What a rule would have earned beside routing."""
    if gain.low <= 0 <= gain.high or not math.isfinite(gain.low):
        return f"about the same ({-gain.mean:+z.2f}, 95% CI {-gain.high:z.2f} to {-gain.low:z.2f})"
    return f"{abs(gain.mean):.2f} {'less' if gain.mean > 0 else 'more'} (95% CI {_ends(gain)})"


def _ends(gain: Estimate) -> str:
    """The interval of how much more, or less, where one of the two is said."""
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"{low:.2f} to {high:.2f}"


def _price(rule: Rule) -> str:
    """How many times as much as routing a rule would have cost."""
    return (
        f" at {_number(1 / rule.cost.mean)} times the cost"
        if math.isfinite(rule.cost.mean) and rule.cost.mean > 0
        else ""
    )


NAMES = {ROUTING: "routing", RANDOM: "random", RMR: "RMR"}
HEADINGS = ("", "reward", "routing earned", "dollars per 1,000", "cost of routing", "seconds", "tokens")
WITH_THOUGHTS = "tokens (thoughts)"  # instead of the last one, where a model thinks


def figures(report: Report) -> tuple[list[str], list[list[str]]]:
    """Headings, and a row of texts for each rule; without columns that have no figure but 0, such as prices."""
    rows: list[tuple[str, ...]] = []
    priced, thinks = (any(getattr(rule, part).mean > 0 for rule in report.rules) for part in ("dollars", "thoughts"))
    for rule in report.rules:
        name = f"always {rule.name}" if rule.name in report.pool else NAMES[rule.name]
        gain = f"{rule.gain.mean:+z.2f} ({rule.gain.low:z.2f} to {rule.gain.high:z.2f})" if rule.name != ROUTING else ""
        cost = _cost(rule.cost.mean) if rule.name != ROUTING and math.isfinite(rule.cost.mean) else ""
        dollars = in_dollars(1000 * rule.dollars.mean) if rule.dollars.n and priced else ""
        seconds = f"{rule.seconds.mean:.1f}" if rule.seconds.n else ""
        tokens = f"{rule.tokens.mean:,.0f}" if rule.tokens.n else ""
        tokens += f" ({rule.thoughts.mean:,.0f})" if rule.thoughts.n and thinks else ""
        rows.append((name, f"{rule.reward.mean:z.2f}", gain, dollars, cost, seconds, tokens))
    headings = [*HEADINGS[:-1], WITH_THOUGHTS if thinks else HEADINGS[-1]]
    used = [place for place in range(len(HEADINGS)) if any(row[place] for row in rows)]
    return [headings[place] for place in used], [[row[place] for place in used] for row in rows]


def _cost(ratio: float) -> str:
    return f"{_number(ratio)} times" if ratio >= 2 else f"{ratio:.0%}" if ratio >= 0.005 else "under 1%"
