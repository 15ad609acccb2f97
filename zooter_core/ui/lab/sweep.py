"""The Lab's second part: routers over a range of beta, judged on queries that they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.evaluation import sweep
from zooter_core.evaluation.sweep import Point, SweepConfig
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.lab import charts
from zooter_core.ui.lab.code import Subject, sweep_command
from zooter_core.ui.lab.settings import embedded
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task, ended, heavy, logged, offer_stop

BETAS = tuple(number / 10 for number in range(11))


def draw(lab: Lab, subject: Subject, engine: Ensemble) -> None:
    """Choose the betas, start, watch the table fill, read the verdict."""
    st.markdown(
        "How much does beta matter on these scores? For each beta routers are distilled from a part of the queries "
        "and judged on the rest, until every query was held back once."
    )
    config = _settings(subject)
    task = lab.sweep
    running = task is not None and task.running
    if st.button("Sweep beta", icon=":material/stacked_line_chart:", disabled=running or config is None):
        assert config is not None  # the button could not be pressed else
        chosen = config
        lab.sweep = Task(lambda task: _work(task, subject, chosen, engine), heavy())
        st.rerun()
    if task is not None:
        if running:
            _live(task)
        else:
            _shown(task)
    if config is not None:
        _as_command(subject, config, engine)


def _settings(subject: Subject) -> SweepConfig | None:
    betas = st.multiselect(
        "Betas",
        BETAS,
        default=SweepConfig.betas,
        format_func=lambda beta: f"{beta:g}",
        key="lab-betas",
        persist_state="session",
    )
    left, right = st.columns(2)
    folds = left.slider(
        "Parts",
        2,
        10,
        3,
        key="lab-folds",
        persist_state="session",
        help="Into how many parts the queries are split; each is held back once.",
    )
    seeds = right.slider(
        "Times", 1, 5, 1, key="lab-seeds", persist_state="session", help="How often all of it is done, split anew."
    )
    try:
        config = SweepConfig(tuple(sorted(betas)), (subject.config.tau,), subject.config.normalise, folds, seeds)
    except ZooterError:
        st.caption("Choose at least one beta.")
        return None
    st.caption(f"{len(betas) * folds * seeds} routers will be distilled.")
    return config


def _work(task: Task[Any], subject: Subject, config: SweepConfig, engine: Ensemble) -> dict[str, Any]:
    vectors = embedded(task, [query.text for query in subject.scores.queries], engine)
    found: dict[Point, Any] = {}
    task.say(f"{len(config.points)} betas, {config.folds} parts, {config.seeds} times, on {subject.name}")
    routers = sweep.earned(subject.scores, subject.tags, vectors, config, DistillConfig(), task.progress)
    figures: dict[str, Any] = {}
    for (beta, tau), values in routers:
        found[beta, tau] = values
        figures = sweep.figures(subject.scores, config, found) | {"of": len(config.points)}
        task.partial = figures
        task.say(f"beta {beta:g}: mean score {values.mean():.4f}")
    return figures


@st.fragment(run_every=0.5)
def _live(task: Task[Any]) -> None:
    """The table as it fills; when all rows are there, the whole page is drawn once more."""
    if not task.running:
        st.rerun()
    offer_stop(task, "lab-sweep")
    if task.partial:
        _table(task.partial)
    logged(task)


def _shown(task: Task[Any]) -> None:
    figures = task.result or task.partial
    if task.stopped and figures:
        st.info(
            f"Stopped: {len(figures['rows'])} of {figures['of']} betas are done, and stand below.",
            icon=":material/stop_circle:",
        )
    else:
        ended(task, "The sweep")
    if not figures:
        return
    st.success(verdict(figures), icon=":material/gavel:")
    st.plotly_chart(charts.sweep(figures), key="lab-sweep-chart", config={"displayModeBar": False})
    _table(figures)
    logged(task)


def verdict(figures: Mapping[str, Any]) -> str:
    """What the table says of beta, in words."""
    rows, best = figures["rows"], figures["best"]
    top = next(row for row in rows if row["beta"] == best["beta"])
    if len(rows) == 1:
        return f"At beta {top['beta']:g} routers earn {top['mean']:.4f} a query. One beta alone says nothing of others."
    said = f"Routers earn most at **beta {top['beta']:g}**: {top['mean']:.4f} a query on queries they have not seen."
    worse = [f"{row['beta']:g}" for row in rows if row["minus_best"][1] < 0]
    if figures["differs"]:
        return f"{said} Every other beta is worse, beyond what chance explains."
    if not worse:
        return f"{said} But the others may be as good: the differences are within chance, so beta matters little here."
    listed = ", ".join(worse)
    return f"{said} Only beta {listed} {'is' if len(worse) == 1 else 'are'} worse beyond what chance explains."


def _table(figures: Mapping[str, Any]) -> None:
    rows = figures["rows"]
    best = figures["best"]["beta"]
    number = st.column_config.NumberColumn
    st.dataframe(
        {
            "beta": [row["beta"] for row in rows],
            "score": [row["mean"] for row in rows],
            "from": [row["interval"][0] for row in rows],
            "to": [row["interval"][1] for row in rows],
            "regret": [row["regret"] for row in rows],
            "against the best": ["best" if row["beta"] == best else _against(row) for row in rows],
        },
        hide_index=True,
        column_config={
            "beta": number(format="%.1f", help="The weight of a query's own label", pinned=True),
            "score": number(format="%.4f", help="The mean score of what the routers chose, on queries held back"),
            "from": number(format="%.4f", help="Lower end of the 95% interval of the score, over queries"),
            "to": number(format="%.4f", help="Upper end of the 95% interval of the score, over queries"),
            "regret": number(format="%.4f", help="How much more the best model of each query would have earned"),
            "against the best": st.column_config.TextColumn(
                help="95% interval of the difference from the best beta, query by query; where it is below 0, this "
                "beta is worse beyond chance"
            ),
        },
    )


def _against(row: Mapping[str, Any]) -> str:
    low, high = row["minus_best"]
    return f"{low:+.3f} to {high:+.3f}"


def _as_command(subject: Subject, config: SweepConfig, engine: Ensemble) -> None:
    with st.expander("The same as a command", icon=":material/terminal:"):
        st.code(sweep_command(subject, config, engine.fleet), language="bash", wrap_lines=True)
        if not subject.whole:
            st.caption("The command takes every query and model of the file; this page took those chosen above.")
