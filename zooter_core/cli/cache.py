"""`zooter cache`: the store of embeddings in the cache folder."""

from __future__ import annotations

from sqlite3 import Error
from typing import Annotated, Any

import typer
from rich.table import Table

from zooter_core.base.errors import WorkError
from zooter_core.cli.consoles import out as console
from zooter_core.cli.consoles import print_figures
from zooter_core.cli.options import Json, check_needs, option
from zooter_core.router import vector_store

GB = 1e9


def cache(
    context: typer.Context,
    prune: Annotated[bool, option("--prune", help="Delete the oldest embeddings; without --gb, all of them.")] = False,
    gb: Annotated[
        float | None, option("--gb", "X", "With --prune: keep the newest ones, up to so many gigabytes.", min=0)
    ] = None,
    json: Json = False,
) -> None:
    check_needs(context, "--prune", prune, "gb")
    if prune:
        try:
            vector_store.prune(int((gb or 0) * GB))
        except (OSError, Error) as problem:
            raise WorkError(
                f"to delete embeddings in {vector_store.contents().path}", str(problem),
                "End the other processes that use them, or delete the file yourself: it is made again.",
            ) from problem  # fmt: skip
    store = vector_store.contents()
    print_figures({"path": str(store.path), "bytes": store.size, "encoders": dict(store.encoders)}, json, _print)


def _print(figures: dict[str, Any]) -> None:
    title = f"embeddings in {figures['path']}: {figures['bytes'] / 1e6:,.1f} MB"
    table = Table("encoder", "texts", title=title, title_justify="left")
    for name, count in figures["encoders"].items():
        table.add_row(name, f"{count:,}")
    console.print(table)
