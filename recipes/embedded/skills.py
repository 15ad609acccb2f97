"""What the experts can do, verified: greedy responses of the base and of an expert to held-back items of its field.

    python -m recipes.embedded.skills --data DIR [--only math|code]

Maths: 64 problems of the generators (phrasings and numbers never trained on) and 64 held-back GSM8K problems, exact
final number. Code: 100 function tasks with unit tests, and the share of held-back Python requests whose code parses.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from recipes.embedded import data, verify
from recipes.embedded.functions import Task, tasks
from recipes.embedded.own import BASE, FLEET, tell
from recipes.embedded.problems import problems
from zooter_core import pipeline, runs
from zooter_core.ensemble import Ensemble
from zooter_core.fleet import Fleet, GenerationConfig
from zooter_core.records import Query

Check = Callable[[str], bool]  # whether a response is right
SEED = 3


def maths(folder: Path) -> list[tuple[str, str, Check]]:
    """(source, query, check) of held-back problems."""
    solved = [
        (r["query"], data.worked_solution(r["answer"]))
        for r in data.read(folder, "gsm8k_train")
        if data.in_pipeline(r["query"])
    ]
    rows = [("problems", *row) for row in problems(64, SEED, held_back=True)]
    rows += [("gsm8k", *row) for row in data.shuffled(solved, SEED)[:64]]

    def right(answer: str) -> Check:
        return lambda text: verify.final_number(text) == verify.final_number(answer)

    return [(source, query, right(answer)) for source, query, answer in rows]


def code(folder: Path) -> list[tuple[str, str, Check]]:
    """(source, query, check) of function tasks and of requests for Python."""
    given = tasks(100, SEED, held_back=True)
    rows: list[tuple[str, str, Check]] = [("functions", task.query, partial(_passes, task)) for task in given]
    asks = [
        r["query"]
        for r in data.read(folder, "codealpaca")
        if data.in_pipeline(r["query"]) and "python" in r["query"].lower() and len(r["query"]) < 300
    ]
    requests = [task.query for task in given] + [
        query for query, _ in data.shuffled([(q, "") for q in asks], SEED)[:28]
    ]
    return rows + [("python", query, verify.parses) for query in requests]


def _passes(task: Task, text: str) -> bool:
    return verify.passes(text, task)


FIELDS = {"math": maths, "code": code}


def measure(field: str, folder: Path, work: Path) -> dict[str, Any]:
    """The share of right responses by source: base and expert."""
    rows = FIELDS[field](folder)
    expert = replace(BASE, name=field, adapter=str(FLEET / "adapters" / field))
    texts = list(dict.fromkeys(query for _, query, _ in rows))
    ids = {text: f"{number:04d}" for number, text in enumerate(texts)}
    source = {query: name for name, query, _ in reversed(rows)}
    with runs.Run(work / f"skills-{field}", create=True) as run:
        ensemble = Ensemble(Fleet(field, FLEET, (BASE, expert)))
        pipeline.start(run, ensemble, [Query(ids[text], text, source[text]) for text in texts])
        pipeline.collect(run, ensemble, GenerationConfig(max_new_tokens=160, temperature=0.0), tell)
        found = runs.responses(run)
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(name for name, _, _ in rows):
        own = [(query, check) for source_name, query, check in rows if source_name == name]
        figures[name] = {"n": len(own)} | {
            candidate: round(verify.share([check(found[ids[query]][candidate][0]) for query, check in own]), 3)
            for candidate in ("base", field)
        }
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/embedded"))
    parser.add_argument("--only", choices=sorted(FIELDS))
    call = parser.parse_args(arguments)
    for field in [call.only] if call.only else sorted(FIELDS):
        figures = measure(field, call.data, call.work)
        (call.work / f"skills-{field}.json").write_text(json.dumps(figures, indent=2) + "\n")
        print(json.dumps({field: figures}))


if __name__ == "__main__":
    main()
