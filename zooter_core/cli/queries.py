"""`zooter queries`: selects a queries file to train on from larger files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rich.table import Table

from zooter_core.base.records import Query
from zooter_core.cli.bars import waiting
from zooter_core.cli.consoles import out as console
from zooter_core.cli.consoles import print_figures
from zooter_core.cli.fleets import open_ensemble, open_fleet
from zooter_core.cli.options import FLEET, JSON, SEED, option
from zooter_core.data.curate import MOST_TAGGED, curate


def queries(
    sources: list[Path] = option("FILE...", "Queries files or logs to select from.", name="--from", default=...),
    out: Path = option("FILE", "Queries file to write, .jsonl or .jsonl.gz.", default=...),
    limit: int = option("N", "Maximum number of queries to select.", min=1, default=MOST_TAGGED),
    exclude: list[Path] | None = option("FILE...", "Benchmarks whose queries must not be selected."),
    seed: int = SEED,
    fleet: Path | None = FLEET,
    json: bool = JSON,
) -> None:
    from zooter_core.router.turns import current_topic

    if fleet:
        open_fleet(fleet)  # report errors in the fleet before any work
    fleet_tagger = cache(lambda: open_ensemble(fleet).tagger)

    def tagging(texts: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tag.name for tag in tags) for tags in fleet_tagger().tag_all([Query("", text) for text in texts])]

    with waiting("Reading ...") as show:
        figures = curate(sources, exclude or [], out, limit, seed, tagging, show, current_topic)
    print_figures(figures, json, _print)


def _print(figures: dict[str, Any]) -> None:
    columns = ("read", "left", "kept")
    table = Table("source", *columns, title=figures["out"], title_justify="left")
    for name, row in [*figures["sources"].items(), ("all", figures | {"kept": figures["n"]})]:
        table.add_row(name, *(f"{row[column]:,}" for column in columns))
    console.print(table)
    reasons = [("empty", figures["empty"]), ("repeats", figures["repeats"]), ("near repeats", figures["near_repeats"])]
    reasons += [(f"overlapping {name}", row["count"]) for name, row in figures["excluded"].items()]
    reasons += list(figures["left_out"].items())
    console.print("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons))
    tags = figures["tags"]
    origin = "given tags" if tags["from"] == "given" else "the fleet's tags"
    part = f"{'all' if tags['queries'] == figures['left'] else 'a random'} {tags['queries']:,} remaining queries"
    console.print(f"tags: {tags['covered']:,} of {tags['of']:,} covered; {origin} of {part}")
