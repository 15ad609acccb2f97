"""`zooter check`: tests every part of a fleet, and measures its speed and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from zooter_core.base.errors import ZooterError
from zooter_core.base.strict_json import dump_json
from zooter_core.cli.bars import waiting
from zooter_core.cli.consoles import out, print_json, print_note
from zooter_core.cli.fleets import open_ensemble
from zooter_core.cli.options import FLEET, JSON
from zooter_core.config.edit import change_candidate
from zooter_core.config.fleet import Fleet
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.figures import to_json


def check(fleet: Path | None = FLEET, json: bool = JSON) -> int:
    ensemble = open_ensemble(fleet)
    from zooter_core.fleet.checks import check_part, list_parts

    rows = []
    for part in list_parts(ensemble, print_note):
        with waiting(f"Checking the {part.kind} {part.name} ..."):
            rows.append(check_part(ensemble, part))
    _write_thinking(ensemble.fleet, rows)
    name, verdict = ensemble.fleet.name, verdicts.load_fleet_verdict(ensemble.fleet)
    if json:
        print_json({"fleet": name, "parts": rows, "verdict": to_json(verdict)}, indent=2)
    else:
        _print(name, rows)
        if verdict:
            out.print(f"router: {verdicts.headline(verdict)}")
    return 0 if all(row["ok"] for row in rows) else 1


def _write_thinking(fleet: Fleet, rows: list[dict[str, Any]]) -> None:
    """Set `thinking` in fleet.toml for models that think and do not have it, so that answers have room for thoughts."""
    unset = {candidate.name for candidate in fleet.candidates if candidate.thinking is None}
    for row in rows:
        if row.get("thought_tokens") and row["name"] in unset:
            try:
                change_candidate(fleet.folder, row["name"], {"thinking": "auto"})
                row["thinking"] = "auto"
            except ZooterError:  # the folder cannot be written
                row["advice"] = row.get("advice", {}) | {"thinking": "auto"}


def _print(name: str, rows: list[dict[str, Any]]) -> None:
    columns = ("part", "name", "", "seconds", "memory", "found")
    table = Table(*columns, title=f"fleet {name}", title_justify="left")
    for row in rows:
        memory = row.get("memory_mb")
        table.add_row(
            row["part"],
            row["name"],
            Text("ok", style="green") if row["ok"] else Text("failed", style="red"),
            f"{row['seconds']:.2f}",
            f"{memory} MB" if memory is not None else "elsewhere" if row["ok"] else "",
            row["found"] if row["ok"] else "see below",
        )
    out.print(table)
    for row in rows:
        if not row["ok"]:
            out.print(f"{row['name']}: {row['found']}")
        if row.get("thinking"):
            step = "To turn thinking off, if the model supports that, set thinking = false."
            out.print(f'{row["name"]}: fleet.toml now has thinking = "auto". {step}')
        if note := row.get("note"):
            out.print(f"{row['name']}: {note} `zooter exam` trains one.")
        if advice := row.get("advice"):
            keys = ", ".join(f"{key} = {dump_json(value)}" for key, value in advice.items())
            out.print(f"{row['name']}: set {keys} in its [[candidate]], according to its server.")
