"""`zooter queries` on a million random queries: python benchmarks/queries.py [--lines 1000000] [--n 20000]

A tenth are repeats except for case and punctuation, a tenth near repeats, and 1,000 overlap a benchmark. The lines have
tags (one to four of 2,000 with very different frequencies), so no model runs. Prints seconds and peak memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zooter_core.cli.main import main as zooter

SOURCES = 5
TAGS = 2_000


def random_lines(lines: int, benchmark: list[str], seed: int = 0) -> Iterator[dict[str, Any]]:
    """Lines of a queries file with sources of very different sizes."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(30_000)]
    last = ["what comes before all others"] * 1_000
    for number in range(lines):
        kind = number % 10
        if kind == 3:
            text = rng.choice(last).title() + "?!"
        elif kind == 7:
            text = rng.choice(last) + f" {rng.choice(words)}"
        elif number % (lines // 1_000) == 1:
            text = f"please tell me {rng.choice(benchmark)} now"
        else:
            text = " ".join(rng.choices(words, k=rng.randint(8, 30)))
            last[number % len(last)] = text
        source = int(rng.expovariate(1.0)) % SOURCES
        tags = {f"tag {int(TAGS * rng.random() ** 3)}" for _ in range(rng.randint(1, 4))}
        yield {"id": str(number), "query": text, "dataset": f"source {source}", "tags": sorted(tags)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--n", type=int, default=20_000)
    call = parser.parse_args()
    rng = random.Random(1)
    benchmark = [" ".join(f"word{rng.randrange(10_000)}" for _ in range(40)) for _ in range(1_000)]
    with tempfile.TemporaryDirectory() as folder:
        source, other = Path(folder) / "queries.jsonl.gz", Path(folder) / "benchmark.jsonl"
        other.write_text("".join(json.dumps({"query": text}) + "\n" for text in benchmark), encoding="utf-8")
        with gzip.open(source, "wt", compresslevel=1, encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in random_lines(call.lines, benchmark))
        before, begun = _peak(), time.perf_counter()
        arguments = ["queries", "--from", source, "--exclude", other, "--n", call.n]
        arguments += ["--out", Path(folder) / "out.jsonl"]
        code = zooter(list(map(str, arguments)))
        seconds = time.perf_counter() - begun
    print(f"{call.lines:,} lines: {seconds:.1f} s; peak memory {_peak():,.0f} MB, {before:,.0f} MB of it before")
    sys.exit(code)


def _peak() -> float:
    """The peak memory of this process in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
