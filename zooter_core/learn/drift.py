"""What has changed in the traffic: rewards that fell, tags that rise or fall, queries unlike those of the training.

Two warnings are about what is wrong now: probabilities that do not match, and a reward model that contradicts people.

Many moments, candidates and tags are tested, so each test is held to a stricter level (Bonferroni). Where nothing has
changed, at most about 5% of the reports have a false warning of fallen rewards (benchmarks/traffic.py alarms).
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.strict_json import parse_json
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import MODEL, SAMPLE, SERVED, LoggedDecision
from zooter_core.method.calibration import Calibration
from zooter_core.method.metrics import t_quantile, wilson_interval
from zooter_core.method.worth import Estimate

if TYPE_CHECKING:
    from zooter_core.fleet.ensemble import Ensemble

FEWEST = 30  # rewards before and after a moment, and uses of a tag
STEP_HOURS = 6
LEAST_SHARE = 0.03  # a tag's share must change by so much
LATE = 0.25  # the last part of a period, whose tags are compared with those before
MOST_DECISIONS = 20_000  # whose tags are read
LEVEL = 0.05
WEAK = 0.6  # a reward model that agrees with fewer pairs of votes is little help
LEAST_MENDED = 0.02  # of the calibration error, by a temperature
EVERYTHING = "all tags"
FAR, MOST_FAR = 0.05, 300  # the share of training queries that count as far, and queries that are looked at
Sums = tuple[int, float, float]  # n, sum, sum of squares


@dataclass(frozen=True)
class Change:
    """Something that has changed.

    Attributes:
        kind: `reward`, `tag`, `far`, `calibration` or `people`.
        name: of the candidate or the tag.
        before, after: mean rewards, or shares of the requests; of a warning, what would be right and what is.
        since: when it changed, in seconds since 1970.
        message: says it, and what to do.
        cost, gain: what it costs, and what learning would gain, in a sentence each (stakes.py).
        requests: the ids of those that a warning of the kind `far` is about.
    """

    kind: str
    name: str
    before: float
    after: float
    since: float
    message: str
    cost: str = ""
    gain: str = ""
    requests: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def text(self) -> str:
        """All that is said of it."""
        return " ".join(filter(None, (self.message, self.cost, self.gain)))


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


def moved_tags(traffic: Traffic, since: float, until: float) -> list[Change]:
    """The tags whose share of the requests in the last quarter of a period differs from that before it."""
    count = sum(total.n for total in traffic.totals(since, until) if total.routed and not total.chore)
    rows = traffic.tags(since, until, -(-count // MOST_DECISIONS) or 1)
    if not rows:
        return []
    first, last = min(row[0] for row in rows), max(row[0] for row in rows)
    border = last - LATE * (last - first)
    early, late, n = Counter[str](), Counter[str](), [0, 0]
    for moment, text, _ in rows:
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
    entries = newest_routed(traffic, since, until, MOST_FAR)
    usual = familiar(ensemble) if len(entries) >= FEWEST else None
    if usual is None:
        return []
    training, border = usual
    far = nearest(ensemble, training, [entry.query for entry in entries]) < border
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
    requests = frozenset(entry.request_id for entry, is_far in zip(entries, far, strict=True) if is_far)
    return [Change("far", "queries", FAR, share, entries[-1].time, message, requests=requests)]


def newest_routed(traffic: Traffic, since: float, until: float, most: int) -> list[LoggedDecision]:
    """Among the newest decisions, those of the router in a period, chores left out; the last one first."""
    return [
        entry
        for entry in traffic.newest(most, useful=True)
        if since <= entry.time < until and entry.probability is not None
    ]


def familiar(ensemble: Ensemble) -> tuple[NDArray[np.float32], float] | None:
    """The vectors of the router's training queries, and the similarity that all but FAR of them have to another one.

    None where the router has no training queries, or too few.

    Raises:
        ZooterError: they do not load.
    """
    neighbours = ensemble.neighbours
    if neighbours is None or len(neighbours.vectors) < FEWEST:
        return None
    training = np.asarray(neighbours.vectors, dtype=np.float32)
    rows = np.arange(0, len(training), -(-len(training) // MOST_FAR))
    among = training[rows] @ training.T
    among[np.arange(len(rows)), rows] = -1.0  # a query's similarity to itself
    return training, float(np.quantile(among.max(axis=1), FAR))


def nearest(ensemble: Ensemble, training: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.float32]:
    """The similarity of texts to the nearest training query, shape (n,). Their vectors are of users: none is stored."""
    encoder = ensemble.router.encoder
    return np.asarray((encoder.sentence(encoder.embed(texts)) @ training.T).max(axis=1))


def miscalibrated(calibration: Calibration | None, since: float) -> list[Change]:
    """A warning if the router's probabilities are clearly not how often its choices are the best."""
    if calibration is None or not calibration.off:
        return []
    c = calibration
    direction = "too sure" if c.stated > c.won else "too unsure"
    message = (
        f"The router is {direction}: its choices had a probability of {c.stated:.0%} on average and were the best in"
        f" {c.won:.0%} of {c.n:,} sampled requests. The probabilities are off by {c.error:.2f} on average (expected"
        f" calibration error, 95% CI {c.low:.2f} to {c.high:.2f}; chance alone explains {c.chance:.2f})."
    )
    cost = (
        "Its first choice stays the same, so `auto` loses no reward by it. What reads the probabilities goes wrong:"
        " when `auto-best` asks more models, when a conversation changes its model, and the certainty that is shown."
    )
    if c.mended < c.error - LEAST_MENDED:
        gain = (
            f"A temperature of {c.temperature:.1f} would bring the error to {c.mended:.2f} on these requests. Routers"
            " of `zooter learn` are calibrated on the sample; `zooter distill` calibrates on its training queries."
        )
    else:
        gain = "No temperature mends it: the router is wrong about some queries. `zooter learn` trains another one."
    return [Change("calibration", "probabilities", c.won, c.stated, since, message, cost, gain)]


def against_people(agreements: Mapping[str, Estimate], since: float) -> list[Change]:
    """Warnings where the reward model hardly agrees with thumbs: for all answers, or else for single tags.

    The upper end of the interval must be below WEAK, held to a stricter level with every tag that is looked at.
    """
    warnings: list[Change] = []
    for tag, shown in agreements.items():
        if shown.error != shown.error or (warnings and warnings[0].name == EVERYTHING):
            continue
        upper = shown.mean + t_quantile(1 - LEVEL / 2 / len(agreements), max(shown.n // 2 - 1, 1)) * shown.error
        if upper >= WEAK:
            continue
        where = "" if tag == EVERYTHING else f" with the tag {tag}"
        message = (
            f"The reward model disagrees with people on answers{where}: it prefers the liked answer to a disliked one"
            f" in {shown.mean:.0%} of the pairs (95% CI {shown.low:.0%} to {shown.high:.0%}, {shown.n:,} votes), where"
            " guessing has 50%."
        )
        cost = "The rewards of this report say little about what people want there, and so do the savings."
        gain = (
            "Learning from these rewards gains nothing there: use another model in [reward], or checked answers."
            " `zooter learn` trusts a thumb before the reward model."
        )
        warnings.append(Change("people", tag, WEAK, shown.mean, since, message, cost, gain))
    return warnings


def day(moment: float) -> str:
    """A time in the local time zone, such as "Tue 25 Nov 14:00"."""
    return time.strftime("%a %d %b %H:%M", time.localtime(moment))
