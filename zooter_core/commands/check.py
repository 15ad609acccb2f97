"""`zooter check`: every part of a fleet at work once."""

from __future__ import annotations

import json
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from zooter_core.commands.options import ensemble_of, err, out, raise_failed
from zooter_core.errors import ZooterError
from zooter_core.fleet import GenerationConfig
from zooter_core.records import Message, Response


def check(call: Namespace) -> int:
    """Ask every part of a fleet to work once, and time it."""
    ensemble = ensemble_of(call)
    rows: list[dict[str, Any]] = []

    def timed(part: str, name: str, work: Callable[[], str]) -> None:
        begun = time.perf_counter()
        try:
            with err.status(f"Checking the {part} {name} ..."):
                found, good = work(), True
        except ZooterError as problem:
            found, good = str(problem), False
        rows.append(
            {"part": part, "name": name, "ok": good, "seconds": round(time.perf_counter() - begun, 2), "found": found}
        )

    def candidate(name: str) -> str:
        generation = GenerationConfig(max_new_tokens=32, temperature=0.0)
        last: Response | None = None
        for piece in ensemble.answer([name], [Message("user", "Say hello.")], threading.Event(), generation):
            last = piece.response or last
        assert last is not None
        raise_failed(last)
        return f"first token {last.first_token_seconds:.2f} s, {last.tokens_per_second or 0:.0f} tokens/s"

    hello = [Message("user", "What is 2 + 2?")]

    def router() -> str:
        ensemble.route(hello)
        begun = time.perf_counter()
        for number in range(20):
            ensemble.route([Message("user", f"What is 2 + {number}?")])
        each = (time.perf_counter() - begun) / 20 * 1000
        return f"chose {ensemble.route(hello).candidate}; {each:.1f} ms a query on {ensemble.router.encoder.runtime}"

    fleet = ensemble.fleet
    for entry in fleet.candidates:
        timed("candidate", entry.name, lambda name=entry.name: candidate(name))  # type: ignore[misc]
    if fleet.reward:
        timed("reward model", fleet.reward.kind, lambda: f"{ensemble.reward_model.score([('Hi', 'Hello!')])[0]:.2f}")
    if fleet.tagger:
        timed("tagger", fleet.tagger.kind, lambda: ", ".join(t.name for t in ensemble.tagger.tag(["2 + 2?"])[0]))
    if fleet.router:
        timed("router", Path(fleet.router.path).name, router)
    if call.json:
        print(json.dumps({"fleet": fleet.name, "parts": rows}, ensure_ascii=False, indent=2))
    else:
        table = Table("part", "name", "", "seconds", "found", title=f"fleet {fleet.name}", title_justify="left")
        for row in rows:
            mark = "[green]ok[/]" if row["ok"] else "[red]failed[/]"
            table.add_row(row["part"], row["name"], mark, f"{row['seconds']:.2f}", Text(row["found"]))
        out.print(table)
    return 0 if all(row["ok"] for row in rows) else 1
