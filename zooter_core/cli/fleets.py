"""Opens the fleet of a command, before PyTorch loads, so that errors in fleet.toml are reported quickly."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.config.trust import check_uses, is_allowed, server_address, trust

if TYPE_CHECKING:
    from zooter_core.cli.bars import Bars, Lines
    from zooter_core.data.runs import Run
    from zooter_core.fleet.ensemble import Ensemble


def open_fleet(folder: Path | None) -> Fleet:
    """Load the fleet of a folder, or the embedded fleet. On a terminal, ask for permission to send its keys."""
    fleet = load_fleet(folder or EMBEDDED_FLEET)
    uses = [use for use in fleet.key_uses if use[0] in os.environ and not is_allowed(*use)]
    if uses and sys.stdin.isatty():
        _ask_permission(fleet, uses)
    return fleet


def _ask_permission(fleet: Fleet, uses: Sequence[tuple[str, str]]) -> None:
    from zooter_core.cli.consoles import err

    if err.file.isatty():
        err.print(f"The fleet in {fleet.folder} requests secrets from your environment:")
        for variable, server in dict.fromkeys((variable, server_address(url)) for variable, url in uses):
            err.print(f"  {variable} would be sent to {server}")
        err.print("Allow this, now and in the future? [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            check_uses(uses, fleet.folder)
        trust(uses)


def open_ensemble(folder: Path | None) -> Ensemble:
    """The ensemble of the fleet in a folder, or of the embedded fleet."""
    from zooter_core.fleet.ensemble import Ensemble  # here, since `zooter demo` does not need it

    return Ensemble(open_fleet(folder))


@contextmanager
def run_step(folder: Path, fleet: Path | None) -> Iterator[tuple[Run, Ensemble, Lines | Bars]]:
    """Open a run for one step. Yield the run, its ensemble and a progress callback.

    Args:
        fleet: the folder of the fleet; None for the fleet with which the run began.
    """
    from zooter_core.cli.bars import bars
    from zooter_core.data.runs import Run

    with Run(folder) as run:
        first = run.state.get("fleet")
        ensemble = open_ensemble(fleet or (Path(first) if first else None))  # before bars, which hide its question
        with bars() as progress:
            yield run, ensemble, progress
