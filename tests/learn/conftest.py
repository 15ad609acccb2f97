from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.endpoint_fleet import share_models
from support.invented_traffic import DAY, fill_week
from support.scripted_learner import decisions, turn
from zooter_core.learn.report import TrafficReport, report_on
from zooter_core.learn.traffic import Traffic


class Place(NamedTuple):
    """A fleet, and a folder with traffic."""

    fleet: Path
    data: Path
    traffic: Traffic


@pytest.fixture
def place(tiny_fleet: Path, fleet_copy: Path, tmp_path: Path) -> Iterator[Place]:
    share_models(fleet_copy, tiny_fleet)
    data = tmp_path / "data"
    with Traffic.open(data) as traffic:
        yield Place(fleet_copy, data, traffic)


@pytest.fixture(scope="session")
def first_turn(tiny_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    fleet = Path(shutil.copytree(tiny_fleet, folder / "fleet"))
    share_models(fleet, tiny_fleet)
    with Traffic.open(folder / "data") as traffic:
        traffic.add(decisions(200))
        result, _, _ = turn(Place(fleet, folder / "data", traffic))
    assert (result.judged, result.event, result.challenger) == (200, "", "routers/0001")
    return folder


@pytest.fixture
def taught(first_turn: Path, tmp_path: Path) -> Iterator[Place]:
    """A place after a turn on 200 decisions, which made a challenger."""
    folder = Path(shutil.copytree(first_turn, tmp_path / "taught", symlinks=True))
    with Traffic.open(folder / "data") as traffic:
        yield Place(folder / "fleet", folder / "data", traffic)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a week's traffic, in which routing earns more than each model alone and `small` is never chosen."""
    folder = tmp_path_factory.mktemp("week")
    with Traffic.open(folder) as traffic:
        fill_week(traffic)
    return folder


@pytest.fixture(scope="session")
def report(week: Path) -> TrafficReport:
    with Traffic.open(week) as traffic:
        return report_on(traffic, "f", 0, 7 * DAY)
