"""`zooter serve keys`: adds, lists and removes API keys of the endpoint."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import typer
from rich.table import Table

from zooter_core.base.errors import MOST_NAMED, ZooterError, listed, shortened
from zooter_core.cli.consoles import err, out
from zooter_core.cli.options import argument, check_unused, flag, option
from zooter_core.serve.keys import Key, add_key, keys_file, read_keys, remove_key

LIMITS = ("concurrent", "requests-per-minute", "tokens-per-minute")  # of a key, as in `serve.keys.Key`
LIMITS_HELP = f"add: limits of the key: {listed(LIMITS)}; 0 is no limit."


def serve_keys(
    context: typer.Context,
    action: Literal["add", "list", "remove"] = argument("ACTION", "add NAME, list, or remove NAME."),
    name: str | None = argument("NAME", "Name of the key, for add and remove.", default=None),
    keys: Path | None = option("FILE", "File of keys (default: in the user's settings folder)."),
    admin: bool = flag("--admin", "add: the key may reload the fleet and see every client's figures."),
    models: list[str] | None = option("NAME...", "add: the candidates that may answer (default: all)."),
    limit: list[str] | None = option("NAME=NUMBER...", LIMITS_HELP),
) -> None:
    file = keys or keys_file()
    if action != "add":
        check_unused(context, f"with `zooter serve keys {action}`", "admin", "models", "limit")
    if action == "list":
        _list(file)
        return
    if name is None:
        raise ZooterError(f"the name of the key to {action}", "none", f"Try `zooter serve keys {action} NAME`.")
    if action == "remove":
        remove_key(file, name)
        err.print(f"The key {name} is no longer valid.")
        return
    text = add_key(file, Key(name, "", 0.0, admin, tuple(models) if models else None, **_limits(limit or ())))
    err.print(f"The key {name}, which will not be shown again:")
    print(text)


def _limits(entries: Sequence[str]) -> dict[str, int]:
    """Parse the values of --limit into fields of a key."""
    limits: dict[str, int] = {}
    for entry in entries:
        name, _, number = entry.partition("=")
        if name not in LIMITS or name in limits or not re.fullmatch(r"[0-9]{1,15}", number):
            raise ZooterError(
                f"limits such as {LIMITS[0]}=4, {LIMITS[1]}=60 or {LIMITS[2]}=100000 for --limit",
                shortened(entry, MOST_NAMED),
                "Name each once, with a whole number; 0 is no limit.",
            )
        limits[name] = int(number)
    return {name.replace("-", "_"): number for name, number in limits.items()}


def _list(file: Path) -> None:
    table = Table("name", "created", "admin", "models", "concurrent", "requests/min", "tokens/min", box=None)
    entries = read_keys(file)
    if not entries:
        err.print(f"There are no keys in {file}. `zooter serve keys add NAME` makes one.")
        return
    for key in entries.values():
        created = time.strftime("%Y-%m-%d", time.localtime(key.created))
        limits = (key.concurrent, key.requests_per_minute, key.tokens_per_minute)
        figures = (f"{limit:,}" if limit else "no limit" for limit in limits)
        table.add_row(
            key.name, created, "yes" if key.admin else "no", listed(key.models) if key.models else "all", *figures
        )
    out.print(table)
