"""What `hedge_seconds` saves and costs if some requests are slow.

A stub server delays the first token of a random share of the requests. The same clients send requests to
`zooter serve` with each value of `hedge_seconds`; 0 turns hedging off.
"""

from __future__ import annotations

import asyncio
import re
import urllib.request

import numpy as np
from servers import stub_server

from serve import Load, load, zooter

CLIENTS, SECONDS = 8, 60  # per value of `hedge_seconds`
SHARE, SLOW = 0.1, 8  # the share of slow requests, and their delay in seconds before the first token


def main() -> None:
    print("hedge_seconds  answers  errors  first token: p50     p90     p95     p99     max  hedged")
    for hedge in (0, 2, 1, 0.5):
        with (
            stub_server(16, 32, SHARE, SLOW) as stub,
            zooter(stub.url, "auto", hedge_seconds=hedge) as target,
        ):
            result = Load()
            asyncio.run(load(target.port, CLIENTS, SECONDS, 0.5, result))
            with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/metrics") as page:
                counts = re.findall(r"^zooter_hedges_total\{.*\} (\S+)$", page.read().decode(), re.MULTILINE)
        times = [*np.percentile(result.first, (50, 90, 95, 99)), max(result.first)]
        figures = "".join(f"{time:6.2f} s" for time in times)
        share = sum(map(float, counts)) / max(len(result.first), 1)
        print(
            f"{hedge:13g}  {len(result.first):7d}  {result.errors:6d}             {figures}  {share:6.1%}", flush=True
        )


if __name__ == "__main__":
    main()
