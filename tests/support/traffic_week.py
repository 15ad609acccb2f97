"""An invented week of traffic whose truth is known."""

from __future__ import annotations

import numpy as np

from zooter_core.learn.traffic import HOUR
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward

DAY = 24 * HOUR
POOL = ("general", "code", "small")


def fill(traffic, n=2000, share=0.2, begin=0.0, broken_after=None, votes=0):
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
