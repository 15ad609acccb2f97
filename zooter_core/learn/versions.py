"""The routers that traffic made, in the fleet's folder, and which of them serves.

`routers/0001` and so on are ordinary router folders. `routers/state.json` says who competes and what the pairs say so
far. What serves is what fleet.toml names, and nothing else: a state that says otherwise follows it. The folder of a
router that served is never written again.
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

ROUTERS, STATE, LOCK = "routers", "state.json", "learn.lock"
STARTING = ""  # instead of a router's path: fleet.toml names none, and a starting router serves
MOST_SPARE = 5  # challengers that were never promoted; older ones are deleted
FOLLOW, OUTSIDE = "follow", "outside"  # events, as PROMOTE and ROLLBACK


@dataclass(kw_only=True)
class PairSummary:
    """How many pairs there are, and the mean of the latest ones with its 95% interval."""

    pairs: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(kw_only=True)
class Switch(PairSummary):
    """Another router began to serve. What the pairs said comes with it, but for OUTSIDE."""

    time: float
    event: str  # PROMOTE, ROLLBACK or OUTSIDE
    router: str
    before: str
    capital: float | None = None  # of `Evidence`, as the two that follow; None if the switch was made by hand
    proved: bool = False
    passes: bool = False


@dataclass
class State(Contest[str]):
    """The contest, and what else the learner remembers between two runs. Routers are named by their path in
    fleet.toml."""

    champion: str = STARTING
    challenger: str | None = None
    former: str | None = None
    judged: int = 0  # the number of the last decision that was judged
    learned: int = 0  # the number of the last decision that the challenger learned from
    paused: bool = False  # nothing is judged, learned or switched
    # Candidates that still have to answer stored queries, and how many.
    newcomers: dict[str, int] = field(default_factory=dict)
    pool: list[str] = field(default_factory=list)  # the candidates at the last run
    # The router whose training queries the learner starts from: the last one that traffic did not make.
    origin: str = STARTING
    events: list[Switch] = field(default_factory=list)  # oldest first


class Versions:
    """The routers of one fleet, whose fleet.toml is in its folder.

    Raises:
        ZooterError: it is the embedded fleet, which is shared and stays as it is.
        WorkError: state.json is broken.
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
        """The router that fleet.toml names, relative to the fleet's folder where it is inside."""
        if self.fleet.router is None:
            return STARTING
        path = Path(os.path.normpath(self.fleet.router.path))
        folder = Path(os.path.normpath(self.fleet.folder))
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)

    def place(self, router: str) -> Path:
        return self.fleet.folder / router

    def fleet_with(self, router: str) -> Fleet:
        if router == STARTING:
            return replace(self.fleet, router=None)
        config = self.fleet.router or RouterConfig(path=router)
        return replace(self.fleet, router=replace(config, path=str(self.place(router))))

    def add(self, write: Callable[[Path], None]) -> str:
        """Add a version: `write` fills a folder, which gets its name only when it is complete. Returns its path."""
        with writing(routers_folder(self.fleet)):
            number = 1 + max((int(path.name) for path in self._folders()), default=0)
            with atomic(self.folder / f"{number:04}") as partial:
                partial.mkdir()
                write(partial)
        return f"{ROUTERS}/{number:04}"

    def save(self) -> None:
        """Write state.json, all of it or nothing."""
        path = inside(routers_folder(self.fleet), STATE)
        with writing(self.folder), atomic(path, private=True) as partial:
            partial.write_text(dump_json(asdict(self.state)) + "\n", encoding="utf-8")

    def switch(self, after: State, event: str, evidence: Evidence | None = None) -> None:
        """Let fleet.toml name another champion, and remember it.

        A switch that is killed between the two counts as one by hand: its router serves, and is not followed.

        Args:
            after: a copy of `state` after its `promote`, `rollback` or `enter`.
            event: PROMOTE, ROLLBACK, FOLLOW, or "" if the champion stays.
            evidence: if the pairs decided.
        """
        before = self.state
        if event in (PROMOTE, ROLLBACK):  # of the others there are too many
            shown = asdict(summary(before.guard if event == ROLLBACK else before.pairs))
            shown |= asdict(evidence) if evidence else {}
            switch = Switch(time=time.time(), event=event, router=after.champion, before=before.champion, **shown)
            after.events.append(switch)
        if event:
            name_router(self.fleet.folder, after.champion)
        self.state = after
        self.save()

    def rollback_target(self) -> str | None:
        """The router that a roll-back would bring back: the guard; None if there is none but the one that serves."""
        return self.state.former if self.state.former != self.state.champion else None

    def tidy(self) -> None:
        """Delete challengers that were never promoted, but for the newest ones."""
        state = self.state
        used = {state.champion, state.challenger, state.former}
        used |= {router for switch in state.events for router in (switch.router, switch.before)}
        spare = [path for path in self._folders() if f"{ROUTERS}/{path.name}" not in used]
        for path in spare[:-MOST_SPARE]:
            remove(inside(self.fleet.folder, f"{ROUTERS}/{path.name}"))

    def _folders(self) -> list[Path]:
        """The versions' folders, oldest first."""
        return sorted((path for path in self.folder.glob("[0-9]*") if path.name.isdigit()), key=lambda p: int(p.name))

    def _follow_fleet(self) -> None:
        """Let the state follow fleet.toml, where somebody named another router, or a switch was killed."""
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
                time.localtime(switch.time)  # as pages and reports show it
            return state


def routers_folder(fleet: Fleet) -> Path:
    """The folder `routers` of a fleet, made if there is none. Raises ZooterError if it is a link, and WorkError if it
    cannot be made."""
    folder = inside(fleet.folder, ROUTERS)
    with writing(folder):
        folder.mkdir(exist_ok=True)
    return folder


def is_learned(router: str) -> bool:
    """Whether traffic made a router."""
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
    """The lock of a fleet's learner; a turn has it while it is at work. Raises ZooterError if it is still taken after
    so many seconds, or if it or its folder is a link."""
    return locked(routers_folder(fleet) / LOCK, f"the learner of the fleet {fleet.name}", seconds)


@contextmanager
def locked_versions(fleet: Fleet, seconds: float) -> Iterator[Versions]:
    """The routers of a fleet as its files have them now, while its learner does nothing. Waits for a turn that is at
    work, so many seconds at most.

    Raises:
        ZooterError: the fleet is the embedded one, or its learner is still at work.
    """
    Versions(fleet)  # refuses the embedded fleet before a lock is made in it
    with lock_learner(fleet, seconds):
        yield Versions(load_fleet(fleet.folder))


def switch_by_hand(fleet: Fleet, event: str, seconds: float) -> Switch:
    """Promote the challenger (PROMOTE), or go back to the guard (ROLLBACK), whatever the pairs say.

    Raises:
        ZooterError: there is no such router; and as `locked_versions`.
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
        versions.switch(after, event)
        return versions.state.events[-1]


def name_router(folder: Path, router: str) -> None:
    """Let a fleet.toml name another router, or none."""
    if router == STARTING:
        remove_router(folder)
    else:
        set_table(folder, "router", {"path": router})
