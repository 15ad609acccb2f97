"""What `hedge_seconds` saves and costs where some requests are slow.

A stub server lets a share of the requests wait before their first token, at random. The same clients ask
`zooter serve` with each value of `hedge_seconds`; 0 is without.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import urllib.request

import numpy as np
from servers import stub_server

from serve import Load, load, zooter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hedge", type=float, nargs="+", default=[0, 2, 1, 0.5], help="values of hedge_seconds")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60, help="of each value")
    parser.add_argument("--share", type=float, default=0.1, help="of the requests that are slow")
    parser.add_argument("--slow", type=float, default=8, help="seconds that these wait before their first token")
    options = parser.parse_args()
    print("hedge_seconds  answers  errors  first token: p50     p90     p95     p99     max  hedged")
    for hedge in options.hedge:
        with (
            stub_server(16, 32, options.share, options.slow) as stub,
            zooter(stub.url, "auto", hedge_seconds=hedge) as target,
        ):
            result = Load()
            asyncio.run(load(target.port, options.clients, options.seconds, 0.5, result))
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
