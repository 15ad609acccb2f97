"""The sample day of the page Traffic: what the embedded fleet does with queries of this project, as if in one day.

    python -m recipes.sample_day [--queries 110] [--share 0.35]

Router, answers (up to 96 tokens), rewards and seconds are the fleet's own; only the times of day are drawn, and nobody
has voted. A share of the queries, drawn at random, is answered by every model. The file is gzipped JSON lines: a
decision and its rewards.
"""

from __future__ import annotations

import argparse
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from zooter_core.backends import Request
from zooter_core.base.files import open_atomic
from zooter_core.base.jsonl import read_lines
from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.base.records import Message, Response
from zooter_core.base.strict_json import dump_json
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import load_fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.sample_day import FILE
from zooter_core.learn.traffic_rows import MODEL, SAMPLE, SERVED, LoggedDecision, LoggedReward

QUERIES = ("evident_queries", "more_evident_queries", "terse_queries", "opening_queries")
BUSY = [1, 1, 0, 0, 0, 1, 2, 4, 7, 9, 10, 9, 7, 8, 9, 9, 8, 7, 6, 5, 5, 4, 3, 2]  # requests by hour of the day
MOST_TOKENS, LONGEST_ANSWER = 96, 600


def day(ensemble: Ensemble, queries: list[str], share: float) -> Iterator[tuple[LoggedDecision, list[LoggedReward]]]:
    """The decisions of the day in order, each with its rewards."""
    dice = random.Random(0)
    times = sorted(3600 * (dice.choices(range(24), BUSY)[0] + dice.random()) for _ in queries)
    for number, (query, moment) in enumerate(zip(queries, times, strict=True)):
        decision = ensemble.route(query)
        everybody = dice.random() < share
        names = ensemble.fleet.pool if everybody else (decision.candidate,)
        responses = [answer(ensemble, name, query) for name in names]
        ranked = {entry.response.candidate: entry for entry in ensemble.rank_responses(query, responses)}
        served = ranked[decision.candidate].response
        request_id = f"sample-{number:03d}"
        logged = LoggedDecision(
            request_id, moment, query, fleet=ensemble.fleet.name, choice=decision.candidate,
            candidate=decision.candidate, probability=decision.probabilities[decision.candidate],
            probabilities=decision.probabilities, reason="router", tags=[tag.name for tag in decision.tags],
            tokens=served.tokens, seconds=round(served.seconds, 3), finish=served.finish,
            answer=served.text[:LONGEST_ANSWER],
        )  # fmt: skip
        why, inclusion = (SAMPLE, share) if everybody else (SERVED, 1.0)
        yield logged, [
            LoggedReward(
                request_id, name, round(entry.reward, 4), MODEL, why, inclusion, moment, None, entry.response.tokens,
                round(entry.response.seconds, 3), entry.response.text[:LONGEST_ANSWER] if everybody else None,
            )
            for name, entry in ranked.items()
            if entry.reward is not None
        ]  # fmt: skip
        print(f"{number + 1} of {len(queries)}", flush=True)


def answer(ensemble: Ensemble, name: str, query: str) -> Response:
    """What a candidate answers."""
    request = Request(ensemble.fleet.candidate(name), (Message("user", query),))
    shorter = replace(ensemble.fleet.generation, max_new_tokens=MOST_TOKENS)
    pieces = ensemble.run_requests([request], threading.Event(), shorter)
    return next(piece.response for piece in pieces if piece.response is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=110)
    parser.add_argument("--share", type=float, default=0.35)
    parser.add_argument("--out", type=Path, default=FILE)
    call = parser.parse_args()
    quiet_libraries()
    files = [ROOT / "tests" / "data" / f"{name}.jsonl" for name in QUERIES]
    queries = [line["query"] for file in files for _, line in read_lines(file)]
    queries = random.Random(1).sample(queries, min(call.queries, len(queries)))
    begun = time.perf_counter()
    lines = [line_of(*entry) for entry in day(Ensemble(load_fleet(EMBEDDED_FLEET)), queries, call.share)]
    with open_atomic(call.out) as file:
        file.writelines(dump_json(line, ensure_ascii=False) + "\n" for line in lines)
    print(f"{len(lines)} decisions in {call.out}, {time.perf_counter() - begun:.0f} s")


def line_of(decision: LoggedDecision, rewards: list[LoggedReward]) -> dict[str, Any]:
    """A line of the file; what is at its default is left out."""
    shape = {name: value for name, value in asdict(decision).items() if value not in (None, "", 0, False, ())}
    return shape | {
        "rewards": [{name: value for name, value in asdict(reward).items() if value is not None} for reward in rewards]
    }


if __name__ == "__main__":
    main()
