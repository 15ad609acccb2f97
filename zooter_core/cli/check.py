"""`zooter check`: every part of a fleet works once; its speed and memory are measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from zooter_core.backends import iter_responses
from zooter_core.cli.arguments import FleetDir, Json
from zooter_core.cli.consoles import err, out, print_json
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.notes import check_answered, print_note
from zooter_core.cli.progress import waiting
from zooter_core.config.candidates import AUTO, ENDPOINT, RECORDED, CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.errors import WorkError, ZooterError
from zooter_core.records import Message

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

Row = dict[str, Any]
HELLO = [Message("user", "What is 2 + 2?")]
ROUTED = 20  # queries over which the router's speed is measured


def check(fleet: FleetDir = None, json: Json = False) -> int:
    ensemble = open_ensemble(fleet, answering=True)
    parts = ensemble.fleet
    rows = []
    if any(entry.backend == AUTO for entry in parts.candidates):
        rows.append(_row(ensemble, "engine", "auto", partial(_engine, ensemble)))
    rows += [
        _row(ensemble, "candidate", entry.name, partial(_candidate, ensemble, entry)) for entry in parts.candidates
    ]
    if parts.reward:
        rows.append(_row(ensemble, "reward model", parts.reward.kind, partial(_reward, ensemble)))
    if parts.tagger:
        rows.append(_row(ensemble, "tagger", parts.tagger.kind, partial(_tagger, ensemble)))
    if parts.router:
        rows.append(_row(ensemble, "router", Path(parts.router.path).name, partial(_router, ensemble)))
    if json:
        print_json({"fleet": parts.name, "parts": rows}, indent=2)
    else:
        _print(parts.name, rows)
    return 0 if all(row["ok"] for row in rows) else 1


def _row(ensemble: Ensemble, part: str, name: str, work: Callable[[], Row]) -> Row:
    """A part's work, with the seconds and the memory that it takes, or the error that it ends with."""
    start = time.perf_counter()
    row: Row = {"part": part, "name": name, "ok": True}
    process, models = _memory(), _models(ensemble)
    try:
        with waiting(f"Checking the {part} {name} ..."):
            row |= work()
    except ZooterError as problem:
        row |= {"ok": False, "found": str(problem)}
    row |= {"seconds": round(time.perf_counter() - start, 2)}
    # A model that takes the place of another does not make the process grow.
    loaded = sum(max(size - models.get(key, 0), 0) for key, size in _models(ensemble).items())
    memory = round((loaded or max(_memory() - process, 0)) / 1e6)
    return {"memory_mb": memory if row["ok"] else None} | row


def _engine(ensemble: Ensemble) -> Row:
    """The speeds of both engines of the backend auto. They are measured by the first check on a machine."""
    from zooter_core.backends.gguf import auto

    entry = next(entry for entry in ensemble.fleet.candidates if entry.backend == AUTO)
    speeds = auto.measured() or auto.measure(entry, err.print)
    found = ", ".join(
        f"{name} {'does not work' if speed is None else f'{speed:.0f} tokens/s'}"
        for name, speed in (("gguf", speeds.gguf), ("transformers", speeds.transformers))
    )
    return {"found": f"{found}; {auto.choice()} answers", "engine": auto.choice()}


def _candidate(ensemble: Ensemble, entry: CandidateConfig) -> Row:
    """A short answer. The model of an endpoint takes no memory on this machine."""
    backend = ensemble.backends[entry.backend]
    backend.load(entry)
    generation = GenerationConfig(max_new_tokens=32, temperature=0.0)
    messages = [Message("user", backend.trial(entry))]
    pieces = ensemble.run_candidates([entry.name], messages, threading.Event(), generation)
    ((_, response),) = iter_responses(pieces, print_note)
    check_answered(response)
    first, speed = response.first_token_seconds, response.tokens_per_second
    if entry.backend == RECORDED:
        return {"found": "its responses can be read"}
    return {
        "first_token_seconds": None if first is None else round(first, 3),
        "tokens_per_second": None if speed is None else round(speed, 1),
        "found": f"first token {first or 0:.2f} s, {speed or 0:.0f} tokens/s",
    } | ({"memory_mb": None} if entry.backend == ENDPOINT else {})


def _reward(ensemble: Ensemble) -> Row:
    from zooter_core.labelling.rewards import Comparing
    from zooter_core.labelling.rewards.scoring import comparisons, score_queries

    scored = score_queries(ensemble.reward_model, [("Hi", ("Hello!", "Blue."))])[0]  # not from the cache
    if scored.rewards[0] is None:
        raise WorkError("a reward for a greeting", f"none: {scored.reason}", "Check [reward] in fleet.toml.")
    pool = len(ensemble.fleet.pool)
    compares = isinstance(ensemble.reward_model, Comparing)
    cost = f"; {comparisons(pool)} comparisons per query of {pool} responses" if compares else ""
    return {"found": f"{scored.rewards[0]:.2f}{cost}"}


def _tagger(ensemble: Ensemble) -> Row:
    queries = [f"{n} + {n}?" for n in range(2, 6)]  # several: a tagger may refuse one of them and still work
    return {"found": ", ".join(tag.name for tag in ensemble.tagger.tag(queries)[0])}


def _router(ensemble: Ensemble) -> Row:
    ensemble.route(HELLO)
    start = time.perf_counter()
    for number in range(ROUTED):
        ensemble.route([Message("user", f"What is 2 + {number}?")])
    speed = (time.perf_counter() - start) / ROUTED * 1000
    choice = ensemble.route(HELLO).candidate
    return {"found": f"chose {choice}; {speed:.1f} ms per query on {ensemble.router.encoder.runtime}"}


def _models(ensemble: Ensemble) -> dict[object, int]:
    """Bytes of each language model in memory."""
    return {key: size for backend in ensemble.backends.values() for key, size in backend.sizes().items()}


def _memory() -> int:
    """Bytes that this process uses, in main memory and on a GPU."""
    import psutil
    import torch

    gpu = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    return int(psutil.Process().memory_info().rss) + gpu


def _print(name: str, rows: list[Row]) -> None:
    columns = ("part", "name", "", "seconds", "first token", "tokens/s", "memory", "found")
    table = Table(*columns, title=f"fleet {name}", title_justify="left")
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
