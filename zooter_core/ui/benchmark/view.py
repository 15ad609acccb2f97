"""A fleet's report for the Benchmark page: where it lies, its headline, and how to make one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.evaluation import report
from zooter_core.evaluation.report import Report, Sweep
from zooter_core.evaluation.report_tables import Figures, pool_of
from zooter_core.ui import verdicts
from zooter_core.ui.benchmark import card


@dataclass(frozen=True)
class Quality:
    """The figures in a fleet's or a run's folder.

    Attributes:
        path: report.json; None if there is none.
        report: its content.
        pool: its candidates in the fleet's order, which gives them their colours; if the fleet has others, in its own.
        step: the next step of an unfinished run.
        sweep: the sweep.json beside the report; None if there is none.
        sweep_problem: why that file cannot be read.
    """

    folder: Path
    path: Path | None
    report: Report | None = None
    pool: Sequence[str] = ()
    step: str | None = None
    sweep: Sweep | None = None
    sweep_problem: str | None = None


def read_quality(folder: str) -> Quality:
    """The figures in a folder.

    Raises:
        ZooterError: report.json, or the run.json of a run, cannot be read.
    """
    fleet: Fleet | None = None
    with suppress(ZooterError):  # a run's folder has no fleet.toml
        fleet = load_fleet(folder)
    path = report.find(folder, fleet.router.path if fleet and fleet.router else None)
    if path is None:
        return Quality(Path(folder), None, step=report.next_step(folder))
    sweep, problem = None, None
    try:
        if (file := path.parent / report.SWEEP).is_file():
            sweep = report.load_sweep(file)
    except ZooterError as error:
        problem = str(error)
    loaded = report.load_report(path)
    pool = pool_of(loaded.held_back) if loaded.held_back else []
    if fleet and set(fleet.pool) == set(pool):
        pool = list(fleet.pool)
    return Quality(Path(folder), path, loaded, pool, sweep=sweep, sweep_problem=problem)


def relative_path(path: Path) -> str:
    """A path as you would type it here."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def draw_missing(quality: Quality) -> None:
    folder = relative_path(quality.folder)
    if quality.step:
        st.info("This run is not finished, so it has no report yet. Its next step:", icon=":material/hourglass_top:")
        st.code(f"zooter {quality.step} --run {folder}", language="sh")
        return
    st.info(
        "This fleet has no report yet. A run makes one: every model answers every query of a file, the reward model "
        "scores the responses, and a router trains on four fifths of them. This page shows how it does on the last "
        "fifth.",
        icon=":material/leaderboard:",
    )
    st.code(report_command(folder), language="sh")
    st.caption(
        'queries.jsonl holds one query per line: `{"id": "1", "query": "What is 15% of 240?", "dataset": "sums"}`.'
    )


def report_command(folder: str) -> str:
    """The commands that train a fleet's router and write its report."""
    return (
        f"zooter run --fleet {folder} --queries queries.jsonl --out runs/new --scores runs/new.jsonl\n"
        f"cp -r runs/new/router runs/new/report.json {folder}/"
    )


def draw_headline(quality: Quality, held_back: Figures) -> None:
    card.draw(held_back, quality.pool)
    for sentence in verdicts.of_report(held_back):
        st.markdown(f"- {sentence}")
    st.caption(
        f"{held_back['n']:,} held-back queries, which the router did not train on. Intervals cover the choice of "
        "queries, not the randomness of training. The best single model has the highest average over data sets; it is "
        "chosen on these same queries, which favours it a little."
    )


def sweep_command(path: Path) -> str:
    """The command that writes sweep.json beside a report."""
    target = relative_path(path.parent / report.SWEEP)
    return f"zooter sweep --scores runs/new.jsonl --tau 1 --normalise none --out {target}"
