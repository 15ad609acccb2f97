"""What the reward cache saves: python benchmarks/reward_cache.py FILE [--fleet DIR] [--n 200]

Scores the responses of the first lines of a file (JSON lines with `query` and `responses`) three times with a fleet's
reward model: without a cache, with an empty cache, and with the cache that the second pass filled.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from zooter_core.base.jsonl import read_lines
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import read_responses
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.labelling.rewards.scoring import QueryResponses, QueryRewards, ScoreCache, score_queries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--fleet", default="models/embedded")
    parser.add_argument("--n", type=int, default=200)
    call = parser.parse_args()
    quiet_libraries()
    lines = [(place, line) for place, line in read_lines(call.file)][: call.n]
    queries: list[QueryResponses] = [
        (line["query"], list(read_responses(place, line).values())) for place, line in lines
    ]
    model = Ensemble(load_fleet(call.fleet)).reward_model
    score_queries(model, queries[:1])
    with tempfile.TemporaryDirectory() as folder:
        cache = ScoreCache("benchmark", Path(folder) / "rewards.sqlite")
        results: list[list[QueryRewards]] = []
        for name, used in (("without", None), ("empty", cache), ("full", cache)):
            begun, worked = time.perf_counter(), time.process_time()
            results.append(score_queries(model, queries, used))
            count = sum(len(texts) for _, texts in queries)
            took, worked = time.perf_counter() - begun, time.process_time() - worked
            print(f"{name:8} {took:8.3f} s, {worked:.3f} s of a core, {count} responses to {len(queries)} queries")
        assert results[0] == results[1] == results[2]
        print(f"on disk  {cache.path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
