"""Collecting from several endpoints at once: four scripted servers with latencies of 50, 100, 200 and 400 ms.

    python benchmarks/collecting.py [--queries 120] [--parallel 4]

Each server runs in its own process and answers after its latency. Prints the seconds of each endpoint collected alone,
of all of them together, and the ratio of all together to the slowest alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from servers import stub_server

from zooter_core import pipeline
from zooter_core.base.records import Query
from zooter_core.config.fleet import GenerationConfig, load_fleet
from zooter_core.data.runs import Run
from zooter_core.fleet.ensemble import Ensemble

LATENCIES = (0.05, 0.1, 0.2, 0.4)
CANDIDATE = """
[[candidate]]
name = "{name}"
backend = "openai"
model = "scripted"
base_url = "{url}"
parallel = {parallel}
"""


def collect(urls: dict[str, str], queries: list[Query], parallel: int) -> tuple[float, float]:
    """Seconds, and CPU seconds, of collecting from these endpoints."""
    with tempfile.TemporaryDirectory() as folder:
        entries = (CANDIDATE.format(name=name, url=url, parallel=parallel) for name, url in urls.items())
        (Path(folder) / "fleet.toml").write_text('name = "scripted"\n' + "".join(entries))
        ensemble = Ensemble(load_fleet(Path(folder)))
        with Run(Path(folder) / "run", create=True) as run:
            pipeline.start(run, ensemble, queries)
            started, cpu = time.perf_counter(), time.process_time()
            pipeline.collect(run, ensemble, GenerationConfig(max_new_tokens=16))
            return time.perf_counter() - started, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=120)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--latencies", type=float, nargs="+", default=LATENCIES, help="seconds, one per endpoint")
    options = parser.parse_args()
    queries = [Query(str(n), f"What is {n} + {n}?") for n in range(options.queries)]
    with ExitStack() as stack:
        urls = {f"{1000 * s:g} ms": stack.enter_context(stub_server(1, 1 / s)).url for s in options.latencies}
        collect(urls, queries[:4], options.parallel)  # imports
        alone = {name: collect({name: url}, queries, options.parallel) for name, url in urls.items()}
        together = collect(urls, queries, options.parallel)
    slowest = max(seconds for seconds, _ in alone.values())
    shape = {name: {"seconds": round(s, 2), "cpu_seconds": round(cpu, 2)} for name, (s, cpu) in alone.items()}
    shape["together"] = {"seconds": round(together[0], 2), "cpu_seconds": round(together[1], 2)}
    print(json.dumps({**shape, "ratio": round(together[0] / slowest, 3)}, indent=2))


if __name__ == "__main__":
    main()
