"""How long the traffic file takes, and whether a report's intervals are right: python benchmarks/traffic.py store

`store` fills a traffic file with synthetic decisions, 5% of which have the rewards of all candidates, and measures
adding, summing, the report (or only the report with `report --folder`), and deleting. `coverage` simulates weeks with
known truth (every candidate's reward on every query) and counts how often the 95% intervals of `method/worth.py`
contain it. `alarms` counts warnings of fallen rewards in weeks without a fall, and in weeks in which the rewards of one
candidate fall midweek.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np

from zooter_core.learn.changes import STEP_HOURS
from zooter_core.learn.report import report_on
from zooter_core.learn.report_text import sentences
from zooter_core.learn.traffic import Traffic
from zooter_core.learn.traffic_rows import (
    DECISION_COLUMNS,
    REWARD_COLUMNS,
    SAMPLE,
    LoggedDecision,
    LoggedReward,
)
from zooter_core.method.drift import clearest_fall
from zooter_core.method.worth import (
    RANDOM,
    RMR,
    ROUTING,
    SUM,
    Estimate,
    ratio_of_means,
    regression_mean,
    rules,
    weighted_mean,
)

POOL = ("general", "code", "math", "small")
BEGIN, WEEK = 1_750_000_000.0, 7 * 86_400.0
PART, SHARE = 10_000, 0.05
MOST_MADE = 200_000  # decisions that are generated one by one; further ones are copies of these
TEXT = "How do I sort a list of dictionaries by two of their keys, one of them in descending order? " * 3


def decisions(n: int) -> Iterator[list[LoggedDecision]]:
    """`n` decisions, spread evenly over a week, in parts."""
    dice = np.random.default_rng(0)
    for first in range(0, n, PART):
        chances = dice.dirichlet(np.ones(len(POOL)), PART)
        names = [part.hex() for part in dice.integers(0, 256, (PART, 24), dtype=np.uint8).view("V24")[:, 0].tolist()]
        tokens, seconds = dice.integers(20, 800, PART), dice.gamma(2.0, 1.0, PART)
        yield [
            LoggedDecision(
                f"req-{names[place]}", BEGIN + WEEK * number / n, f"{TEXT}{number}",
                key=f"key-{number % 50}", user=f"user-{number % 5000}", session=f"{number % 100_000:016x}",
                fleet="benchmark", router="0123456789ab", choice=POOL[int(row.argmax())],
                candidate=POOL[int(row.argmax())], probability=float(row.max()),
                probabilities=dict(zip(POOL, row.round(4).tolist(), strict=True)), reason="router", tags=["code"],
                prompt_tokens=80, tokens=int(tokens[place]), dollars=float(tokens[place]) * 1e-6,
                seconds=float(seconds[place]), first_token_seconds=0.3, finish="stop",
            )
            for place, (number, row) in enumerate(zip(range(first, min(first + PART, n)), chances, strict=False))
        ]  # fmt: skip


def sampled(part: list[LoggedDecision]) -> Iterator[LoggedReward]:
    """The rewards of all candidates for a share of the decisions, and of the served candidate for the others."""
    dice = np.random.default_rng(len(part[0].request_id) + int(part[0].time))
    for entry in part:
        everybody = dice.random() < SHARE
        for name in POOL if everybody else (entry.candidate or "",):
            yield LoggedReward(
                entry.request_id, name, float(dice.normal()), why=SAMPLE if everybody else "served",
                inclusion=SHARE if everybody else 1.0, time=entry.time, dollars=2e-4, tokens=200, seconds=2.0,
            )  # fmt: skip


def timed(what: str, measured: Callable[[], object]) -> object:
    """Call a function and print how long it took. Return its result."""
    begun = time.perf_counter()
    result = measured()
    print(f"{what}: {time.perf_counter() - begun:.2f} s", flush=True)
    return result


def grow(traffic: Traffic, first: int, n: int, done: int = 1) -> None:
    """Copy the first decisions, with their rewards, under other ids until there are `n`."""
    columns, rewards = ", ".join(DECISION_COLUMNS[1:]), ", ".join(REWARD_COLUMNS[1:])
    for setting in ("cache_size = -1000000", "synchronous = OFF"):  # to copy faster
        traffic._database.execute(f"PRAGMA {setting}")
    for copy in range(done, -(-n // first)):
        name = f"{copy:03d}-"
        with traffic._changing() as database:
            database.execute(
                f"INSERT INTO decisions (request_id, {columns}) SELECT ? || substr(request_id, 5), {columns}"
                " FROM decisions WHERE number <= ?",
                (name, first),
            )
            database.execute(
                f"INSERT INTO rewards (request_id, {rewards}) SELECT ? || substr(request_id, 5), {rewards}"
                " FROM rewards WHERE request_id >= 'req-' AND request_id < 'req.'",
                (name,),
            )
        print(f"{(copy + 1) * first:,} decisions", flush=True)


def report(folder: Path) -> None:
    """Compute the report on the week, and print its time and memory in this process."""
    with Traffic.open(folder, create=False) as traffic:
        lines = timed("the report", lambda: sentences(report_on(traffic, "benchmark", BEGIN, BEGIN + WEEK)))
    for line in cast("list[str]", lines):
        print(f"  {line}")
    # Not ru_maxrss, which includes the memory of the parent process at the start.
    most = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(f"memory of the report at most {int(most.split()[1]) / 1024:,.0f} MiB")


def store(n: int, folder: Path) -> None:
    """Measure a file of `n` decisions."""
    with Traffic.open(folder) as traffic:
        begun = time.perf_counter()
        first = min(n, MOST_MADE)
        for part in decisions(first):
            traffic.add(part)
            traffic.add_rewards(sampled(part))
        seconds = time.perf_counter() - begun
        print(
            f"added {first:,} decisions in {seconds:.0f} s ({first / seconds:,.0f} a second, with rewards)", flush=True
        )
        grow(traffic, first, n)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{size / 2**20:,.0f} MiB on the disk, {size / n:,.0f} bytes a decision")
    with Traffic.open(folder) as traffic:
        scan = "SELECT candidate, COUNT(*), SUM(tokens), SUM(dollars), SUM(seconds) FROM decisions GROUP BY candidate"
        timed("sums by candidate", lambda: traffic.totals())
        timed("sums by candidate and hour", lambda: traffic.totals(hours=1))
        timed("sums of a period with odd ends", lambda: traffic.totals(BEGIN + 1000.5, BEGIN + WEEK / 2 + 77))
        timed("the same sums from the rows themselves", lambda: traffic._database.execute(scan).fetchall())
        timed("the newest 20", lambda: traffic.newest(20))
        subprocess.run([sys.executable, __file__, "report", "--folder", str(folder)], check=True)
        count = timed("deleting one of 50 keys", lambda: traffic.delete(key="key-7"))
        print(f"  {count:,} decisions")


def week(dice: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A week: rewards and dollars of every candidate on every query, shape (n, N), the chosen candidates, and times.

    The data are neither normal nor independent: conversations of 1 to 20 turns, topics that rise and fall, a candidate
    that gets worse midweek, outcomes of 0 and 1 beside skewed rewards, dollars with a long tail, and a router that is
    right more often than not.
    """
    candidates = len(POOL)
    conversation = np.repeat(np.arange(n), dice.integers(1, 21, n))[:n]
    moment = np.arange(n) / n
    topic = (dice.random(n) < 0.2 + 0.6 * moment).astype(int)[conversation]
    skill = dice.normal(size=(2, candidates))[topic] - np.outer(moment > 0.5, np.eye(candidates)[1])
    talk = dice.normal(size=(n, candidates))[conversation]
    rewards = skill + talk - dice.gamma(1.0, 1.0, (n, candidates))
    checked = dice.random(n) < 0.3
    rewards = np.where(checked[:, None], (rewards > 0) * 1.0, rewards)
    chosen = (rewards + 2 * dice.normal(size=(n, candidates))).argmax(axis=1)
    length = dice.lognormal(5, 1, n)[:, None] * dice.lognormal(0, 0.5, (n, candidates))
    return rewards, length * np.array([10, 4, 4, 0.5]) * 1e-6, chosen, moment


def coverage(weeks: int, queries: int, share: float) -> None:
    """Print how many 95% intervals contain the true value of their week."""
    inside: dict[str, list[bool]] = {}
    widths: dict[str, list[float]] = {}

    def note(name: str, estimate: Estimate, truth: float) -> None:
        inside.setdefault(name, []).append(estimate.low <= truth <= estimate.high)
        widths.setdefault(name, []).append(estimate.high - estimate.low)

    for number in range(weeks):
        dice = np.random.default_rng(number)
        rewards, dollars, chosen, moment = week(dice, queries)
        inclusion = np.where(moment < 0.5, share, share / 2)  # the share is halved on Thursday
        drawn = dice.random(queries) < inclusion
        truth = rules(rewards, chosen)
        sample = rules(rewards[drawn], chosen[drawn])
        p = inclusion[drawn]
        served, mean = sample[ROUTING][:, None], np.array([truth[ROUTING].mean()])
        for name in (RANDOM, RMR, *map(str, range(len(POOL)))):
            gain, true = sample[ROUTING] - sample[name], float((truth[ROUTING] - truth[name]).mean())
            note("gain, self-normalised", weighted_mean(gain, p), true)
            note("gain, with every served reward", regression_mean(gain, p, served, mean), true)
            narrow = min(weighted_mean(gain, p), regression_mean(gain, p, served, mean), key=lambda one: one.error)
            note("gain, the narrower one", narrow, true)
        truth = rules(dollars, chosen, SUM)
        sample = rules(dollars[drawn], chosen[drawn], SUM)
        for name in (RANDOM, RMR, *map(str, range(len(POOL)))):
            true = float(truth[ROUTING].mean() / truth[name].mean())
            note("ratio of dollars", ratio_of_means(sample[ROUTING], sample[name], p), true)
    print(f"{weeks} weeks of {queries:,} queries, {share:.1%} of them sampled, then half as many")
    for name, hits in inside.items():
        width = np.mean(widths[name])
        print(f"{name}: {np.mean(hits):.1%} of {len(hits):,} intervals contain the truth, width {width:.3f}")


def alarms(weeks: int, sampled: int) -> None:
    """Print the share of weeks with a warning of fallen rewards, without a fall and with a fall of one candidate."""
    steps = int(WEEK / 3600 / STEP_HOURS)
    for fall in (0.0, 0.5, 1.0):
        warned = rightly = 0
        for number in range(weeks):
            dice = np.random.default_rng(number)
            step = np.sort(dice.integers(0, steps, sampled))
            rewards = dice.normal(size=(sampled, len(POOL))) - dice.gamma(1.0, 1.0, (sampled, len(POOL)))
            rewards[step >= steps // 2, 0] -= fall * np.sqrt(2)  # in standard deviations
            _, place = np.unique(step, return_inverse=True)
            names = [
                name
                for name, column in zip(POOL, rewards.T, strict=True)
                if clearest_fall(
                    np.bincount(place), np.bincount(place, column), np.bincount(place, column**2), len(POOL)
                )
            ]
            rightly += bool(fall) and POOL[0] in names
            warned += bool(set(names) - ({POOL[0]} if fall else set()))
        print(
            f"{weeks} weeks, {sampled} sampled requests, {fall:g} standard deviations: right in {rightly / weeks:.1%},"
            f" wrong in {warned / weeks:.1%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("store", "report", "coverage", "alarms"))
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the file is, or is made and stays (default: it is deleted)")
    parser.add_argument("--weeks", type=int, default=500)
    parser.add_argument("--queries", type=int, default=4000, help="of a simulated week")
    parser.add_argument("--share", type=float, default=SHARE, help="of them that all candidates answer")
    call = parser.parse_args()
    if call.what == "coverage":
        coverage(call.weeks, call.queries, call.share)
        return
    if call.what == "alarms":
        alarms(call.weeks, round(call.queries * call.share))
        return
    if call.what == "report":
        report(call.folder)
        return
    if call.folder:
        store(call.decisions, call.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        store(call.decisions, Path(folder))


if __name__ == "__main__":
    main()
