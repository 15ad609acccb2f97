"""Invented traffic: a week whose truth is known, for the report, and three days of a fleet, for the pages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.learn.report import TrafficReport
from zooter_core.learn.traffic import HOUR, Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward
from zooter_core.method.worth import Estimate

DAY = 24 * HOUR
POOL = ("general", "code", "small")
REQUESTS = 200  # in three days


def fill_week(traffic, n=2000, share=0.2, begin=0.0, broken_after=None, votes=0):
    """A week in which routing earns 1 more than `general` and costs half; `small` never answers."""
    dice = np.random.default_rng(1)
    decisions, rewards = [], []
    for number in range(n):
        moment = begin + 7 * DAY * number / n
        is_code = number % 2
        name, tag = ("code", "code") if is_code else ("general", "talk")
        decisions.append(
            LoggedDecision(
                f"req-{number}", moment, f"query {number}", choice=name, candidate=name, probability=0.8,
                probabilities=dict.fromkeys(POOL, 1 / 3), tags=[tag], dollars=0.002 if name == "general" else 0,
                tokens=10, seconds=1.0, reason="router",
            )
        )  # fmt: skip
        everybody = dice.random() < share
        for who in POOL if everybody else (name,):
            value = {"general": 1.0, "code": 3.0 if is_code else 0.0, "small": -2.0}[who] + dice.normal()
            value -= 2.0 if who == "code" and broken_after is not None and number > broken_after * n else 0.0
            dollars = 0.002 if who == "general" else 0.0
            reward = LoggedReward(f"req-{number}", who, value, time=moment + 60, dollars=dollars, seconds=2.0)
            reward.why, reward.inclusion = (SAMPLE, share) if everybody else ("served", 1.0)
            rewards.append(reward)
            if who == name and number < votes:
                rewards.append(LoggedReward(f"req-{number}", who, 1.0 if value > 2 else -1.0, FEEDBACK, time=moment))
    traffic.add(decisions)
    traffic.add_rewards(rewards)


def against_best(
    report: TrafficReport, gain: Estimate | None = None, cost: Estimate | None = None, **more: Any
) -> TrafficReport:
    """The same with another gain over the best single model, or another ratio of dollars."""
    rules = [
        replace(rule, gain=gain or rule.gain, cost=cost or rule.cost) if rule is report.best else rule
        for rule in report.rules
    ]
    return replace(report, rules=rules, **more)


def add_days(folder: Path, pool: Sequence[str]) -> None:
    """The first model answers and is liked best, though it is not said to be the likeliest; every fourth is sampled."""
    begin, decisions, rewards = time.time() - 3 * DAY, [], []
    for number in range(REQUESTS):
        moment, name = begin + 3 * DAY * number / REQUESTS, f"req-{number}"
        decisions.append(
            LoggedDecision(
                name, moment, f"What is *{number}*?", choice=pool[0], candidate=pool[0], probability=1 / len(pool),
                probabilities=dict.fromkeys(pool, 1 / len(pool)), reason="router", dollars=0.001, seconds=1.5,
                tokens=7, answer="It is <b>.", tags=["arithmetic"] if number % 2 else ["arithmetic", "odd"],
            )
        )  # fmt: skip
        for who in pool if number % 4 == 0 else ():
            rewards.append(
                LoggedReward(
                    name, who, (who == pool[0]) + number % 3, why=SAMPLE, inclusion=0.25, time=moment, dollars=0.002,
                    seconds=1.0, answer=f"{who} would say {number}.",
                )
            )  # fmt: skip
    rewards.append(LoggedReward("req-196", pool[0], 1.0, FEEDBACK, time=time.time()))
    with Traffic.open(folder) as traffic:
        traffic.add(decisions)
        traffic.add_rewards(rewards)
