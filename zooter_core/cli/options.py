"""Options that several commands share, and the settings that follow from them.

Every command imports this file. Therefore rich, PyTorch and the rooms above `router` are imported inside functions.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from zooter_core.base.errors import ZooterError, first_line, listed

if TYPE_CHECKING:
    from zooter_core.config.fleet import GenerationConfig
    from zooter_core.data.scores import Scores


def option(metavar: str | None = None, help: str = "", name: str = "", default: Any = None, **limits: Any) -> Any:
    """An option with a value. It is required if the default is `...`.

    Args:
        name: the option's name if it differs from the parameter's.
        limits: `min` and `max` of a number.
    """
    return typer.Option(default, *([name] if name else []), metavar=metavar, help=help, **limits)


def flag(name: str, help: str) -> Any:
    """An option without a value. The name is required, since Typer would otherwise also add `--no-...`."""
    return typer.Option(False, name, help=help)


def argument(metavar: str, help: str, default: Any = ...) -> Any:
    return typer.Argument(default, metavar=metavar, help=help)


def check_unused(context: typer.Context, where: str, *names: str, step: str = "Leave it out.") -> None:
    """Refuse options that have no effect in this call.

    Args:
        where: the kind of call, such as "with --run".
        names: the names of the parameters.

    Raises:
        ZooterError: the call has one of these options.
    """
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is not None and source.name == "COMMANDLINE":
            raise ZooterError(f"no {parameter.opts[0]} {where}", parameter.opts[0], step)


FLEET = option("DIR", "Folder with a fleet.toml (default: the embedded fleet).")
DATA = option("DIR", "Folder of the endpoint's files (default: in the user's data folder).")
JSON = flag("--json", "Print one JSON document.")
QUERY = argument("QUERY", "The query, or - to read it from stdin.")
QUERY_OR_STDIN = argument("QUERY", "The query, or - to read lines or JSON lines from stdin.")
TEMPERATURE = option("X", "Sampling temperature; 0 is greedy (default: the fleet's).", min=0)
MAX_NEW_TOKENS = option("N", "Longest response in tokens (default: the fleet's).", min=1)
WILLINGNESS = option("X", "Choose by probability - X * price / highest price; 0 ignores prices (default: the fleet's).")
BUDGET_USD = option("X", "Budget in US dollars for answers of endpoints, over all starts of the run.", min=0)
SEED = option("N", "Random seed.", default=0, min=0)


def named(**options: Any) -> dict[str, Any]:
    """The options that are not None: those that the call has set."""
    return {name: value for name, value in options.items() if value is not None}


def choose_generation(
    defaults: GenerationConfig, temperature: float | None, max_new_tokens: int | None, seed: int | None = None
) -> GenerationConfig:
    """The fleet's generation settings, with the call's options in place of defaults."""
    return replace(defaults, **named(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed))


REPEATED = 0.01  # share of the queries; fewer repeats do not change a verdict
UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_duration(text: str, option: str) -> float:
    """A duration such as 30m, 12h, 7d or 2w, in seconds."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    if match is None:
        raise ZooterError(f"a duration for {option}", f'"{text}"', "For instance 12h, 7d or 2w.")
    return float(int(match[1]) * UNITS[match[2]])


def open_scores(paths: Sequence[Path], judged: bool = False) -> Scores:
    """Read score files, and print which scores are missing.

    Args:
        judged: whether the scores are used to evaluate a router, and not to train one.
    """
    import numpy as np

    from zooter_core.cli.consoles import err
    from zooter_core.data.scores import read_scores
    from zooter_core.router.neighbours import text_hashes

    scores = read_scores(paths)
    total = len(scores.queries)
    if scores.missing:
        lacking = listed(f"{name} on {count:,}" for name, count in scores.missing.items())
        use = "A choice without a score does not count." if judged else "Their labels come from similar queries."
        err.print(f"Scores are missing among {total:,} queries: {lacking}. {use}")
    for name in scores.barely_scored:
        count = total - scores.missing[name]
        use = "be the best single model" if judged else "learn from, so it counts as average"
        err.print(f"{name} has scores on {count} of {total:,} queries, too few to {use}.")
    repeats = total - len(np.unique(text_hashes(query.text for query in scores.queries)))
    if not judged and repeats >= REPEATED * total:
        err.print(
            f"{repeats:,} of {total:,} queries repeat others. Repeats count as new queries in the verdict, so routing"
            " looks better than it is. Remove them."
        )
    if scores.left_out:
        err.print(
            f"Left out: {scores.left_out:,} of {total + scores.left_out:,} queries, without scores of two candidates."
        )
    return scores


LAST_PORT = 65_535


def check_free(address: str, port: int) -> None:
    """Check that an address and a port can be bound.

    Raises:
        ZooterError: the address is not of this machine, or the port is in use or not allowed.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as problem:
            if isinstance(problem, socket.gaierror) or problem.errno == errno.EADDRNOTAVAIL:
                raise ZooterError(
                    "an address of this machine for --host",
                    f"{address} ({first_line(problem)})",
                    "Try --host 0.0.0.0, which means all addresses.",
                ) from problem
            other = port + 1 if 1023 < port < LAST_PORT else 8765
            step = f"Try another one, such as --port {other}."
            raise ZooterError(f"port {port} to be free", "it is in use or not allowed", step) from problem


def read_names(
    values: Iterable[str] | None, option: str, variable: str, check: Callable[[str, str], str]
) -> tuple[str, ...]:
    """The values of an option, otherwise of an environment variable (separated by spaces), as `check` returns them."""
    source = option if values else variable
    return tuple(check(value, source) for value in values or os.environ.get(variable, "").split())
