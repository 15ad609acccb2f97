"""The figures of `zooter report` and the page Traffic: what routing was worth in a period.

The equations are in method/worth.py. This module reads the sample from the traffic: randomly drawn requests that all
candidates answered, so that the reward of every rule is known. report_text.py writes the sentences.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.errors import ZooterError
from zooter_core.base.strict_json import parse_json
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.changes import Change, fallen_rewards, unfamiliar_queries, wrong_probabilities
from zooter_core.learn.deciding import SamplingPlan
from zooter_core.learn.traffic import HOUR, Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward
from zooter_core.method.calibration import Calibration, calibration
from zooter_core.method.metrics import Array, win_shares
from zooter_core.method.thinking import AnswerTable, Thinking, worth_of_thinking
from zooter_core.method.worth import (
    BEST,
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

DAY = 24.0 * HOUR
LATEST_DAYS = 7  # days from which the number of requests per day is estimated
MOST_SAMPLED = 10_000  # the most requests that are read from the sample
FIGURES = ("tokens", "thought_tokens", "seconds", "dollars")  # of an answer, in the order of an AnswerTable
MOST_REGRESSED = 300_000  # decisions; with more, the mean of all served rewards is not computed
LEAST_SERVED = 0.99  # the share of served answers that must have a reward
EVERYTHING = "all tags"
RANKED = {"rewards": BEST, "dollars": SUM, "seconds": SLOWEST, "tokens": SUM, "thoughts": SUM}  # RMR's aggregation


@dataclass(frozen=True)
class Rule:
    """The reward and cost per answer of a rule for choosing: `routing`, `random`, `rmr`, or always one candidate."""

    name: str
    reward: Estimate
    dollars: Estimate
    seconds: Estimate
    gain: Estimate  # the reward of routing minus that of this rule
    cost: Estimate  # the dollars of routing divided by those of this rule
    tokens: Estimate
    thoughts: Estimate  # the number of `tokens` in thoughts


@dataclass(frozen=True)
class TrafficReport:
    """The figures of a period."""

    fleet: str
    since: float  # in seconds since 1970
    until: float
    requests: int  # the number of all requests
    routed: int  # requests for which the router chose, without chores
    chores: int  # requests that chat UIs sent on their own
    answered: dict[str, int]  # candidate -> the number of routed requests that it answered, in descending order
    sampled: int  # requests that all candidates answered
    inclusion: tuple[float, float]  # lowest and highest probability of being sampled; (0, 0) without a sample
    pool: tuple[str, ...]  # the candidates in the sample
    rules: list[Rule]  # routing, the candidates (best first), random and RMR; empty if there is too little data
    calibration: Calibration | None  # of the router's probabilities on the sample; None if there is too little data
    agreement: dict[str, Estimate]  # of the reward model with thumbs, by tag and for EVERYTHING
    changes: list[Change]  # the warnings
    a_day: float  # requests per day for which the router chose, in the latest days
    last: float  # the time of the latest request, also outside the period; 0 if there is none
    thinking: list[Thinking]  # the gain and cost of thinking, by tag
    note: str = ""  # why the queries could not be compared with the router's training queries

    @property
    def share(self) -> float:
        """The share of requests that are sampled; without a sample, the default of `zooter learn`."""
        return self.inclusion[1] or SamplingPlan().share

    @property
    def best(self) -> Rule | None:
        """The candidate with the highest mean reward in the sample."""
        return next((rule for rule in self.rules if rule.name in self.pool), None)

    def rule(self, name: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.name == name), None)


def report_on(
    traffic: Traffic,
    fleet: str,
    since: float,
    until: float,
    ensemble: Ensemble | None = None,
    twins: Sequence[Sequence[str]] = (),
) -> TrafficReport:
    """Compute the report for a period.

    Args:
        ensemble: the ensemble whose router's training queries are compared with the queries of the period.
        twins: groups of candidates that are the same model with and without thinking (`evaluation.thinking.twins`).
    """
    totals = traffic.totals(since, until)
    sample = read_sample(traffic, since, until)
    by_router, answered = [total for total in totals if total.by_router], dict.fromkeys(sample.pool, 0)
    routed = sum(total.n for total in by_router)
    for total in by_router:
        if total.candidate:
            answered[total.candidate] = answered.get(total.candidate, 0) + total.n
    enough, calibrated = sample.n >= FEWEST, _calibration_on(sample)
    tags, far, note = [entry.tags for entry in sample.decisions], [], ""
    try:
        far = unfamiliar_queries(traffic, ensemble, since, until) if ensemble else []
    except ZooterError as problem:
        note = f"The queries are not compared with those of the router's training. {problem}"
    return TrafficReport(
        fleet=fleet,
        since=since,
        until=until,
        requests=sum(total.n for total in totals),
        routed=routed,
        chores=sum(total.n for total in totals if total.chore),
        answered=dict(sorted(answered.items(), key=lambda entry: -entry[1])),
        sampled=sample.drawn,
        inclusion=(float(sample.inclusion.min()), float(sample.inclusion.max())) if sample.n else (0.0, 0.0),
        pool=sample.pool,
        rules=_rules(traffic, sample, since, until, routed) if enough else [],
        calibration=calibrated,
        agreement=_agreement(traffic, since, until),
        changes=[*fallen_rewards(traffic, since, until), *far, *wrong_probabilities(calibrated, since)],
        a_day=requests_a_day(traffic, until),
        last=traffic.last_time(),
        thinking=worth_of_thinking(sample.pool, sample.answers, tags, twins, sample.inclusion) if enough else [],
        note=note,
    )


def requests_a_day(traffic: Traffic, until: float) -> float:
    """The number of requests per day for which the router chose in the latest days, without chores."""
    totals = traffic.totals(until - LATEST_DAYS * DAY, until, hours=1)
    routed = [total for total in totals if total.by_router]
    first = min((total.hour or 0 for total in routed), default=0) * HOUR
    return sum(total.n for total in routed) / max((until - first) / DAY, 1.0)


@dataclass(frozen=True)
class Sample:
    """The requests that all candidates answered."""

    pool: tuple[str, ...]
    answers: AnswerTable
    chosen: NDArray[np.intp]  # the index in the pool of the candidate that served, shape (n,)
    inclusion: Array  # the probability of being sampled, shape (n,)
    drawn: int  # the number of requests in the sample, of which `n` were read
    decisions: Sequence[LoggedDecision]  # the logged requests in order of time

    @property
    def n(self) -> int:
        return len(self.chosen)


def read_sample(traffic: Traffic, since: float, until: float) -> Sample:
    """The uniform sample of a period, or MOST_SAMPLED random requests of it if it is larger.

    Chores and requests for which the client named the model are left out.
    """
    ids = traffic.sampled(since, math.inf)  # rewards are computed after the request
    part = random.Random(0).sample(ids, MOST_SAMPLED) if len(ids) > MOST_SAMPLED else ids
    decisions = [
        one
        for one in traffic.decisions_for(part)
        if since <= one.time < until and one.probability is not None and not one.chore and one.candidate
    ]
    rewards: dict[str, dict[str, LoggedReward]] = defaultdict(dict)
    for reward in traffic.rewards_for([decision.request_id for decision in decisions]):
        if reward.source != FEEDBACK:
            rewards[reward.request_id][reward.candidate] = reward
    inclusion = {
        request_id: max((reward.inclusion or 0 for reward in row.values() if reward.why == SAMPLE), default=0.0)
        for request_id, row in rewards.items()
    }
    decisions = [
        entry for entry in decisions if inclusion.get(entry.request_id) and entry.candidate in rewards[entry.request_id]
    ]
    decisions.sort(key=lambda entry: (entry.time, entry.number))
    drawn = round(len(decisions) * len(ids) / len(part)) if part else 0
    pool = tuple(dict.fromkeys(name for entry in decisions for name in sorted(rewards[entry.request_id])))
    places = {name: place for place, name in enumerate(pool)}
    tables = np.full((5, len(decisions), len(pool)), np.nan)
    for row, entry in enumerate(decisions):
        for name, reward in rewards[entry.request_id].items():
            tables[:, row, places[name]] = [reward.reward, *(_figure(entry, reward, figure) for figure in FIGURES)]
    chosen = np.array([places[entry.candidate or ""] for entry in decisions], dtype=np.intp)
    probabilities = np.array([inclusion[entry.request_id] for entry in decisions])
    return Sample(pool, AnswerTable(*tables), chosen, probabilities, drawn, decisions)


def _figure(entry: LoggedDecision, reward: LoggedReward, name: str) -> float:
    """A figure of a candidate's answer: of the served answer if it was served, otherwise of the judged one; or NaN."""
    served = getattr(entry, name) if reward.candidate == entry.candidate else None
    value = getattr(reward, name) if served is None else served
    return math.nan if value is None else float(value)


def _calibration_on(sample: Sample) -> Calibration | None:
    """The calibration of the router that served last.

    If the sample has too few requests of this router, the calibration is that of all routers; None if there are still
    too few.
    """
    rows = [row for row, entry in enumerate(sample.decisions) if entry.probabilities]
    latest = [row for row in rows if sample.decisions[row].router == sample.decisions[rows[-1]].router]
    rows = latest if len(latest) >= FEWEST else rows
    if len(rows) < FEWEST:
        return None
    stated = np.array([[sample.decisions[row].probabilities.get(name, 0.0) for name in sample.pool] for row in rows])
    wins = win_shares(sample.answers.rewards[rows])
    judged = ~np.isnan(wins[np.arange(len(rows)), stated.argmax(axis=1)])  # not if its choice has failed
    return calibration(stated[judged], wins[judged]) if judged.sum() >= FEWEST else None


def _rules(traffic: Traffic, sample: Sample, since: float, until: float, routed: int) -> list[Rule]:
    """The estimates of each rule: routing, then candidates by reward, then random and RMR.

    A new candidate with too few requests for an interval is left out.
    """
    answered = ~np.isnan(sample.answers.rewards)
    priced = ~(answered & np.isnan(sample.answers.dollars)).any(axis=1, keepdims=True)  # same requests for all rules
    answers = replace(sample.answers, dollars=np.where(priced, sample.answers.dollars, np.nan))
    rewards, dollars, seconds, tokens, thoughts = (
        rules(getattr(answers, figure), sample.chosen, of_ranked, answered) for figure, of_ranked in RANKED.items()
    )
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
    """The mean by inverse probability, or the regression estimate with all served rewards if its error is smaller."""
    plain = weighted_mean(values, inclusion)
    if mean is None:
        return plain
    helped = regression_mean(values, inclusion, served[:, None], np.array([mean]))
    return helped if helped.error < plain.error else plain


def _agreement(traffic: Traffic, since: float, until: float) -> dict[str, Estimate]:
    """The agreement of the reward model with thumbs, for all answers and by tag, where there are enough votes."""
    good, bad = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for vote, reward, tags in traffic.votes(since, until):
        for tag in (EVERYTHING, *set(parse_json(tags))):
            if vote:
                (good if vote > 0 else bad)[tag].append(reward)
    enough = [tag for tag in good if min(len(good[tag]), len(bad[tag])) >= FEWEST_VOTES]
    enough.sort(key=lambda tag: (tag != EVERYTHING, -len(good[tag]) - len(bad[tag])))
    return {tag: agreement(np.array(good[tag]), np.array(bad[tag])) for tag in enough}
