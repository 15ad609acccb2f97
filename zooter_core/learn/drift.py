"""Warnings: rewards of a candidate that fell, queries unlike those of the training, and probabilities that are off.

Many moments and candidates are tested for a fall, so each test is held to a stricter level (Bonferroni). Where nothing
has changed, at most about 5% of the reports have a false warning (benchmarks/traffic.py alarms).
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import MODEL, SAMPLE, SERVED
from zooter_core.method.calibration import Calibration
from zooter_core.method.metrics import t_quantile, wilson_interval

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

FEWEST = 30  # rewards before and after a moment, requests, and training queries
STEP_HOURS = 6
LEVEL = 0.05
FAR, MOST_FAR = 0.05, 300  # the share of training queries that count as far, and queries that are looked at
Sums = tuple[int, float, float]  # n, sum, sum of squares


@dataclass(frozen=True)
class Change:
    """A warning.

    Attributes:
        kind: `reward`, `far` or `calibration`.
        name: of the candidate, `queries` or `probabilities`.
        before, after: mean rewards, or shares of the requests: what would be usual or right, and what is.
        since: when it changed, in seconds since 1970.
        message: says it, and what to do.
    """

    kind: str
    name: str
    before: float
    after: float
    since: float
    message: str


def fallen_rewards(traffic: Traffic, since: float, until: float) -> list[Change]:
    """The candidates whose mean reward is lower after some moment than before it.

    The rewards of the uniform sample are compared where there are enough, as the router decides who answers which
    queries; else those of served answers.
    """
    by_candidate: dict[tuple[str, str], dict[int, Sums]] = defaultdict(dict)
    for hour, candidate, source, why, n, total, squares in traffic.reward_totals(since, until, hours=STEP_HOURS):
        if source == MODEL and why in (SAMPLE, SERVED):
            by_candidate[candidate, why][hour] = (n, total, squares)
    names = sorted({candidate for candidate, _ in by_candidate})
    fallen = []
    for name in names:
        for why in (SAMPLE, SERVED):
            bins = by_candidate.get((name, why), {})
            if sum(n for n, _, _ in bins.values()) >= 2 * FEWEST:
                if change := fall_of(name, bins, len(names), why):
                    fallen.append(change)
                break
    return sorted(fallen, key=lambda change: change.after - change.before)


def fall_of(name: str, bins: Mapping[int, Sums], candidates: int, why: str) -> Change | None:
    """The moment at which the rewards before and after differ most clearly, if they fell; by Welch's t test.

    The tests at neighbouring moments mostly agree: n of them count as 3 + n / 4, with which at most LEVEL of the
    candidates that stay as they were are named.

    Args:
        bins: the sums of each step, by its hour.
        candidates: how many are looked at.
    """
    hours = sorted(bins)
    best: tuple[float, int, float, float, float] | None = None
    tests = 0
    for place in range(1, len(hours)):
        early = _added([bins[hour] for hour in hours[:place]])
        late = _added([bins[hour] for hour in hours[place:]])
        if min(early[0], late[0]) < FEWEST:
            continue
        tests += 1
        error = math.sqrt(_variance(early) / early[0] + _variance(late) / late[0])
        before, after = early[1] / early[0], late[1] / late[0]
        t = (before - after) / error if error else 0.0
        if best is None or t > best[0]:
            best = (t, hours[place], before, after, error)
    if best is None:
        return None
    t, hour, before, after, error = best
    if t < t_quantile(1 - LEVEL / (candidates * min(tests, 3 + tests / 4)), FEWEST - 1):
        return None
    half = t_quantile(1 - LEVEL / 2, 2 * FEWEST) * error
    fall, moment = before - after, hour * 3600.0
    kind = "on the uniform sample" if why == SAMPLE else "on what it answered"
    message = (
        f"Rewards of {name} fell by {fall:.2f} {kind} (95% CI {fall - half:.2f} to {fall + half:.2f}) since about"
        f" {day(moment)}. See whether its model or server has changed."
    )
    return Change("reward", name, before, after, moment, message)


def _added(sums: Sequence[Sums]) -> Sums:
    return sum(n for n, _, _ in sums), sum(total for _, total, _ in sums), sum(squares for _, _, squares in sums)


def _variance(sums: Sums) -> float:
    n, total, squares = sums
    return max((squares - total**2 / n) / (n - 1), 0.0)


def far_queries(traffic: Traffic, ensemble: Ensemble, since: float, until: float) -> list[Change]:
    """A warning if many of the newest queries are unlike those that the router learned from; it takes its encoder.

    Unlike means: less similar to their nearest training query than 95% of the training queries are to theirs. There is
    no warning where the router has no training queries, or too few.

    Raises:
        ZooterError: the router, its encoder or its training queries do not load.
    """
    newest = traffic.newest(MOST_FAR, useful=True)
    entries = [entry for entry in newest if since <= entry.time < until and entry.probability is not None]
    neighbours = ensemble.neighbours if len(entries) >= FEWEST else None
    if neighbours is None or len(neighbours.vectors) < FEWEST:
        return []
    training, encoder = np.asarray(neighbours.vectors, dtype=np.float32), ensemble.router.encoder
    rows = np.arange(0, len(training), -(-len(training) // MOST_FAR))
    among = training[rows] @ training.T
    among[np.arange(len(rows)), rows] = -1.0  # a query's similarity to itself
    border = np.quantile(among.max(axis=1), FAR)
    vectors = encoder.sentence(encoder.embed([entry.query for entry in entries]))  # of users: they are not stored
    far = (vectors @ training.T).max(axis=1) < border
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


def miscalibrated(calibration: Calibration | None, since: float) -> list[Change]:
    """A warning if the router's probabilities are clearly not how often its choices are the best."""
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
