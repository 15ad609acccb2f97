"""Save a router as a new fleet, with another fleet's candidates, reward model and tagger, or alone."""

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
ALONE = {REPORT, ROUTER, "README.md"}  # what a router's folder without fleet.toml has; a README is the user's


def named_folder(name: str, parent: Path) -> Path:
    """The folder of that name in another. A name has letters, digits and dashes."""
    if not NAME.fullmatch(name):
        raise ZooterError(
            "a name of letters, digits and dashes, 64 at most, with a letter or digit first",
            repr(name[:80]),
            "For instance my-fleet.",
        )
    return parent.resolve() / name


def save_fleet(fleet: Fleet, router: Path, place: Path) -> None:
    """Write a fleet's folder: fleet.toml, router/ (a folder that `distill` made) and its report.json, all or nothing.

    Raises:
        ZooterError: the router is for another pool, or the place is taken.
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
    """As `save_fleet`, but without fleet.toml where it is not given: for a router of another pool."""
    if place.exists() or place.is_symlink():
        raise ZooterError(f"a name that is free in {place.parent}", f"a folder {place.name}", "Choose another name.")
    with writing(place), atomic(place) as folder:
        folder.mkdir()
        shutil.copytree(router, folder / ROUTER)
        if (folder / ROUTER / REPORT).is_file():
            (folder / ROUTER / REPORT).rename(folder / REPORT)
        if toml is not None:
            (folder / FLEET).write_text(toml, encoding="utf-8")
            load_fleet(folder)  # nothing is saved that cannot be read


def router_without_fleet(place: Path) -> tuple[str, ...]:
    """The names that a router chooses among which `save_router` saved there; none if it is another folder, or a fleet
    by now."""
    if place.is_symlink() or not (place / ROUTER / CONFIG).is_file():
        return ()
    if not {entry.name for entry in place.iterdir()} <= ALONE:
        return ()
    return tuple(RouterHead.load(place / ROUTER).config.candidates)
