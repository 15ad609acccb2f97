"""`zooter report`: shows what routing is worth, from the traffic of an endpoint."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from zooter_core.cli.consoles import err, out, print_json
from zooter_core.cli.fleets import open_fleet
from zooter_core.cli.options import DATA, FLEET, JSON, option, parse_duration


def report(
    since: str = option("TIME", "How far back: 12h, 7d, 4w.", default="7d"),
    fleet: Path | None = FLEET,
    data: Path | None = DATA,
    json: bool = JSON,
) -> None:
    seconds = parse_duration(since, "--since")
    from rich.table import Table

    from zooter_core.evaluation.thinking import twins
    from zooter_core.fleet.ensemble import Ensemble
    from zooter_core.learn.advice import Setup, advise
    from zooter_core.learn.report import report_on
    from zooter_core.learn.report_text import figures, report_json, sentences
    from zooter_core.learn.traffic import Traffic, data_folder

    parts, now = open_fleet(fleet), time.time()
    with Traffic.open(data or data_folder(parts), create=False) as traffic:
        ensemble = Ensemble(parts) if parts.router else None
        result = report_on(traffic, parts.name, now - seconds, now, ensemble, twins(parts.candidates))
    if result.note:
        err.print(result.note)
    advice = advise(result, Setup.of(parts, traffic.path.parent))
    if json:
        print_json(report_json(result) | {"advice": asdict(advice)})
        return
    lines = sentences(result)
    for line in lines:
        out.print(line)
    if result.rules:
        headings, rows = figures(result)
        table = Table(*headings)
        for row in rows:
            table.add_row(*row)
        out.print()
        out.print(table)
    out.print()
    out.print(f"What to do: {advice.sentence} {advice.reason_beside(lines)}".strip())
    if advice.command:
        out.print(advice.command)
