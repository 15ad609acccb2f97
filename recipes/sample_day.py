"""The sample day of the page Traffic: what the embedded fleet does with queries of this project, as if in one day.

   python -m recipes.sample_day [--queries 130] [--share 0.4]

Three routers serve. Until ten it is one that has learned from LESSONS other queries alone. The embedded one takes its
place, with the evidence of the morning's pairs. At three in the afternoon somebody promotes one that has learned from
FEW queries, without any pair, and rolls it back soon, as the pairs are against it. Routers, answers (up to
96 tokens), rewards and seconds are the fleet's own. The times of day are drawn, and the thumbs too: up where the model
answered that the query evidently suits. A share of the queries, drawn at random, is answered by every model. The file
is gzipped JSON lines: the switches, then a decision with its rewards each.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from zooter_core.backends import Request
from zooter_core.base.files import open_atomic
from zooter_core.base.jsonl import read_lines
from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.base.records import Decision, Message, Response
from zooter_core.base.strict_json import dump_json
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.learner import Learner
from zooter_core.learn.sample_day import FILE
from zooter_core.learn.traffic_rows import FEEDBACK, MODEL, SAMPLE, SERVED, LoggedDecision, LoggedReward
from zooter_core.learn.versions import PROMOTE, ROLLBACK, summary
from zooter_core.method.partial_rewards import Linear

QUERIES = ("evident_queries", "more_evident_queries", "terse_queries", "opening_queries")
BUSY = [1, 1, 0, 0, 0, 1, 2, 4, 7, 9, 10, 9, 7, 8, 9, 9, 8, 7, 6, 5, 5, 4, 3, 2]  # requests by hour of the day
MOST_TOKENS, LONGEST_ANSWER = 96, 600
VOTED, LESSONS, FEW = 0.5, 12, 4
FIRST, EMBEDDED, RASH = "routers/0001", "routers/0002", "routers/0003"
SWITCHES = ((10.0, PROMOTE, EMBEDDED), (15.0, PROMOTE, RASH), (16.5, ROLLBACK, EMBEDDED))  # hour, event, router


def day(queries: list[dict[str, str]], share: float) -> Iterator[dict[str, Any]]:
    """The lines of the day in order, the switches last."""
    fleet = load_fleet(EMBEDDED_FLEET)
    ensemble = Ensemble(fleet)
    lessons, queries = [line["query"] for line in queries[:LESSONS]], queries[LESSONS:]
    lines = learned(ensemble, lessons)
    dice, gains = random.Random(0), dict[tuple[float, str], list[float]]()
    times = sorted(3600 * (dice.choices(range(24), BUSY)[0] + dice.random()) for _ in queries)
    for number, (line, moment) in enumerate(zip(queries, times, strict=True)):
        query, everybody, voted = line["query"], dice.random() < share, dice.random() < VOTED
        decisions = decide(ensemble, lines, query)
        begin, router = serving(moment)
        decision = decisions[router]
        names = fleet.pool if everybody else (decision.candidate,)
        responses = [answer(ensemble, name, query) for name in names]
        ranked = {entry.response.candidate: entry for entry in ensemble.rank_responses(query, responses)}
        served, request_id = ranked[decision.candidate].response, f"sample-{number:03d}"
        logged = LoggedDecision(
            request_id, moment, query, fleet=fleet.name, router=router, choice=decision.candidate,
            candidate=decision.candidate, probability=decision.probabilities[decision.candidate],
            probabilities=decision.probabilities, reason="router",
            tags=[tag.name for tag in decisions[EMBEDDED].tags],
            tokens=served.tokens, seconds=round(served.seconds, 3), finish=served.finish,
            answer=served.text[:LONGEST_ANSWER],
        )  # fmt: skip
        why, inclusion = (SAMPLE, share) if everybody else (SERVED, 1.0)
        rewards = [
            LoggedReward(
                request_id, name, round(entry.reward, 4), MODEL, why, inclusion, moment, None, entry.response.tokens,
                round(entry.response.seconds, 3), entry.response.text[:LONGEST_ANSWER] if everybody else None,
            )
            for name, entry in ranked.items()
            if entry.reward is not None
        ]  # fmt: skip
        if everybody:
            of = {reward.candidate: reward.reward for reward in rewards}
            for name, other in decisions.items():
                if other.candidate != decision.candidate:
                    gains.setdefault((begin, name), []).append(of[other.candidate] - of[decision.candidate])
        if voted:
            score = 1.0 if decision.candidate == line["candidate"] else -1.0
            rewards.append(LoggedReward(request_id, decision.candidate, score, FEEDBACK, time=moment + 30))
        yield line_of(logged, rewards) | {"earlier": {name: decisions[name].candidate for name in (FIRST, RASH)}}
        print(f"{number + 1} of {len(queries)}", flush=True)
    yield from switches(gains)


def switches(gains: Mapping[tuple[float, str], list[float]]) -> Iterator[dict[str, Any]]:
    """The switches with their pairs: of the new router against the one that served. The rash one has none.

    Args:
        gains: by the time from which a router served, and by the name of another one: what that one would have earned
            more, where their choices differ.
    """
    for hour, event, router in SWITCHES:
        begin, before = serving(3600 * hour - 1)
        pairs = gains.get((begin, router), []) if router != RASH else []
        yield {"time": 3600 * hour, "event": event, "router": router, "before": before} | summary(pairs)


def serving(moment: float) -> tuple[float, str]:
    """Since when which router serves, at a time of the day."""
    begun = [(3600 * hour, router) for hour, _, router in SWITCHES if 3600 * hour <= moment]
    return begun[-1] if begun else (0.0, FIRST)


def decide(ensemble: Ensemble, lines: Mapping[str, Linear], query: str) -> dict[str, Decision]:
    """What each router would decide."""
    decisions = {EMBEDDED: ensemble.route(query)}
    vectors = ensemble.router.encoder.embed([query]).astype(np.float64)
    for name, linear in lines.items():
        values = linear(vectors)[0]
        chances = np.exp(values - values.max()) / np.exp(values - values.max()).sum()
        decisions[name] = Decision.of(query, dict(zip(ensemble.fleet.pool, chances.round(4).tolist(), strict=True)))
    return decisions


def learned(ensemble: Ensemble, queries: list[str]) -> dict[str, Linear]:
    """What the project's learner makes of a few queries that every model answers, and of even fewer."""
    pool, vectors = ensemble.fleet.pool, ensemble.router.encoder.embed(queries)
    rewards = np.full((len(queries), len(pool)), np.nan)
    for row, query in enumerate(queries):
        for entry in ensemble.rank_responses(query, [answer(ensemble, name, query) for name in pool]):
            if entry.reward is not None:
                rewards[row, pool.index(entry.response.candidate)] = entry.reward
    return {
        name: Learner.starting(vectors[:count], rewards[:count]).router()
        for name, count in ((FIRST, LESSONS), (RASH, FEW))
    }


def answer(ensemble: Ensemble, name: str, query: str) -> Response:
    """What a candidate answers."""
    request = Request(ensemble.fleet.candidate(name), (Message("user", query),))
    shorter = replace(ensemble.fleet.generation, max_new_tokens=MOST_TOKENS)
    pieces = ensemble.run_requests([request], threading.Event(), shorter)
    return next(piece.response for piece in pieces if piece.response is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=130)
    parser.add_argument("--share", type=float, default=0.4)
    parser.add_argument("--out", type=Path, default=FILE)
    call = parser.parse_args()
    quiet_libraries()
    files = [ROOT / "tests" / "data" / f"{name}.jsonl" for name in QUERIES]
    queries = [line for file in files for _, line in read_lines(file)]
    queries = random.Random(1).sample(queries, min(call.queries + LESSONS, len(queries)))
    begun = time.perf_counter()
    lines = sorted(day(queries, call.share), key=lambda line: "event" not in line)
    with open_atomic(call.out) as file:
        file.writelines(dump_json(line, ensure_ascii=False) + "\n" for line in lines)
    print(f"{len(queries) - LESSONS} decisions in {call.out}, {time.perf_counter() - begun:.0f} s")


def line_of(decision: LoggedDecision, rewards: list[LoggedReward]) -> dict[str, Any]:
    """A line of the file; what is at its default is left out."""
    shape = {name: value for name, value in asdict(decision).items() if value not in (None, "", 0, False, ())}
    return shape | {
        "rewards": [{name: value for name, value in asdict(reward).items() if value is not None} for reward in rewards]
    }


if __name__ == "__main__":
    main()
