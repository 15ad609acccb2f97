"""Four candidates in one batch against one after another: python benchmarks/generation.py"""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path

from zooter_core.backends import iter_responses
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.ensemble import Ensemble
from zooter_core.records import Message
from zooter_core.weights import quiet_libraries

ROOT = Path(__file__).resolve().parents[1]
QUERY = [Message("user", "Describe a walk through a market in the morning.")]
GENERATION = GenerationConfig(max_new_tokens=64, temperature=0.0)
ROUNDS = 5


def run(ensemble: Ensemble, names: list[str]) -> tuple[float, int]:
    """Seconds and number of tokens of one batch."""
    begun = time.perf_counter()
    tokens = sum(
        response.tokens
        for _, response in iter_responses(ensemble.run_candidates(names, QUERY, threading.Event(), GENERATION))
    )
    return time.perf_counter() - begun, tokens


def main() -> None:
    quiet_libraries()
    ensemble = Ensemble(load_fleet(ROOT / "models" / "embedded"))
    pool = list(ensemble.fleet.pool)
    run(ensemble, pool)
    ratios, alone_speed, batch_speed = [], [], []
    for _ in range(ROUNDS):
        singles = [run(ensemble, [name]) for name in pool]
        seconds, tokens = run(ensemble, pool)
        alone = sum(s for s, _ in singles)
        ratios.append(alone / seconds)
        alone_speed.append(sum(t for _, t in singles) / alone)
        batch_speed.append(tokens / seconds)
    print(
        f"one after another {statistics.median(alone_speed):.0f} tokens/s, in one batch "
        f"{statistics.median(batch_speed):.0f} tokens/s, ratio of seconds {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} pairs)"
    )


if __name__ == "__main__":
    main()
