"""A day of traffic that ships with Zooter, so that the page Traffic has something to show (recipes/sample_day.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zooter_core.base.jsonl import read_lines
from zooter_core.learn.alternatives import BEFORE, FIRST, Earlier
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import LoggedDecision, LoggedReward

FILE = Path(__file__).parent / "sample_day.jsonl.gz"


def fill(traffic: Traffic, midnight: float) -> None:
    """Add the day to a traffic file, as the day that began at a time."""
    decisions, rewards = [], []
    for _, line in read_lines(FILE):
        if "event" in line:
            continue
        for reward in line.pop("rewards"):
            rewards.append(LoggedReward(**{**reward, "time": midnight + reward["time"]}))
        del line["earlier"]
        decisions.append(LoggedDecision(**{**line, "time": midnight + line["time"]}))
    traffic.add(decisions)
    traffic.add_rewards(rewards)


def switches(midnight: float) -> list[dict[str, Any]]:
    """The changes of the router on that day, in the shape of `State.events`."""
    return [line | {"time": midnight + line["time"]} for _, line in read_lines(FILE) if "event" in line]


def earlier(midnight: float) -> list[Earlier]:
    """The two other routers of the day, with their choices."""
    lines = [line for _, line in read_lines(FILE) if "event" not in line]
    events = switches(midnight)
    return [
        Earlier(
            name, event["before"], event["time"], {of["request_id"]: of["earlier"][event["before"]] for of in lines}
        )
        for name, event in ((BEFORE, events[-1]), (FIRST, events[0]))
    ]
