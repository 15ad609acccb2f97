"""A day of traffic that ships with Zooter, so that the page Traffic has something to show (recipes/sample_day.py)."""

from __future__ import annotations

from pathlib import Path

from zooter_core.base.jsonl import read_lines
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision, LoggedReward

FILE = Path(__file__).parent / "sample_day.jsonl.gz"


def fill(traffic: Traffic, midnight: float) -> None:
    """Add the day to a traffic file, as the day that began at a time."""
    decisions, rewards = [], []
    for _, line in read_lines(FILE):
        for reward in line.pop("rewards"):
            rewards.append(LoggedReward(**{**reward, "time": midnight + reward["time"]}))
        decisions.append(LoggedDecision(**{**line, "time": midnight + line["time"]}))
    traffic.add(decisions)
    traffic.add_rewards(rewards)
