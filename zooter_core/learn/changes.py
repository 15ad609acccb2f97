"""Warnings: a candidate's rewards fell, queries are unlike the training queries, or probabilities are off.

The statistics are in method/drift.py and method/calibration.py. If nothing has changed, at most about 5% of reports
contain a false warning (`benchmarks/traffic.py alarms`).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.traffic import HOUR, ROUTED, Traffic
from zooter_core.learn.traffic_rows import MODEL, SAMPLE, SERVED
from zooter_core.method.calibration import Calibration
from zooter_core.method.drift import FAR, clearest_fall, far_queries
from zooter_core.method.metrics import wilson_interval
from zooter_core.method.worth import FEWEST

STEP_HOURS = 6
NEWEST = 300  # latest queries that are compared with the training queries
WHERE = {SAMPLE: "on the uniform sample", SERVED: "on what it answered"}


@dataclass(frozen=True)
class Change:
    """A warning."""

    kind: str  # `reward`, `far` or `calibration`
    name: str  # the candidate's name, `queries` or `probabilities`
    # The expected and the actual value: mean rewards, or shares of the requests.
    before: float
    after: float
    since: float  # time of the change, in seconds since 1970
    message: str  # what has changed, and what to do


def fallen_rewards(traffic: Traffic, since: float, until: float) -> list[Change]:
    """Warnings for candidates whose mean reward is lower after some moment than before it.

    If there are enough rewards in the uniform sample, these are compared, because the router decides which queries a
    candidate answers otherwise. If not, rewards of served answers are compared.
    """
    steps = defaultdict[tuple[str, str], list[tuple[float, ...]]](list)
    for hour, candidate, source, why, n, total, squares in traffic.reward_totals(since, until, hours=STEP_HOURS):
        if source == MODEL and why in WHERE:
            steps[candidate, why].append((hour, n, total, squares))
    names = sorted({candidate for candidate, _ in steps})
    changes = []
    for name in names:
        for why, where in WHERE.items():
            hours, *sums = np.array(steps[name, why]).reshape(-1, 4).T
            if sums[0].sum() >= 2 * FEWEST:
                if fall := clearest_fall(sums[0], sums[1], sums[2], len(names)):
                    moment, interval = float(hours[fall.step]) * HOUR, f"95% CI {fall.low:.2f} to {fall.high:.2f}"
                    message = (
                        f"Rewards of {name} fell by {fall.before - fall.after:.2f} {where} ({interval}) since about"
                        f" {day(moment)}. See whether its model or server has changed."
                    )
                    changes.append(Change("reward", name, fall.before, fall.after, moment, message))
                break
    return sorted(changes, key=lambda change: change.after - change.before)


def unfamiliar_queries(traffic: Traffic, ensemble: Ensemble, since: float, until: float) -> list[Change]:
    """A warning if significantly more than twice the usual share of the latest queries are far from the training
    queries.

    There is no warning if the router has no or too few stored training queries.

    Raises:
        ZooterError: the router, its encoder or its training queries do not load.
    """
    entries = [entry for entry in traffic.newest(NEWEST, ROUTED) if since <= entry.time < until]
    neighbours = ensemble.neighbours if len(entries) >= FEWEST else None
    if neighbours is None or len(neighbours.vectors) < FEWEST:
        return []
    encoder = ensemble.router.encoder
    vectors = encoder.sentence(encoder.embed([entry.query for entry in entries]))  # stores no vectors of users' texts
    far = far_queries(vectors, np.asarray(neighbours.vectors, dtype=np.float32))
    share = float(far.mean())
    if wilson_interval(share, len(entries))[0] <= 2 * FAR:
        return []
    tags = Counter(tag for entry, is_far in zip(entries, far, strict=True) if is_far for tag in entry.tags)
    often = ", ".join(tag for tag, _ in tags.most_common(3))
    message = (
        f"{share:.0%} of the newest {len(entries):,} requests are unlike what the router has learned from, where"
        f" {FAR:.0%} would be usual{f' (frequent tags: {often})' if often else ''}. Its choices there are less certain;"
        " train it on queries like these."
    )
    return [Change("far", "queries", FAR, share, entries[-1].time, message)]


def wrong_probabilities(calibration: Calibration | None, since: float) -> list[Change]:
    """A warning if the router's probabilities differ significantly from how often its choices are the best."""
    if calibration is None or not calibration.off:
        return []
    c = calibration
    direction = "too sure" if c.stated > c.won else "too unsure"
    message = (
        f"The router is {direction}: its choices had a probability of {c.stated:.0%} on average and were the best in"
        f" {c.won:.0%} of {c.n:,} sampled requests. The probabilities are off by {c.error:.2f} on average (expected"
        f" calibration error, 95% CI {c.low:.2f} to {c.high:.2f}; chance alone explains {c.chance:.2f}). Routers of"
        " `zooter learn` are calibrated on the sample."
    )
    return [Change("calibration", "probabilities", c.won, c.stated, since, message)]


def day(moment: float) -> str:
    """A time in the local time zone, such as "Tue 25 Nov 14:00"."""
    return time.strftime("%a %d %b %H:%M", time.localtime(moment))
