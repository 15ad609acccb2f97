"""`zooter check`: every part of a fleet at work once."""

from __future__ import annotations

import threading
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from zooter_core.backends import iter_responses
from zooter_core.cli.options import ensemble_of, err, out, print_json, raise_failed, tell_note
from zooter_core.config.candidates import ENDPOINT, RECORDED, CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import WorkError, ZooterError
from zooter_core.records import Message

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

Found = dict[str, Any]
HELLO = [Message("user", "What is 2 + 2?")]


def check(call: Namespace) -> int:
    """Ask every part of a fleet to work once: is it well, how fast is it, how much memory does it take?"""
    ensemble = ensemble_of(call)
    fleet = ensemble.fleet
    rows: list[Found] = []

    def timed(part: str, name: str, work: Callable[[], Found]) -> None:
        begun = time.perf_counter()
        row: Found = {"part": part, "name": name, "ok": True}
        process, models = _memory(), _models(ensemble)
        try:
            with err.waiting(f"Checking the {part} {name} ..."):
                row |= work()
        except ZooterError as problem:
            row |= {"ok": False, "found": str(problem)}
        row |= {"seconds": round(time.perf_counter() - begun, 2)}
        grown = sum(max(size - models.get(key, 0), 0) for key, size in _models(ensemble).items())
        taken = round(
            (grown or max(_memory() - process, 0)) / 1e6
        )  # a process does not grow by a model in place of one
        rows.append({"memory_mb": taken if row["ok"] else None} | row)

    for entry in fleet.candidates:
        timed("candidate", entry.name, lambda entry=entry: _candidate(ensemble, entry))  # type: ignore[misc]
    if fleet.reward:
        timed("reward model", fleet.reward.kind, lambda: _reward(ensemble))
    if fleet.tagger:
        timed("tagger", fleet.tagger.kind, lambda: _tagger(ensemble))
    if fleet.router:
        timed("router", Path(fleet.router.path).name, lambda: _router(ensemble))
    if call.json:
        print_json({"fleet": fleet.name, "parts": rows}, indent=2)
    else:
        _print(fleet.name, rows)
    return 0 if all(row["ok"] for row in rows) else 1


def _candidate(ensemble: Ensemble, entry: CandidateConfig) -> Found:
    """A short answer of a candidate. The model of an endpoint takes no memory here."""
    backend = ensemble.backends[entry.backend]
    backend.load(entry)
    generation = GenerationConfig(max_new_tokens=32, temperature=0.0)
    messages = [Message("user", backend.trial(entry))]
    pieces = ensemble.run_candidates([entry.name], messages, threading.Event(), generation)
    ((_, last),) = iter_responses(pieces, tell_note)
    raise_failed(last)
    first, speed = last.first_token_seconds, last.tokens_per_second
    if entry.backend == RECORDED:
        return {"found": "its responses can be read"}
    return {
        "first_token_seconds": None if first is None else round(first, 3),
        "tokens_per_second": None if speed is None else round(speed, 1),
        "found": f"first token {first or 0:.2f} s, {speed or 0:.0f} tokens/s",
    } | ({"memory_mb": None} if entry.backend == ENDPOINT else {})


def _reward(ensemble: Ensemble) -> Found:
    from zooter_core.labelling.rewards import Comparing
    from zooter_core.labelling.rewards.scoring import comparisons, score_queries

    scored = score_queries(ensemble.reward_model, [("Hi", ("Hello!", "Blue."))])[0]  # not from the cache
    if scored.rewards[0] is None:
        raise WorkError("a reward for a greeting", f"none: {scored.reason}", "Check [reward] in fleet.toml.")
    pool = len(ensemble.fleet.pool)
    compares = isinstance(ensemble.reward_model, Comparing)
    cost = f"; {comparisons(pool)} comparisons a query of {pool} responses" if compares else ""
    return {"found": f"{scored.rewards[0]:.2f}{cost}"}


def _tagger(ensemble: Ensemble) -> Found:
    queries = [f"{n} + {n}?" for n in range(2, 6)]  # enough to tell a query that is refused from a tagger that fails
    return {"found": ", ".join(tag.name for tag in ensemble.tagger.tag(queries)[0])}


def _router(ensemble: Ensemble) -> Found:
    ensemble.route(HELLO)
    begun = time.perf_counter()
    for number in range(20):
        ensemble.route([Message("user", f"What is 2 + {number}?")])
    each = (time.perf_counter() - begun) / 20 * 1000
    return {
        "found": f"chose {ensemble.route(HELLO).candidate}; {each:.1f} ms a query on {ensemble.router.encoder.runtime}"
    }


def _models(ensemble: Ensemble) -> dict[object, int]:
    """Bytes of each language model in memory."""
    return {key: size for backend in ensemble.backends.values() for key, size in backend.sizes().items()}


def _memory() -> int:
    """Bytes that this process holds, on the processor and on a GPU."""
    import psutil
    import torch

    gpu = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    return int(psutil.Process().memory_info().rss) + gpu


def _print(name: str, rows: list[Found]) -> None:
    columns = ("part", "name", "", "seconds", "first token", "tokens/s", "memory", "found")
    table = Table(*columns, title=f"fleet {name}", title_justify="left")
    for column in table.columns[:2]:
        column.no_wrap = True  # what was found may take lines instead
    table.columns[-1].overflow = "fold"
    for row in rows:
        first, speed, memory = (row.get(key) for key in ("first_token_seconds", "tokens_per_second", "memory_mb"))
        table.add_row(
            row["part"],
            row["name"],
            Text("ok", style="green") if row["ok"] else Text("failed", style="red"),
            f"{row['seconds']:.2f}",
            "" if first is None else f"{first:.2f} s",
            "" if speed is None else f"{speed:.0f}",
            f"{memory} MB" if memory is not None else "elsewhere" if row["ok"] else "",
            "see below" if not row["ok"] else row["found"] if first is None else "",
        )
    out.print(table)
    for row in rows:
        if not row["ok"]:
            out.print(f"{row['name']}: {row['found']}")
