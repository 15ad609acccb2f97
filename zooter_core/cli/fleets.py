"""Fleets that a call names, checked before PyTorch loads, so that a mistake in fleet.toml shows at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.ensemble import Ensemble
from zooter_core.paths import EMBEDDED_FLEET

if TYPE_CHECKING:
    from zooter_core.data.runs import Run


def open_fleet(folder: Path | None) -> Fleet:
    """The fleet of a folder; without one, the embedded fleet."""
    return load_fleet(folder or EMBEDDED_FLEET)


def open_ensemble(folder: Path | None, answering: bool = False) -> Ensemble:
    """The fleet of a folder, or else the embedded one, ready to work.

    Args:
        answering: whether candidates will answer, so that their weights must be on this machine.
    """
    ensemble = Ensemble(open_fleet(folder))
    if answering:
        from zooter_core.cli.consoles import err  # loads rich, which `zooter route --json` does without

        ensemble.fetch(err.print)
    return ensemble


def open_run_ensemble(run: Run, folder: Path | None, answering: bool = False) -> Ensemble:
    """The same for a run that exists: without a folder, the fleet that the run began with."""
    first = run.state.get("fleet")
    return open_ensemble(folder or (Path(first) if first else None), answering)
