"""The routers that were trained on traffic, in the fleet's folder, and the router that serves.

`routers/0001` and so on are ordinary router folders. `routers/state.json` has the routers in the contest and their
pairs so far. Only fleet.toml decides which router serves; if the state differs from it, the state is updated. The
folder of a router that has served is never written again.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from filelock import AcquireReturnProxy

from zooter_core.base.errors import ZooterError, loading
from zooter_core.base.files import atomic, inside, locked, remove, writing
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.base.strict_json import dump_json, of_type, parse_json
from zooter_core.config.edit import remove_router, set_table
from zooter_core.config.fleet import Fleet, RouterConfig, load_fleet
from zooter_core.learn.deciding import PROMOTE, ROLLBACK, Contest
from zooter_core.method.metrics import interval
from zooter_core.method.promotion import Evidence, Gate
from zooter_core.router.head import RouterHead

ROUTERS, STATE, LOCK = "routers", "state.json", "learn.lock"
STARTING = ""  # the path of a starting router, which serves if fleet.toml has no router
MOST_SPARE = 5  # challengers without promotion that are kept; older ones are deleted
FOLLOW, OUTSIDE = "follow", "outside"  # events like PROMOTE and ROLLBACK


@dataclass(kw_only=True)
class PairSummary:
    """The number of pairs, and the mean of the latest pairs with its 95% interval."""

    pairs: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(kw_only=True)
class Switch(PairSummary):
    """A switch to another router, with the evidence of the pairs (except for OUTSIDE)."""

    time: float
    event: str  # PROMOTE, ROLLBACK or OUTSIDE
    router: str
    before: str
    capital: float | None = None  # like the next two fields, from `Evidence`; None if the switch was made by hand
    proved: bool = False
    passes: bool = False


@dataclass
class State(Contest[str]):
    """The contest, and the learner's other data between two runs. Routers are given by their path in fleet.toml."""

    champion: str = STARTING
    challenger: str | None = None
    former: str | None = None
    judged: int = 0  # the number of the last decision that was judged
    learned: int = 0  # the number of the last decision that the challenger learned from
    paused: bool = False  # if true, nothing is judged, learned or switched
    # Candidates that still have to answer stored queries -> the number of these queries.
    newcomers: dict[str, int] = field(default_factory=dict)
    pool: list[str] = field(default_factory=list)  # the candidates at the last run
    # The router whose training queries the learner starts from: the last router that was not trained on traffic.
    origin: str = STARTING
    events: list[Switch] = field(default_factory=list)  # oldest first


class Versions:
    """The routers of one fleet, whose fleet.toml is in its folder.

    Raises:
        ZooterError: the fleet is the embedded one, which is shared and cannot be changed.
        WorkError: state.json is damaged.
    """

    def __init__(self, fleet: Fleet) -> None:
        if fleet.folder.resolve() == EMBEDDED_FLEET.resolve():
            step = f"Copy the folder {EMBEDDED_FLEET}, and name the copy with --fleet."
            raise ZooterError("a fleet of your own", "the embedded one", step)
        self.fleet, self.folder = fleet, fleet.folder / ROUTERS
        self.state = self._read()
        self._follow_fleet()

    @property
    def serving(self) -> str:
        """The path of the router in fleet.toml, relative to the fleet's folder if it is inside this folder."""
        if self.fleet.router is None:
            return STARTING
        path = Path(os.path.normpath(self.fleet.router.path))
        folder = Path(os.path.normpath(self.fleet.folder))
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)

    def place(self, router: str) -> Path:
        return self.fleet.folder / router

    def check(self, router: str) -> None:
        """Raise a ZooterError if the files of a router are missing or damaged."""
        if router != STARTING:
            RouterHead.load(self.place(router))

    def fleet_with(self, router: str) -> Fleet:
        if router == STARTING:
            return replace(self.fleet, router=None)
        config = self.fleet.router or RouterConfig(path=router)
        return replace(self.fleet, router=replace(config, path=str(self.place(router))))

    def add(self, write: Callable[[Path], None]) -> str:
        """Add a version and return its path. `write` fills a folder, which gets its name only when it is complete."""
        with writing(routers_folder(self.fleet)):
            number = 1 + max((int(path.name) for path in self._folders()), default=0)
            with atomic(self.folder / f"{number:04}") as partial:
                partial.mkdir()
                write(partial)
        return f"{ROUTERS}/{number:04}"

    def save(self) -> None:
        """Write state.json atomically."""
        path = inside(routers_folder(self.fleet), STATE)
        with writing(self.folder), atomic(path, private=True) as partial:
            partial.write_text(dump_json(asdict(self.state)) + "\n", encoding="utf-8")

    def switch(self, after: State, event: str, evidence: Evidence | None = None) -> None:
        """Write the champion to fleet.toml, and then the state.

        If the process is killed between the two writes, the switch counts as one by hand: the new router serves, but
        later routers do not take over automatically.

        Args:
            after: a copy of `state` after its `promote`, `rollback` or `enter`.
            event: PROMOTE, ROLLBACK, FOLLOW, or "" if the champion stays.
            evidence: the evidence, if the pairs decided the switch.
        """
        before = self.state
        if event in (PROMOTE, ROLLBACK):  # other events are too frequent
            shown = asdict(summary(before.guard if event == ROLLBACK else before.pairs))
            shown |= asdict(evidence) if evidence else {}
            switch = Switch(time=time.time(), event=event, router=after.champion, before=before.champion, **shown)
            after.events.append(switch)
        if event:
            name_router(self.fleet.folder, after.champion)
        self.state = after
        self.save()

    def rollback_target(self) -> str | None:
        """The router that a rollback would restore: the guard, or None if there is no guard besides the champion."""
        return self.state.former if self.state.former != self.state.champion else None

    def tidy(self) -> None:
        """Delete challengers that were never promoted, except for the newest ones."""
        state = self.state
        used = {state.champion, state.challenger, state.former}
        used |= {router for switch in state.events for router in (switch.router, switch.before)}
        spare = [path for path in self._folders() if f"{ROUTERS}/{path.name}" not in used]
        for path in spare[:-MOST_SPARE]:
            remove(inside(self.fleet.folder, f"{ROUTERS}/{path.name}"))

    def _folders(self) -> list[Path]:
        """The folders of versions, oldest first."""
        return sorted((path for path in self.folder.glob("[0-9]*") if path.name.isdigit()), key=lambda p: int(p.name))

    def _follow_fleet(self) -> None:
        """Update the state if fleet.toml has another router, because a user edited it or a switch was killed."""
        state, serving = self.state, self.serving
        before = state.champion
        if serving == before:
            return
        if serving == state.challenger:
            state.promote()
            event = PROMOTE
        elif serving == state.former:
            state.rollback()
            event = ROLLBACK
        else:
            state.restart(serving)
            event = OUTSIDE
        if not is_learned(serving):
            state.origin = serving
        if (self.folder / STATE).is_file():  # otherwise this is the first start
            state.events.append(Switch(time=time.time(), event=event, router=serving, before=before))

    def _read(self) -> State:
        path = self.folder / STATE
        if not path.is_file():
            return State()
        step = "Delete the file: the contest begins anew, and the routers stay."
        with loading(f"the learner's state in {path}", step):
            state = of_type(State, parse_json(path.read_text(encoding="utf-8")))
            for switch in state.events:
                time.localtime(switch.time)  # raises if pages and reports could not show it
            return state


def routers_folder(fleet: Fleet) -> Path:
    """The folder `routers` of a fleet, which is created if it does not exist.

    Raises:
        ZooterError: the folder is a link.
        WorkError: the folder cannot be created.
    """
    folder = inside(fleet.folder, ROUTERS)
    with writing(folder):
        folder.mkdir(exist_ok=True)
    return folder


def is_learned(router: str) -> bool:
    """Whether a router was trained on traffic."""
    return router.startswith(f"{ROUTERS}/") and router.removeprefix(f"{ROUTERS}/").isdigit()


def summary(pairs: Sequence[float]) -> PairSummary:
    latest = np.array(pairs[-Gate().pairs :])
    low, high = interval(latest) if len(latest) > 1 else (math.nan, math.nan)
    return PairSummary(
        pairs=len(pairs),
        mean=float(latest.mean()) if len(latest) else None,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
    )


def lock_learner(fleet: Fleet, seconds: float = 0) -> AcquireReturnProxy:
    """Acquire the lock of a fleet's learner, which a turn holds while it runs.

    Args:
        seconds: how long to wait for the lock.

    Raises:
        ZooterError: the lock is still held after this time, or the lock or its folder is a link.
    """
    return locked(routers_folder(fleet) / LOCK, f"the learner of the fleet {fleet.name}", seconds)


@contextmanager
def locked_versions(fleet: Fleet, seconds: float) -> Iterator[Versions]:
    """The routers of a fleet according to its files, while its learner is locked.

    Args:
        seconds: how long to wait for a running turn.

    Raises:
        ZooterError: the fleet is the embedded one, or a turn is still running after this time.
    """
    Versions(fleet)  # raises for the embedded fleet before a lock is created in it
    with lock_learner(fleet, seconds):
        yield Versions(load_fleet(fleet.folder))


def switch_by_hand(fleet: Fleet, event: str, seconds: float) -> Switch:
    """Promote the challenger (PROMOTE) or return to the guard (ROLLBACK), whatever the evidence.

    Raises:
        ZooterError: there is no such router, or it does not load; also as in `locked_versions`.
    """
    with locked_versions(fleet, seconds) as versions:
        after = deepcopy(versions.state)
        if event == PROMOTE:
            if after.challenger is None:
                latest = "The learner's latest router serves already."
                step = latest if after.follows else "Run `zooter learn --once` first."
                raise ZooterError("a challenger to promote", "none", step)
            after.promote()
        else:
            if versions.rollback_target() is None:
                step = "Name an earlier one as the `path` of [router] in fleet.toml: `zooter learn status` lists them."
                raise ZooterError("a router that guards the one that serves", "none", step)
            after.rollback()
        versions.check(after.champion)
        versions.switch(after, event)
        return versions.state.events[-1]


def name_router(folder: Path, router: str) -> None:
    """Write another router, or no router, to fleet.toml."""
    if router == STARTING:
        remove_router(folder)
    else:
        set_table(folder, "router", {"path": router})
