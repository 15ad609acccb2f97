"""Saves a router as a new fleet with another fleet's candidates, reward model and tagger, or without a fleet."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import atomic, writing
from zooter_core.config.fleet import Fleet, fleet_toml, load_fleet
from zooter_core.data.run_folder import REPORT, ROUTER
from zooter_core.router.head import CONFIG, RouterHead

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
FLEET = "fleet.toml"
ALONE = {REPORT, ROUTER, "README.md"}  # files of a router's folder without fleet.toml; users may add a README


def named_folder(name: str, parent: Path) -> Path:
    """The folder with this name in `parent`. A name has letters, digits and dashes."""
    if not NAME.fullmatch(name):
        raise ZooterError(
            "a name of letters, digits and dashes, 64 at most, with a letter or digit first",
            repr(name[:80]),
            "For instance my-fleet.",
        )
    return parent.resolve() / name


def save_fleet(fleet: Fleet, router: Path, place: Path) -> None:
    """Write a fleet's folder atomically: fleet.toml, router/ (a folder from `distill`) and its report.json.

    Raises:
        ZooterError: the router is for another pool, or the folder already exists.
        WorkError: the disk is full, or the folder cannot be written.
    """
    pool = RouterHead.load(router).config.candidates
    if set(pool) != set(fleet.pool):
        raise ZooterError(
            f"a router for the candidates of the fleet {fleet.name} ({listed(fleet.pool)})",
            f"one for {listed(pool)}",
            "Save the router alone, and name it in the fleet.toml of a fleet with those candidates.",
        )
    save_router(router, place, fleet_toml(fleet, place.name, place, ROUTER))


def save_router(router: Path, place: Path, toml: str | None = None) -> None:
    """Like `save_fleet`, but without fleet.toml if `toml` is not given, for a router of another pool."""
    if place.exists() or place.is_symlink():
        raise ZooterError(f"a name that is free in {place.parent}", f"a folder {place.name}", "Choose another name.")
    with writing(place), atomic(place) as folder:
        folder.mkdir()
        shutil.copytree(router, folder / ROUTER)
        if (folder / ROUTER / REPORT).is_file():
            (folder / ROUTER / REPORT).rename(folder / REPORT)
        if toml is not None:
            (folder / FLEET).write_text(toml, encoding="utf-8")
            load_fleet(folder)  # raises before an unreadable fleet is saved


def router_without_fleet(place: Path) -> tuple[str, ...]:
    """The candidates of a router that `save_router` saved without a fleet; empty for any other folder."""
    if place.is_symlink() or not (place / ROUTER / CONFIG).is_file():
        return ()
    if not {entry.name for entry in place.iterdir()} <= ALONE:
        return ()
    return tuple(RouterHead.load(place / ROUTER).config.candidates)
