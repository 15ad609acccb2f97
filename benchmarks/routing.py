"""How long routing one query takes, tags included: python benchmarks/routing.py [--runtime torch|onnx|int8]

Without --runtime, all runtimes take turns on each query, so that other load slows all of them equally. Thread time
excludes waiting for a core, which makes it more reliable than wall time on a busy machine.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.base.records import Message
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import load_fleet
from zooter_core.data.scores import read_queries
from zooter_core.fleet.ensemble import Ensemble

QUERIES = ROOT / "tests" / "data" / "evident_queries.jsonl"
KINDS = ("torch", "onnx", "int8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", choices=KINDS, help="measure this one alone")
    parser.add_argument("--queries", type=Path, default=QUERIES, help="JSON lines with `query`; .gz too")
    parser.add_argument("--most", type=int, help="the largest number of queries")
    parser.add_argument("--rounds", type=int, default=5)
    call = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(1)
    queries = [query.text for query in read_queries(call.queries)][: call.most]
    ensembles = {kind: ensemble_on(kind) for kind in ([call.runtime] if call.runtime else KINDS)}
    seconds, probabilities, tags = timed(ensembles, queries, call.rounds)
    tokens = next(iter(ensembles.values())).router.encoder.count(queries)
    print(f"{len(queries)} queries of {np.median(tokens):.0f} tokens (median), {call.rounds} rounds, on one core")
    for kind, rows in seconds.items():
        (clock50, thread50), (clock95, thread95) = np.percentile(rows, (50, 95), axis=0) * 1000
        print(f"{kind}: p50 {clock50:.1f} ms, p95 {clock95:.1f} ms a query", end=" ")
        print(f"(thread time {thread50:.1f} and {thread95:.1f} ms)")
        print(f"{kind}: in one batch {per_second(ensembles[kind], queries):.0f} queries per second")
    for kind in list(seconds)[1:]:
        ratios = np.median(np.array(seconds["torch"]) / np.array(seconds[kind]), axis=0)
        exact, choices = probabilities["torch"], probabilities[kind].argmax(axis=1)
        lost = exact.max(axis=1) - exact[np.arange(len(exact)), choices]
        off = np.quantile(np.abs(probabilities[kind] - probabilities["torch"]).max(axis=1), (0.5, 0.99, 1))
        print(f"torch / {kind}: {ratios[0]:.2f} by the clock, {ratios[1]:.2f} by thread time;", end=" ")
        print(f"the same choice {np.mean(lost == 0):.2%}; it is {lost.mean():.5f} less probable (mean),", end=" ")
        print(f"{lost.max():.3f} (at most); the same tags {np.mean(np.equal(tags['torch'], tags[kind])):.2%};", end=" ")
        print(f"probabilities off by {off[0]:.4f} (median), {off[1]:.4f} (99%), {off[2]:.4f} (at most)")


def ensemble_on(runtime: str) -> Ensemble:
    fleet = load_fleet(EMBEDDED_FLEET)
    assert fleet.router is not None
    ensemble = Ensemble(replace(fleet, router=replace(fleet.router, runtime=runtime)))
    ensemble.route([Message("user", "warm up")])
    return ensemble


def timed(
    ensembles: dict[str, Ensemble], queries: list[str], rounds: int
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, np.ndarray], dict[str, list[str]]]:
    """Wall and thread seconds, probabilities and tags of each runtime, for each query in turn."""
    seconds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in ensembles}
    probabilities: dict[str, list[list[float]]] = {kind: [] for kind in ensembles}
    tags: dict[str, list[str]] = {kind: [] for kind in ensembles}
    for number in range(rounds):
        for ensemble in ensembles.values():
            ensemble.routing.memory.clear()
        order = list(ensembles.items())[:: 1 if number % 2 else -1]
        for query in queries:
            for kind, ensemble in order:
                clock, thread = time.perf_counter(), time.thread_time()
                decision = ensemble.route([Message("user", query)])
                seconds[kind].append((time.perf_counter() - clock, time.thread_time() - thread))
                probabilities[kind].append(list(decision.probabilities.values()))
                tags[kind].append(", ".join(tag.name for tag in decision.tags))
    return seconds, {kind: np.array(rows) for kind, rows in probabilities.items()}, tags


def per_second(ensemble: Ensemble, queries: list[str]) -> float:
    begun = time.perf_counter()
    ensemble.route_all([f"{query} (again {n})" for query in queries[:40] for n in range(5)])
    return 5 * len(queries[:40]) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
