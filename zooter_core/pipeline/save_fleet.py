"""Save a router as a new fleet, with the candidates, reward model and tagger of another, or alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import atomic, writing
from zooter_core.base.strict_json import parse_json
from zooter_core.config.fleet import Fleet, fleet_toml, load_fleet
from zooter_core.data.run_folder import REPORT, ROUTER
from zooter_core.router.config import CONFIG, check_router

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
FLEET, README = "fleet.toml", "README.md"
CONTENTS = {FLEET, README, REPORT, ROUTER}  # all that this module writes, and so all that it may replace


def place_of(name: str, parent: Path) -> Path:
    """The folder of that name in another. A name has letters, digits and dashes."""
    if not NAME.fullmatch(name):
        raise ZooterError(
            "a name of letters, digits and dashes, 64 at most, with a letter or digit first",
            repr(name[:80]),
            "For instance my-fleet.",
        )
    return parent.resolve() / name


def save_fleet(fleet: Fleet, router: Path, place: Path, readme: str, replace: bool = False) -> None:
    """Write a fleet's folder: fleet.toml, router/, report.json and README.md, all or nothing.

    Args:
        router: a router's folder that `distill` made, for the fleet's candidates; its report.json moves up.
        place: the folder, as `place_of` gives it.
        replace: replace a folder that is there if it was saved by this module.

    Raises:
        ZooterError: the router is for another pool, or the place is taken.
        WorkError: the disk is full, or the folder cannot be written.
    """
    check_router(router)
    pool = parse_json((router / CONFIG).read_text(encoding="utf-8"))["candidates"]
    if set(pool) != set(fleet.pool):
        raise ZooterError(
            f"a router for the candidates of the fleet {fleet.name} ({listed(fleet.pool)})",
            f"one for {listed(pool)}",
            "Save the router alone, and name it in the fleet.toml of a fleet with those candidates.",
        )
    save_router(router, place, readme, replace, fleet_toml(fleet, place.name, place, ROUTER))


def save_router(router: Path, place: Path, readme: str, replace: bool = False, toml: str | None = None) -> None:
    """As `save_fleet`, but without fleet.toml where it is not given: for a router of another pool."""
    if (foreign := not _is_ours(place)) or (place.exists() and not replace):
        next_step = "Choose another name." if foreign else "Allow it to be replaced, or choose another name."
        raise ZooterError(f"a name that is free in {place.parent}", f"a folder {place.name}", next_step)
    with writing(place), atomic(place) as folder:
        folder.mkdir()
        shutil.copytree(router, folder / ROUTER)
        if (folder / ROUTER / REPORT).is_file():
            (folder / ROUTER / REPORT).rename(folder / REPORT)
        (folder / README).write_text(readme, encoding="utf-8")
        if toml is not None:
            (folder / FLEET).write_text(toml, encoding="utf-8")
            load_fleet(folder)  # a fleet that cannot be read must not replace one that can


def router_without_fleet(place: Path) -> tuple[str, ...]:
    """The names that a router chooses among which `save_router` saved there; none if it is another folder, or a fleet
    by now."""
    if (place / FLEET).exists() or not (place / ROUTER / CONFIG).is_file() or not _is_ours(place):
        return ()
    check_router(place / ROUTER)
    return tuple(parse_json((place / ROUTER / CONFIG).read_text(encoding="utf-8"))["candidates"])


def _is_ours(place: Path) -> bool:
    """Whether everything in the folder was written by this module, so that nothing else is lost with it."""
    if not place.exists() and not place.is_symlink():
        return True
    return place.is_dir() and not place.is_symlink() and {entry.name for entry in place.iterdir()} <= CONTENTS
