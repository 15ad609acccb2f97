"""bfloat16 against float32 on this machine, in turns: python benchmarks/precision.py

A processor without bfloat16 multiplication in hardware is slower with it, more so in larger batches.
"""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import replace

from zooter_core.backends import Request
from zooter_core.backends.local.checkpoint import find_dtype
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.records import Message
from zooter_core.base.weights import quiet_libraries
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.fleet.ensemble import Ensemble

QUERY = (Message("user", "Describe a walk through a market in the morning."),)
BATCHES = (1, 4, 16)
ROUNDS = 3


def run(ensemble: Ensemble, dtype: str, rows: int, tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and tokens per second."""
    candidate = replace(ensemble.fleet.candidate("writer"), dtype=dtype)
    generation = GenerationConfig(max_new_tokens=tokens, temperature=0.7, seed=0)
    begun = time.perf_counter()
    requests = [Request(candidate, QUERY) for _ in range(rows)]
    first, count = 0.0, 0
    for piece in ensemble.run_requests(requests, threading.Event(), generation):
        first = first or time.perf_counter() - begun
        if piece.response is not None:
            count += piece.response.tokens
    return first, count / (time.perf_counter() - begun)


def main() -> None:
    quiet_libraries()
    ensemble = Ensemble(load_fleet(EMBEDDED_FLEET))
    print(f"without a dtype: {find_dtype(ensemble.fleet.candidate('writer'))}")
    for dtype in ("float32", "bfloat16"):
        run(ensemble, dtype, 1, 4)
    for rows in BATCHES:
        pairs = [[run(ensemble, dtype, rows, 32) for dtype in ("float32", "bfloat16")] for _ in range(ROUNDS)]
        first = statistics.median(half[0] / full[0] for full, half in pairs)
        speed = statistics.median(full[1] / half[1] for full, half in pairs)
        speeds = [statistics.median(pair[kind][1] for pair in pairs) for kind in (0, 1)]
        print(
            f"{rows} at once: float32 {speeds[0]:.0f} tokens/s, bfloat16 {speeds[1]:.0f}; float32 is {speed:.2f} times "
            f"as fast, its first token {first:.2f} times as soon"
        )


if __name__ == "__main__":
    main()
