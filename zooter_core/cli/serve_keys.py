"""`zooter serve keys`: API keys of the endpoint."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from zooter_core.base.errors import ZooterError, listed
from zooter_core.cli.consoles import err, out
from zooter_core.cli.options import argument, check_unused, option
from zooter_core.serve.keys import Key, add_key, keys_file, read_keys, remove_key


def serve_keys(
    context: typer.Context,
    action: Annotated[Literal["add", "list", "remove"], argument("ACTION", "add NAME, list, or remove NAME.")],
    name: Annotated[str | None, argument("NAME")] = None,
    keys: Annotated[
        Path | None, option("--keys", "FILE", "File of keys (default: in the user's folder of settings).")
    ] = None,
    admin: Annotated[bool, option("--admin", help="add: the key may reload the fleet.")] = False,
    models: Annotated[
        list[str] | None, option("--models", "NAME...", "add: the candidates that may answer (default: all).")
    ] = None,
    concurrent: Annotated[
        int, option("--concurrent", "N", "add: most simultaneous requests; 0 is no limit.", min=0)
    ] = 0,
    requests_per_minute: Annotated[
        int, option("--requests-per-minute", "N", "add: most requests per minute; 0 is no limit.", min=0)
    ] = 0,
    tokens_per_minute: Annotated[
        int, option("--tokens-per-minute", "N", "add: most tokens per minute; 0 is no limit.", min=0)
    ] = 0,
) -> None:
    file = keys or keys_file()
    if action != "add":
        of_add = ("admin", "models", "concurrent", "requests_per_minute", "tokens_per_minute")
        check_unused(context, f"with `zooter serve keys {action}`", *of_add)
    if action == "list":
        _list(file)
        return
    if name is None:
        raise ZooterError(f"the name of the key to {action}", "none", f"Try `zooter serve keys {action} NAME`.")
    if action == "remove":
        remove_key(file, name)
        err.print(f"The key {name} is no longer valid.")
        return
    limits = (concurrent, requests_per_minute, tokens_per_minute)
    text = add_key(file, Key(name, "", 0.0, admin, tuple(models) if models else None, *limits))
    err.print(f"The key {name}, which is shown only now:")
    print(text)


def _list(file: Path) -> None:
    table = Table("name", "created", "admin", "models", "concurrent", "requests/min", "tokens/min", box=None)
    for key in read_keys(file).values():
        created = time.strftime("%Y-%m-%d", time.localtime(key.created))
        limits = (key.concurrent, key.requests_per_minute, key.tokens_per_minute)
        figures = (f"{limit:,}" if limit else "no limit" for limit in limits)
        table.add_row(
            key.name, created, "yes" if key.admin else "no", listed(key.models) if key.models else "all", *figures
        )
    out.print(table)
