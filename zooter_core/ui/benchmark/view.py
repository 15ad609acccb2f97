"""The Benchmark page's frame: a fleet's report and its headline, and what to do where there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from zooter_core.config.fleet import load_fleet
from zooter_core.errors import ZooterError
from zooter_core.evaluation import report
from zooter_core.evaluation.report import Report, Sweep
from zooter_core.evaluation.report_tables import Figures, pool_of
from zooter_core.ui.benchmark import claims
from zooter_core.ui.text import plain


@dataclass(frozen=True)
class Opened:
    """A fleet's or a run's folder with what is known of its quality.

    Attributes:
        path: where report.json lies; None where there is none.
        version: changes whenever report.json or sweep.json does.
        step: the next step of a run that has not finished.
        sweep: what `zooter sweep` left beside the report; None where there is none.
        sweep_problem: why its file cannot be read.
    """

    folder: Path
    path: Path | None
    report: Report | None = None
    step: str | None = None
    sweep: Sweep | None = None
    sweep_problem: str | None = None
    version: str = ""


def opened(folder: str) -> Opened:
    """What lies in a folder; each file is read again only when it has changed.

    Raises:
        ZooterError: report.json, or the run.json of a run, cannot be read.
    """
    path = report.find(folder, _router_of(folder))
    if path is None:
        return Opened(Path(folder), None, step=report.next_step(folder))
    changed = path.stat().st_mtime_ns
    found = Opened(Path(folder), path, _report(str(path), changed), version=f"{path} {changed}")
    beside = path.parent / report.SWEEP
    if not beside.is_file():
        return found
    changed = beside.stat().st_mtime_ns
    found = replace(found, version=f"{found.version} {changed}")
    try:
        return replace(found, sweep=_sweep(str(beside), changed))
    except ZooterError as problem:
        return replace(found, sweep_problem=str(problem))


def pool(found: Opened, held_back: Figures) -> list[str]:
    """The candidates in the fleet's order, which gives them their colours; in the report's where it has others."""
    known = pool_of(held_back)
    try:
        own = list(load_fleet(found.folder).pool)
    except ZooterError:
        return known
    return own if set(own) == set(known) else known


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


def shown_path(path: Path) -> str:
    """A path as one would type it here."""
    try:
        return os.fspath(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def missing(found: Opened) -> None:
    """Where there is no report: what it is and how to make one."""
    folder = shown_path(found.folder)
    if found.step:
        st.info("This run is not finished, so it has no report yet. Its next step:", icon=":material/hourglass_top:")
        st.code(f"zooter {found.step} --run {folder}", language="sh")
        return
    st.info(
        "This fleet has no report yet. A run makes one: every model answers every query of a file, the reward "
        "model scores the responses, and a router learns from four fifths of them. What it earns on the last fifth, "
        "which it has not seen, is what this page shows.",
        icon=":material/leaderboard:",
    )
    st.code(make_it(folder), language="sh")
    st.caption(
        "queries.jsonl holds one query a line: " + '`{"id": "1", "query": "What is 15% of 240?", "dataset": "sums"}`.'
    )


def make_it(folder: str) -> str:
    """The commands that make a fleet's router with its report."""
    return (
        f"zooter run --fleet {folder} --queries queries.jsonl --out runs/new --scores runs/new.jsonl\n"
        f"cp -r runs/new/router runs/new/report.json {folder}/"
    )


def headline(held_back: Figures) -> None:
    """The figures in four boxes and what may be said of them."""
    mean, single = held_back["mean"], plain(held_back["average"]["best_single"]["candidate"])
    way = mean["oracle"] - mean["best_single"]
    boxes = [
        ("Router", f"{mean['chosen']:.3f}", "Mean reward a query of what the router chose; one model runs."),
        (f"{single} alone", f"{mean['best_single']:.3f}", "Mean reward a query of the model that is best alone."),
        (
            "Oracle",
            f"{mean['oracle']:.3f}",
            "Mean reward of the best response to each query: the most there is to get.",
        ),
    ]
    if way > 0:
        share = (mean["chosen"] - mean["best_single"]) / way
        boxes.append(
            ("Gap closed", f"{share:.0%}", f"How much of the way from {single} alone to the oracle the router goes.")
        )
    with st.container(horizontal=True):
        for label, value, about in boxes:
            st.metric(label, value, help=about, border=True, width=160)
    for sentence in claims.of_report(held_back):
        st.markdown(f"- {sentence}")
    st.caption(
        f"{held_back['n']:,} held-back queries, which the router has not learned from. An interval says how far a "
        "figure would move with other queries like these; not what another training would give. The model "
        "that is best alone is the one with the highest average over data sets, picked on these very queries, which is "
        "in its favour."
    )


def sweep_command(found: Opened) -> str:
    """What makes sweep.json beside a report."""
    assert found.path is not None
    target = shown_path(found.path.parent / report.SWEEP)
    return f"zooter sweep --scores runs/new.jsonl --tau 1 --normalise none --out {target}"


def whole(found: Opened) -> None:
    """The report as the file it is."""
    assert found.path is not None
    st.download_button(
        "The whole report (JSON)",
        found.path.read_bytes(),
        report.REPORT,
        "application/json",
        icon=":material/download:",
        on_click="ignore",
    )
