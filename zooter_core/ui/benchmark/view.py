"""A fleet's report for the Benchmark page: where it lies, its headline, and how to make one."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from zooter_core.config.fleet import load_fleet
from zooter_core.errors import ZooterError
from zooter_core.evaluation import report
from zooter_core.evaluation.report import Report
from zooter_core.evaluation.report_figures import Sweep
from zooter_core.evaluation.report_tables import Figures, pool_of
from zooter_core.ui import verdicts
from zooter_core.ui.benchmark import card


@dataclass(frozen=True)
class Quality:
    """The figures in a fleet's or a run's folder.

    Attributes:
        path: report.json; None if there is none.
        report: its content.
        step: the next step of an unfinished run.
        sweep: the sweep.json beside the report; None if there is none.
        sweep_problem: why that file cannot be read.
        version: changes when report.json or sweep.json does.
    """

    folder: Path
    path: Path | None
    report: Report | None = None
    step: str | None = None
    sweep: Sweep | None = None
    sweep_problem: str | None = None
    version: str = ""


def read_quality(folder: str) -> Quality:
    """The figures in a folder; a file is read again only when it has changed.

    Raises:
        ZooterError: report.json, or the run.json of a run, cannot be read.
    """
    path = report.find(folder, _router_of(folder))
    if path is None:
        return Quality(Path(folder), None, step=report.next_step(folder))
    changed = path.stat().st_mtime_ns
    quality = Quality(Path(folder), path, _report(str(path), changed), version=f"{path} {changed}")
    sweep = path.parent / report.SWEEP
    if not sweep.is_file():
        return quality
    changed = sweep.stat().st_mtime_ns
    quality = replace(quality, version=f"{quality.version} {changed}")
    try:
        return replace(quality, sweep=_sweep(str(sweep), changed))
    except ZooterError as problem:
        return replace(quality, sweep_problem=str(problem))


def pool_order(quality: Quality, held_back: Figures) -> list[str]:
    """The candidates in the fleet's order, which gives them their colours; in the report's if it has other ones."""
    reported = pool_of(held_back)
    try:
        pool = list(load_fleet(quality.folder).pool)
    except ZooterError:
        return reported
    return pool if set(pool) == set(reported) else reported


def _router_of(folder: str) -> str | None:
    try:
        router = load_fleet(folder).router
    except ZooterError:  # a run's folder has no fleet.toml
        return None
    return router.path if router else None


@st.cache_data(show_spinner=False, max_entries=20)
def _report(path: str, changed: int) -> Report:
    return report.load_report(Path(path))


@st.cache_data(show_spinner=False, max_entries=20)
def _sweep(path: str, changed: int) -> Sweep:
    return report.load_sweep(Path(path))


def relative_path(path: Path) -> str:
    """A path as you would type it here."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def draw_missing(quality: Quality) -> None:
    """What a report is and how to make one."""
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
    """The main figure as a sentence and a picture, and what the figures show."""
    card.draw(held_back, pool_order(quality, held_back))
    for sentence in verdicts.of_report(held_back):
        st.markdown(f"- {sentence}")
    st.caption(
        f"{held_back['n']:,} held-back queries, which the router did not train on. Intervals cover the choice of "
        "queries, not the randomness of training. The best single model has the highest average over data sets; it is "
        "chosen on these same queries, which favours it a little."
    )


def sweep_command(quality: Quality) -> str:
    """The command that writes sweep.json beside a report."""
    assert quality.path is not None
    target = relative_path(quality.path.parent / report.SWEEP)
    return f"zooter sweep --scores runs/new.jsonl --tau 1 --normalise none --out {target}"


def draw_download(quality: Quality) -> None:
    """A button that downloads report.json."""
    assert quality.path is not None
    st.download_button(
        "Full report (JSON)",
        quality.path.read_bytes(),
        report.REPORT,
        "application/json",
        icon=":material/download:",
        on_click="ignore",
    )
