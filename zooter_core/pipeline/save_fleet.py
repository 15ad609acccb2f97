"""Save a router as a new fleet beside another, with the other fleet's candidates, reward model and tagger."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from zooter_core.base.errors import ZooterError, listed
from zooter_core.base.files import atomic, writing
from zooter_core.base.strict_json import parse_json
from zooter_core.config.fleet import Fleet, fleet_toml, load_fleet
from zooter_core.data.run_folder import REPORT, ROUTER

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
FLEET, README = "fleet.toml", "README.md"
CONTENTS = {FLEET, README, REPORT, ROUTER}  # all that this module writes, and so all that it may replace


def place_of(name: str, beside: Path) -> Path:
    """The folder of that name beside another. A name has letters, digits and dashes."""
    if not NAME.fullmatch(name):
        raise ZooterError(
            "a name of letters, digits and dashes, 64 at most, with a letter or digit first",
            repr(name[:80]),
            "For instance my-fleet.",
        )
    return beside.resolve().parent / name


def save_fleet(fleet: Fleet, router: Path, name: str, readme: str, replace: bool = False) -> Path:
    """Write the folder `name` beside the fleet's: fleet.toml, router/, report.json and README.md, all or nothing.

    Args:
        router: a router's folder that `distill` made, for the fleet's candidates; its report.json moves up.
        replace: replace a folder of that name if it was saved by this module.

    Raises:
        ZooterError: the router is for another pool, the name is wrong or taken.
        WorkError: the disk is full, or the folder cannot be written.
    """
    pool = parse_json((router / "config.json").read_text(encoding="utf-8"))["candidates"]
    if set(pool) != set(fleet.pool):
        raise ZooterError(
            f"a router for the candidates of the fleet {fleet.name} ({listed(fleet.pool)})",
            f"one for {listed(pool)}",
            "Save the router alone, and name it in the fleet.toml of a fleet with those candidates.",
        )
    place = place_of(name, fleet.folder)
    return _place(place, router, readme, replace, fleet_toml(fleet, name, place, ROUTER))


def save_router(router: Path, name: str, beside: Path, readme: str, replace: bool = False) -> Path:
    """As `save_fleet`, but without fleet.toml: for a router of another pool."""
    return _place(place_of(name, beside), router, readme, replace)


def _place(place: Path, router: Path, readme: str, replace: bool, toml: str | None = None) -> Path:
    """Write a folder aside, and rename it to `place` when it is complete."""
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
    return place


def _is_ours(place: Path) -> bool:
    """Whether everything in the folder was written by this module, so that nothing else is lost with it."""
    if not place.exists() and not place.is_symlink():
        return True
    return place.is_dir() and not place.is_symlink() and {entry.name for entry in place.iterdir()} <= CONTENTS
