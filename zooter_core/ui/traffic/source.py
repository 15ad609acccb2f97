"""Where the page Traffic reads: the endpoint's folder of the session's fleet.

Traffic holds what users wrote. It is shown only by a demo that other machines cannot reach, or whose owner lets
visitors manage the fleet.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import Fleet
from zooter_core.evaluation.thinking import twins
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.learn.report import TrafficReport, report_on
from zooter_core.learn.traffic import FILE, Traffic, data_folder
from zooter_core.ui import resources
from zooter_core.ui.history import is_local
from zooter_core.ui.models import manage

PERIODS = {"Last day": 1, "Last 7 days": 7, "Last 30 days": 30}
DAY = 86_400.0
FRESH_SECONDS = 20  # a report is made anew after so long


@dataclass(frozen=True)
class Source:
    """A traffic file and the period that is shown.

    Attributes:
        steps: hours of a step in the chart over time.
    """

    folder: Path
    fleet: str
    since: float
    until: float
    steps: int


def may_look() -> bool:
    return is_local() or manage.allowed()


def traffic_folder(fleet: Fleet) -> Path | None:
    """The folder with traffic of a fleet; None if there is none, or the visitor must not see it."""
    folder = data_folder(fleet)
    if not may_look() or not (folder / FILE).is_file():
        return None
    with open_traffic(folder) as traffic:
        return folder if traffic.newest(1) else None


def last_days(folder: Path, fleet: str, days: int) -> Source:
    """The newest days of a fleet's traffic. The end is rounded, so that a report serves a while."""
    until = (time.time() // FRESH_SECONDS + 1) * FRESH_SECONDS
    return Source(folder, fleet, until - days * DAY, until, {1: 1, 7: 6}.get(days, 24))


@st.cache_data(show_spinner="Summing up the traffic ...", max_entries=8)
def sum_up(source: Source, _fleet: Fleet, _ensemble: Ensemble | None) -> TrafficReport:
    """The report on a period; with the fleet it also says which queries are unlike those of the router's training."""
    with open_traffic(source.folder) as traffic:
        return report_on(traffic, source.fleet, source.since, source.until, _ensemble, twins(_fleet.candidates))


@st.cache_data(show_spinner=False, max_entries=8)
def count_choices(source: Source) -> dict[str, dict[int, int]]:
    """How many requests each candidate answered in each step, by the second at which the step starts."""
    counts = defaultdict[str, dict[int, int]](Counter)
    with open_traffic(source.folder) as traffic:
        for total in traffic.totals(source.since, source.until, hours=source.steps):
            if total.candidate and not total.chore and total.hour is not None:
                counts[total.candidate][total.hour * 3600] += total.n
    return counts


@st.cache_data(show_spinner=False, max_entries=8)
def find_sampled(source: Source) -> set[str]:
    """The ids of the requests of a period that every model answered."""
    with open_traffic(source.folder) as traffic:
        return set(traffic.sampled(source.since, source.until))


def open_traffic(folder: Path) -> Traffic:
    """The traffic in a folder; if it cannot be read, the page's run ends."""
    try:
        return Traffic.open(folder, create=False)
    except ZooterError as problem:
        resources.fail(str(problem))
