"""The same queries answered by two engines and scored by one reward model: python benchmarks/engines.py RUN OTHER

RUN and OTHER are run folders with rewards of the same candidates, for instance one of transformers and one of llama.cpp
(`backend = "gguf"`, or `"transformers"`, in fleet.toml; `zooter run --until score`, with the same options).
Compared are the queries that both have: each candidate's mean reward, the share of queries on which it is the best, and
what the embedded router's choices earn, with 95% intervals of the differences (resampled queries).

`python benchmarks/engines.py RUN --queries FILE` writes the queries for OTHER instead: of the ones that RUN has held
back from training, in the order of their ids, every second.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zooter_core.base.files import open_atomic
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.strict_json import dump_json
from zooter_core.data.run_folder import LABELS
from zooter_core.data.runs import Run
from zooter_core.data.scores import Scores
from zooter_core.method.metrics import interval
from zooter_core.router.router import Router


def paired(folders: list[Path]) -> list[Scores]:
    """The scores of two runs on the queries of both, in one order."""
    tables = []
    for folder in folders:
        with Run(folder) as run:
            tables.append(run.scores())
    one, other = tables
    assert one.candidates == other.candidates, "two runs of the same candidates"
    rows = [{query.id: row for row, query in enumerate(table.queries)} for table in tables]
    shared = [id for id in rows[0] if id in rows[1]]
    return [
        Scores(tuple(table.queries[at[id]] for id in shared), table.candidates, table.scores[[at[id] for id in shared]])
        for table, at in zip(tables, rows, strict=True)
    ]


def write_queries(folder: Path, path: Path) -> int:
    """Write every second of a run's held-back queries, by id, as a queries file; returns their number."""
    with Run(folder) as run:
        ids = sorted(label["id"] for label in run.records(LABELS) if label["fold"] == "held_back")[::2]
        queries = {query.id: query for query in run.queries()}
    with open_atomic(path) as file:
        for query in (queries[id] for id in ids):
            record = {"id": query.id, "query": query.text, "dataset": query.dataset, "tags": query.tags}
            file.write(dump_json(record, ensure_ascii=False) + "\n")
    return len(ids)


def line(name: str, one: NDArray[np.float64], other: NDArray[np.float64]) -> str:
    low, high = interval(other - one)
    means = f"{one.mean():7.3f} {other.mean():7.3f}"
    return f"{name:32} {means}   {(other - one).mean():+.3f} (95% CI {low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--queries", type=Path, metavar="FILE", help="write held-back queries of one run, for another")
    call = parser.parse_args()
    if len(call.runs) != (1 if call.queries else 2):
        parser.error("expected two runs, or one with --queries")
    if call.queries:
        print(f"{write_queries(call.runs[0], call.queries)} queries in {call.queries}")
    else:
        compare(*paired(call.runs))


def compare(one: Scores, other: Scores) -> None:
    """Print the figures of two runs on the same queries."""
    texts = [query.text for query in one.queries]
    print(f"{len(texts)} queries\n{'':32}   first   other   other - first")
    for place, name in enumerate(one.candidates):
        print(line(f"mean reward of {name}", one.scores[:, place], other.scores[:, place]))
    winners = [table.scores.argmax(axis=1) for table in (one, other)]
    for place, name in enumerate(one.candidates):
        print(line(f"share of wins of {name}", *((best == place).astype(float) for best in winners)))
    router = Router.load(EMBEDDED_FLEET / "router")
    order = [router.candidates.index(name) for name in one.candidates]
    chosen = router.probabilities(texts)[:, order].argmax(axis=1)
    rows = np.arange(len(texts))
    print(line("reward of the router's choice", one.scores[rows, chosen], other.scores[rows, chosen]))
    print(line("best choice by the router", *((best == chosen).astype(float) for best in winners)))
    print(f"the same winner: {(winners[0] == winners[1]).mean():.1%}")


if __name__ == "__main__":
    main()
