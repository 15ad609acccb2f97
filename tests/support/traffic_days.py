"""Three invented days of traffic, for the page Traffic and its browser test."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import FEEDBACK, SAMPLE, LoggedDecision, LoggedReward

DAY = 86_400.0
REQUESTS = 200


def add_days(folder: Path, pool: Sequence[str]) -> None:
    """The first model answers and is liked best, though it is not said to be the likeliest; every fourth is sampled."""
    begin, decisions, rewards = time.time() - 3 * DAY, [], []
    for number in range(REQUESTS):
        moment, name = begin + 3 * DAY * number / REQUESTS, f"req-{number}"
        chances = dict.fromkeys(pool, 1 / len(pool))
        decisions.append(
            LoggedDecision(
                name, moment, f"What is *{number}*?", choice=pool[0], candidate=pool[0], probability=1 / len(pool),
                probabilities=chances, reason="router", dollars=0.001, seconds=1.5, tokens=7, answer="It is <b>.",
                tags=["arithmetic"] if number % 2 else ["arithmetic", "odd"],
            )
        )  # fmt: skip
        if number % 4 == 0:
            rewards += [
                LoggedReward(
                    name, who, (who == pool[0]) + number % 3, why=SAMPLE, inclusion=0.25, time=moment, dollars=0.002,
                    seconds=1.0, answer=f"{who} would say {number}.",
                )
                for who in pool
            ]  # fmt: skip
    rewards.append(LoggedReward("req-196", pool[0], 1.0, FEEDBACK, time=time.time()))
    with Traffic.open(folder) as traffic:
        traffic.add(decisions)
        traffic.add_rewards(rewards)
