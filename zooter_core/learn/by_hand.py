"""Switches of a fleet's router by hand: for `zooter learn promote | rollback` and the page Traffic."""

from __future__ import annotations

from filelock import AcquireReturnProxy

from zooter_core.base.errors import ZooterError
from zooter_core.base.files import locked
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.learn.versions import PROMOTE, Versions, routers_folder
from zooter_core.method.promotion import Gate

LOCK = "learn.lock"


def lock_learner(fleet: Fleet, seconds: float = 0) -> AcquireReturnProxy:
    """The lock of a fleet's learner; a turn has it while it is at work.

    Raises:
        ZooterError: it is still taken after so many seconds, or it or its folder is a link.
    """
    return locked(routers_folder(fleet) / LOCK, f"the learner of the fleet {fleet.name}", seconds)


def switch(fleet: Fleet, event: str, seconds: float) -> str:
    """Promote the challenger, or go back to the router before. Gives the path of the one that serves now.

    Args:
        event: PROMOTE or ROLLBACK.
        seconds: how long to wait for a turn that is at work.

    Raises:
        ZooterError: there is no such router, the fleet is the embedded one, or its learner is at work.
    """
    Versions(fleet)  # refuses the embedded fleet before a lock is made in it
    with lock_learner(fleet, seconds):
        versions = Versions(load_fleet(fleet.folder))
        contest = versions.state.contest(Gate())
        if event == PROMOTE:
            if contest.challenger is None:
                step = (
                    "The learner's latest router serves already."
                    if contest.follows
                    else "Run `zooter learn --once` first."
                )
                raise ZooterError("a challenger to promote", "none", step)
            contest.promote()
        else:
            contest.former = former(versions)
            if contest.former is None:
                step = "See `zooter learn status`."
                raise ZooterError("a router to go back to", "none: no promotion led to the one that serves", step)
            contest.rollback()
        versions.switch(contest, event)
        return versions.state.champion


def former(versions: Versions) -> str | None:
    """The router that a roll-back would bring back."""
    return versions.state.former if versions.state.former is not None else versions.before()
