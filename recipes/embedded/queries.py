"""The queries on which the embedded fleet's router is distilled: the part of the mixed set that no expert has seen.

python -m recipes.embedded.queries --data DIR --out runs/embedded/queries.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

from recipes.embedded import data

LEFT_OUT = ("mt_bench",)  # kept for benchmarks
MOST_CHARACTERS = 700


def sample(folder: Path, per_source: int, seed: int) -> list[dict[str, str]]:
    """At most `per_source` queries of each source, in a fixed order."""
    by_source: dict[str, list[dict[str, str]]] = {}
    for record in data.read(folder, "divinstruct_mini"):
        fitting = data.in_pipeline(record["query"]) and len(record["query"]) <= MOST_CHARACTERS
        if fitting and record["source"] not in LEFT_OUT:
            line = {"id": record["id"], "query": record["query"], "dataset": record["source"]}
            by_source.setdefault(record["source"], []).append(line)
    dice = random.Random(seed)
    return [line for source in sorted(by_source) for line in _some(by_source[source], per_source, dice)]


def _some(lines: list[dict[str, str]], count: int, dice: random.Random) -> list[dict[str, str]]:
    return lines if len(lines) <= count else dice.sample(lines, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--per-source", type=int, default=180)
    parser.add_argument("--seed", type=int, default=0)
    call = parser.parse_args()
    lines = sample(call.data, call.per_source, call.seed)
    call.out.parent.mkdir(parents=True, exist_ok=True)
    call.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} queries in {call.out}")


if __name__ == "__main__":
    main()
