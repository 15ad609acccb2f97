"""What the fleet's folder says about its routers, after a switch and after changes by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zooter_core.base.errors import WorkError, ZooterError
from zooter_core.base.paths import EMBEDDED_FLEET
from zooter_core.config.fleet import load_fleet
from zooter_core.learn.deciding import PROMOTE, ROLLBACK, Contest
from zooter_core.learn.versions import (
    FOLLOW,
    MOST_SPARE,
    OUTSIDE,
    STARTING,
    Switch,
    Versions,
    lock_learner,
    name_router,
    switch_by_hand,
)
from zooter_core.method.promotion import Gate, evidence

Change = Callable[[Contest[str]], object]


SWITCHES: dict[str, tuple[str, Change, int | None, str]] = {  # the event, what else changes, and who serves then
    "promote and follow": (PROMOTE, lambda contest: contest.promote(follow=True), None, "routers/0002"),
    "promote": (PROMOTE, lambda contest: contest.promote(), None, "routers/0002"),
    "roll back": (ROLLBACK, lambda contest: contest.rollback(), None, "router"),
    "follow": (FOLLOW, lambda contest: contest.enter("routers/0003"), 90, "routers/0002"),
}


def opened(fleet: Path) -> Versions:
    return Versions(load_fleet(fleet))


def record(fleet: Path) -> dict:
    return json.loads((fleet / "routers" / "state.json").read_text())


def rewrite(fleet: Path, **changes: object) -> None:
    (fleet / "routers" / "state.json").write_text(json.dumps(record(fleet) | changes))


@pytest.fixture
def fleet(fleet_copy: Path) -> Path:
    """A fleet with a contest of three routers: 0001 serves, 0002 wants to, and `router` guards. It has no models."""
    for folder in {path for path in fleet_copy.iterdir() if path.is_dir()} - {fleet_copy / "router"}:
        shutil.rmtree(folder)
    versions = opened(fleet_copy)
    for _ in range(3):
        versions.add(lambda folder: shutil.copytree(fleet_copy / "router", folder, dirs_exist_ok=True))
    state = versions.state
    state.champion, state.challenger, state.former = "routers/0001", "routers/0002", "router"
    state.pairs, state.guard = [0.5, 1.0, 0.25] * 20, [1.0, 0.5]
    state.judged, state.learned, state.pool = 60, 50, ["base", "one", "two"]
    state.events = [Switch(time=1.0, event=PROMOTE, router="routers/0001", before="router")]
    name_router(fleet_copy, "routers/0001")
    versions.save()
    return fleet_copy


def switched(fleet: Path, name: str) -> None:
    versions, (event, change, learned, _) = opened(fleet), SWITCHES[name]
    after = deepcopy(versions.state)
    shown = None if event == FOLLOW else evidence(np.array(after.pairs), 0.4, Gate())
    change(after)
    versions.switch(after if learned is None else replace(after, learned=learned), event, shown)


WRITERS: dict[str, Callable[[Versions], object]] = {
    "lock": lambda versions: lock_learner(versions.fleet),
    "add": lambda versions: versions.add(Path.mkdir),
    "save": Versions.save,
    "tidy": Versions.tidy,
}


@pytest.mark.parametrize(
    ("name", "writer"),
    [*(("routers", writer) for writer in WRITERS), ("routers/state.json", "save"), ("routers/learn.lock", "lock")],
)
def test_a_link_among_the_routers_is_refused_and_what_it_leads_to_stays(fleet, tmp_path, name, writer):
    photos, versions = tmp_path / "photos", opened(fleet)
    for number in range(20):  # more than are spared
        (photos / f"{number:04}").mkdir(parents=True)
    before = sorted(photos.iterdir())
    if (fleet / name).exists():
        (fleet / name).rename(tmp_path / "before")
    (fleet / name).symlink_to(photos)
    with pytest.raises(ZooterError, match=f"{name}, but.*a link to"):
        WRITERS[writer](versions)
    assert sorted(photos.iterdir()) == before


def test_the_newest_spare_challengers_stay_and_what_served_or_competes(fleet):
    versions = opened(fleet)
    for _ in range(MOST_SPARE + 2):
        versions.add(lambda folder: None)
    versions.tidy()
    newest = 3 + MOST_SPARE + 2
    spare = [f"{number:04}" for number in range(newest - MOST_SPARE + 1, newest + 1)]
    folders = sorted(path.name for path in versions.folder.iterdir() if path.is_dir())
    assert folders == ["0001", "0002", *spare]


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_changes_who_serves_and_says_why(fleet, name):
    rewrite(fleet, follows=name == "follow")
    switched(fleet, name)
    after, (event, _, learned, champion) = opened(fleet).state, SWITCHES[name]
    assert load_fleet(fleet).router.path.endswith(champion)
    assert (after.champion, after.follows) == (champion, "follow" in name)
    assert (after.judged, after.learned) == (60, learned or 50)
    assert [switch.event for switch in after.events] == [PROMOTE, event][: 1 if event == FOLLOW else 2]
    if event != FOLLOW:  # of which there are too many for events
        last = after.events[-1]
        assert (last.before, last.router) == ("routers/0001", champion)
        assert (last.pairs, last.proved) == (60, True)


@pytest.mark.parametrize("name", SWITCHES)
def test_of_a_switch_that_is_killed_the_router_that_fleet_toml_names_serves(fleet, name, monkeypatch):
    rewrite(fleet, follows=name == "follow")
    before, champion = record(fleet), SWITCHES[name][-1]
    monkeypatch.setattr(Versions, "save", lambda versions: None)
    switched(fleet, name)
    assert record(fleet) == before
    after = opened(fleet).state
    assert (after.champion, after.follows, after.pairs, after.guard) == (champion, False, [], [])
    assert (after.judged, after.learned) == (60, 50)


@pytest.mark.parametrize(
    ("router", "event", "former"),
    [
        ("routers/0002", PROMOTE, "routers/0001"),
        ("router", ROLLBACK, None),
        ("routers/0003", OUTSIDE, None),
        (STARTING, OUTSIDE, None),
    ],
)
def test_a_router_that_is_named_by_hand_serves_and_is_not_followed(fleet, router, event, former):
    rewrite(fleet, follows=True)
    name_router(fleet, router)
    state = opened(fleet).state
    assert (state.champion, state.former, state.follows) == (router, former, False)
    assert (state.pairs, state.guard) == ([], [])
    last = state.events[-1]
    assert last == Switch(time=last.time, event=event, router=router, before="routers/0001")


@pytest.mark.parametrize("former", [None, "routers/0001"])
def test_a_roll_back_goes_to_the_guard_alone(fleet, former):
    """Which leaves after a while, or is the router that serves."""
    assert opened(fleet).rollback_target() == "router"
    rewrite(fleet, former=former)
    with pytest.raises(ZooterError, match="lists them"):
        switch_by_hand(load_fleet(fleet), ROLLBACK, 0)
    assert opened(fleet).state.champion == "routers/0001"


def test_a_router_that_does_not_load_is_not_promoted(fleet):
    (fleet / "routers" / "0002" / "model.safetensors").write_bytes(b"")
    with pytest.raises(WorkError, match="routers/0002"):
        switch_by_hand(load_fleet(fleet), PROMOTE, 0)
    assert opened(fleet).state.champion == "routers/0001"


def test_a_first_start_is_no_event(fleet_copy):
    versions = opened(fleet_copy)
    assert (versions.state.champion, versions.state.origin, versions.state.events) == ("router", "router", [])
    assert not (fleet_copy / "routers").exists()


LATE = '{"events": [{"time": 1e300, "event": "promote", "router": "router", "before": ""}]}'


@pytest.mark.parametrize("broken", ['{"champion": "rou', '{"pairs": "many"}', LATE])
def test_a_broken_state_says_so(fleet, broken):
    (fleet / "routers" / "state.json").write_text(broken)
    with pytest.raises(WorkError, match="state"):
        opened(fleet)


def test_the_embedded_fleet_stays_as_it_is():
    with pytest.raises(ZooterError, match="embedded"):
        opened(EMBEDDED_FLEET)
