"""A fleet's report for the Benchmark page: where it is stored, how to make one, and its headline."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from zooter_core.config.fleet import load_fleet
from zooter_core.evaluation import figures, verdicts
from zooter_core.evaluation.charts import GREY, ROUTER
from zooter_core.evaluation.figures import Evaluation, Report, Sweep
from zooter_core.ui import charts
from zooter_core.ui.benchmark.titles import titled
from zooter_core.ui.text import plain, with_commands
from zooter_core.ui.widgets import draw_way_to_exam


@dataclass(frozen=True)
class Quality:
    """A fleet's figures."""

    path: Path  # report.json
    report: Report  # its content
    # The report's candidates. Colours depend on the order, so it is the fleet's if the fleet has the same candidates.
    pool: Sequence[str]
    sweep: Sweep | None = None  # the sweep.json beside the report; None if there is none


def read_quality(folder: str) -> Quality | None:
    """The figures of the fleet in a folder; None if it has no report.json.

    Raises:
        ZooterError: a file cannot be read.
    """
    fleet = load_fleet(folder)
    path = figures.find(folder, fleet.router.path if fleet.router else None)
    if path is None:
        return None
    loaded, sweep = figures.load_report(path), path.parent / figures.SWEEP
    pool = loaded.held_back.pool if loaded.held_back else []
    if set(fleet.pool) == set(pool):
        pool = list(fleet.pool)
    return Quality(path, loaded, pool, figures.load_sweep(sweep) if sweep.is_file() else None)


def relative_path(path: str | Path) -> str:
    """A path relative to the current folder, as a user would type it."""
    full = Path(path).resolve()
    return str(full.relative_to(Path.cwd()) if full.is_relative_to(Path.cwd()) else path)


def draw_missing(folder: str) -> None:
    """Draw how to make a report."""
    draw_way_to_exam("This fleet has no report yet. The exam on the page Models makes one.")
    st.markdown(
        "So does a run on queries of your own: every model answers every query of a file, the reward model scores the "
        "responses, and a router trains on four fifths of them. This page shows how it does on the last fifth."
    )
    st.code(report_command(relative_path(folder)), language="sh", wrap_lines=True)
    st.caption(
        'queries.jsonl holds one query per line: `{"id": "1", "query": "What is 15% of 240?", "dataset": "sums"}`.'
    )


def report_command(folder: str) -> str:
    folder = shlex.quote(folder)
    return (
        f"zooter run --fleet {folder} --queries queries.jsonl --out runs/new --scores runs/new.jsonl\n"
        f"cp -r runs/new/router runs/new/report.json {folder}/"
    )


def draw_verdict(report: Report) -> None:
    """Draw whether routing beats the best single model on queries that the router did not learn from."""
    if verdict := verdicts.of_report(report):
        first, *more = map(with_commands, verdicts.sentences(titled(verdict)))
        st.markdown(" ".join([f"**{first}**", *more]))


def draw_headline(quality: Quality, held_back: Evaluation) -> None:
    headline, rows = describe_share_of_gap(held_back), mean_rows(held_back, quality.pool)
    st.markdown(f"## {plain(headline)}")
    figure = charts.dots_of_names(rows, "The mean reward is {value} for {name}.", "mean reward per query")
    means = ", ".join(f"{name} {mean:z.2f}" for name, mean, _ in rows)
    charts.draw(figure, "means", f"{headline} Mean rewards: {means}.", 240)
    st.caption(
        f"Mean reward over {held_back.n:,} queries that the router did not train on; further right is better. A "
        "response's reward is its score by a reward model, or in a score file. Only differences are meaningful."
    )


def describe_share_of_gap(held_back: Evaluation) -> str:
    """How much of the way from the best single model to a perfect choice the router goes, and at what cost."""
    share, calls = held_back.share_of_gap, f"with one call instead of {len(held_back.pool)}"
    if share is None:
        return f"{held_back.best_single} alone is already a perfect choice on every query."
    if share < 0:
        return f"No better than {held_back.best_single} alone, {calls}."
    return f"{share:.0%} of the way from the best single model to a perfect choice, {calls}."


def mean_rows(held_back: Evaluation, pool: Sequence[str]) -> list[tuple[str, float, str]]:
    """The mean rewards of a random choice, the best single model, the router, all models and the oracle, with colours.

    Each is the oracle's mean minus a regret: where scores are missing, plain means would be over different queries.
    """
    mean, single = held_back.mean, held_back.best_single
    best = mean["oracle"]
    return [
        ("a random model", best - mean["regret_random"], GREY),
        (f"{single} alone", best - mean["regret_best_single"], charts.colour(pool, single)),
        ("the router (1 call)", best - mean["regret"], ROUTER),
        (f"all models ({len(pool)} calls)", mean["rmr"], GREY),
        ("a perfect choice", best, GREY),
    ]


def sweep_command(path: Path) -> str:
    target = shlex.quote(relative_path(path.parent / figures.SWEEP))
    return f"zooter evaluate --scores scores.jsonl --sweep beta=0,0.1,0.3,0.5,0.7,0.9,1 --json > {target}"
