"""`zooter queries`: a queries file to train on, out of larger ones."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rich.table import Table

from zooter_core.cli.options import ensemble_of, err, fleet_of, out, print_json
from zooter_core.data.curate import CurateConfig, curate


def queries(call: Namespace) -> None:
    """Mix sources, leave out repeats and benchmarks, pick for diversity of tags."""
    config = CurateConfig(call.n, call.seed, call.ngram, call.near, call.tag_at_most, call.tagger)
    if call.fleet:
        fleet_of(call)  # a mistake in it shows before the work
    tagger = cache(lambda: ensemble_of(call).tagger)

    def tagging(texts: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(tag.name for tag in tags) for tags in tagger().tag(texts)]

    with err.waiting("Reading ...") as tell:
        figures = curate(
            [Path(name) for name in call.sources], [Path(name) for name in call.exclude], Path(call.out),
            config, tagging, tell,
        )  # fmt: skip
    if call.json:
        print_json(figures)
    else:
        print_figures(figures)
    if figures["n"] < call.n:
        err.print(f"{call.n:,} queries were asked for; no more are left.")


def print_figures(figures: dict[str, Any]) -> None:
    table = Table("source", *(("read", "left", "kept")), title=figures["out"], title_justify="left")
    rows = [*figures["sources"].items(), ("all", {**figures, "kept": figures["n"]})]
    for name, row in rows:
        table.add_row(name, *(f"{row[column]:,}" for column in ("read", "left", "kept")))
    out.print(table)
    reasons = [("empty", figures["empty"]), ("repeats", figures["repeats"]), ("near repeats", figures["near_repeats"])]
    reasons += [(f"overlapping {name}", row["count"]) for name, row in figures["excluded"].items()]
    out.print("left out: " + ", ".join(f"{count:,} {reason}" for reason, count in reasons))
    tags = figures["tags"]
    whose = "given tags" if tags["from"] == "given" else "the fleet's tags"
    part = f"{'all' if tags['queries'] == figures['left'] else 'a random'} {tags['queries']:,} that are left"
    out.print(f"tags: {tags['covered']:,} of {tags['of']:,} covered; {whose} of {part}")
