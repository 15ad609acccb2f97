"""How long routing one query takes, tags included: python tests/benchmarks/routing.py"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch

from zooter_core.encoder import REMEMBERED
from zooter_core.ensemble import Ensemble
from zooter_core.fleet import load_fleet
from zooter_core.quiet import quiet_libraries
from zooter_core.records import Message

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 5


def main() -> None:
    quiet_libraries()
    ensemble = Ensemble(load_fleet(ROOT / "models" / "embedded"))
    lines = (ROOT / "tests" / "data" / "evident_queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [json.loads(line)["query"] for line in lines]
    ensemble.route([Message("user", "warm up")])
    seconds = []
    assert len(queries) > REMEMBERED  # so that a query is forgotten before it comes again
    for _ in range(ROUNDS):
        for query in queries:
            begun = time.perf_counter()
            ensemble.route([Message("user", query)])
            seconds.append(time.perf_counter() - begun)
    p50, p95 = (np.percentile(seconds, share) * 1000 for share in (50, 95))
    begun = time.perf_counter()
    ensemble.route_all([f"{query} (again {n})" for query in queries for n in range(5)])
    batch = 5 * len(queries) / (time.perf_counter() - begun)
    print(f"{len(seconds)} queries, {torch.get_num_threads()} threads: p50 {p50:.1f} ms, p95 {p95:.1f} ms a query;")
    print(f"in one batch {batch:.0f} queries a second")


if __name__ == "__main__":
    main()
