"""What has changed in the traffic: rewards that fell, tags that rise or fall, queries unlike those of the training.

Many moments, candidates and tags are looked at, so each test is held to a stricter level (Bonferroni). With nothing
changed, about 5% of the reports at most have a false warning of fallen rewards (benchmarks/traffic.py alarms).
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zooter_core.base.strict_json import parse_json
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import MODEL, SAMPLE, SERVED
from zooter_core.method.metrics import t_quantile, wilson_interval

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

FEWEST = 30  # rewards before and after a moment, and uses of a tag
STEP_HOURS = 6
LEAST_SHARE = 0.03  # a tag's share must change by so much
LATE = 0.25  # the last part of a period, whose tags are compared with those before
MOST_DECISIONS = 20_000  # whose tags are read
LEVEL, ALIKE = 0.05, 3
FAR, MOST_FAR = 0.05, 300  # the share of training queries that count as far, and queries that are looked at
Sums = tuple[int, float, float]  # n, sum, sum of squares


@dataclass(frozen=True)
class Change:
    """Something that has changed.

    Attributes:
        kind: `reward`, `tag` or `far`.
        name: of the candidate or the tag.
        before, after: mean rewards, or shares of the requests.
        since: when it changed, in seconds since 1970.
        message: says it, and what to do.
    """

    kind: str
    name: str
    before: float
    after: float
    since: float
    message: str


def changes(traffic: Traffic, since: float, until: float, ensemble: Ensemble | None = None) -> list[Change]:
    """What has changed in a period, the largest falls of rewards first.

    Args:
        ensemble: the fleet, whose router's encoder says which queries are unlike the training ones; None does not ask.

    Raises:
        ZooterError: its router does not load.
    """
    far = far_queries(traffic, ensemble, since, until) if ensemble else []
    return [*fallen_rewards(traffic, since, until), *far, *moved_tags(traffic, since, until)]


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

    The tests at neighbouring moments mostly agree, so every ALIKE of them count as one.

    Args:
        bins: the sums of each step, by its hour.
        candidates: how many are looked at.
    """
    hours = sorted(bins)
    best: tuple[float, int, float, float, float] | None = None
    for place in range(1, len(hours)):
        early = _added([bins[hour] for hour in hours[:place]])
        late = _added([bins[hour] for hour in hours[place:]])
        if min(early[0], late[0]) < FEWEST:
            continue
        error = math.sqrt(_variance(early) / early[0] + _variance(late) / late[0])
        before, after = early[1] / early[0], late[1] / late[0]
        t = (before - after) / error if error else 0.0
        if best is None or t > best[0]:
            best = (t, hours[place], before, after, error)
    if best is None:
        return None
    t, hour, before, after, error = best
    if t < t_quantile(1 - LEVEL * ALIKE / (candidates * len(bins)), FEWEST - 1):
        return None
    half = t_quantile(1 - LEVEL / 2, 2 * FEWEST) * error
    fall, moment = before - after, hour * 3600.0
    kind = "on the uniform sample" if why == SAMPLE else "on what it answered"
    message = (
        f"Rewards of {name} fell by {fall:.2f} {kind} (95% CI {fall - half:.2f} to {fall + half:.2f}) since about"
        f" {day(moment)}. See whether its model or server has changed; a router that learns from this traffic takes"
        " queries away from it."
    )
    return Change("reward", name, before, after, moment, message)


def _added(sums: Sequence[Sums]) -> Sums:
    return sum(n for n, _, _ in sums), sum(total for _, total, _ in sums), sum(squares for _, _, squares in sums)


def _variance(sums: Sums) -> float:
    n, total, squares = sums
    return max((squares - total**2 / n) / (n - 1), 0.0)


def moved_tags(traffic: Traffic, since: float, until: float) -> list[Change]:
    """The tags whose share of the requests in the last quarter of a period differs from that before it."""
    count = sum(total.n for total in traffic.totals(since, until) if total.routed and not total.chore)
    rows = traffic.tags(since, until, -(-count // MOST_DECISIONS) or 1)
    if not rows:
        return []
    first, last = min(moment for moment, _ in rows), max(moment for moment, _ in rows)
    border = last - LATE * (last - first)
    early, late, n = Counter[str](), Counter[str](), [0, 0]
    for moment, text in rows:
        n[moment >= border] += 1
        (late if moment >= border else early).update(set(parse_json(text)))
    if min(n) < FEWEST:
        return []
    tags = [tag for tag in early | late if early[tag] + late[tag] >= FEWEST]
    moved = []
    for tag in tags:
        before, after = early[tag] / n[0], late[tag] / n[1]
        pooled = (early[tag] + late[tag]) / sum(n)
        error = math.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
        if abs(after - before) >= LEAST_SHARE and abs(after - before) > error * t_quantile(
            1 - LEVEL / 2 / len(tags), min(n)
        ):
            verb = "rose" if after > before else "fell"
            message = (
                f"Requests with the tag {tag} {verb} from {before:.0%} to {after:.0%} of the traffic since"
                f" {day(border)}. Where the router has seen few of them, its choices are less certain."
            )
            moved.append(Change("tag", tag, before, after, border, message))
    return sorted(moved, key=lambda change: -abs(change.after - change.before))


def far_queries(traffic: Traffic, ensemble: Ensemble, since: float, until: float) -> list[Change]:
    """A warning if many of the newest queries are unlike those that the router learned from; it takes its encoder.

    Unlike means: less similar to their nearest training query than 95% of the training queries are to theirs.

    Raises:
        ZooterError: the router or its encoder does not load.
    """
    neighbours = ensemble.neighbours
    entries = [
        entry
        for entry in traffic.newest(MOST_FAR)
        if since <= entry.time < until and entry.probability is not None and not entry.chore
    ]
    if neighbours is None or len(entries) < FEWEST or len(neighbours.vectors) < FEWEST:
        return []
    training = np.asarray(neighbours.vectors, dtype=np.float32)
    encoder = ensemble.router.encoder
    vectors = encoder.sentence(encoder.embed([entry.query for entry in entries]))  # not stored, as they are of users
    rows = np.arange(0, len(training), -(-len(training) // MOST_FAR))
    among = training[rows] @ training.T
    among[np.arange(len(rows)), rows] = -1.0  # a query's similarity to itself
    border = float(np.quantile(among.max(axis=1), FAR))
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


def day(moment: float) -> str:
    """A time in the local time zone, such as "Tue 25 Nov 14:00"."""
    return time.strftime("%a %d %b %H:%M", time.localtime(moment))
