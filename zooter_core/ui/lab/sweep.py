"""A sweep on the Train page: routers for several values of beta, evaluated on held-back queries."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.evaluation import sweep
from zooter_core.evaluation.sweep import Point, SweepConfig
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.background import draw_live
from zooter_core.ui.lab.code import TrainingData, sweep_command
from zooter_core.ui.lab.settings import embedded
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task, draw_end, draw_log, draw_progress, heavy_work
from zooter_core.ui.sweep_view import draw_sweep, draw_table

BETAS = tuple(number / 10 for number in range(11))


def draw(lab: Lab, data: TrainingData, engine: Ensemble) -> None:
    """Choose the betas, start the sweep, watch the table fill, read the verdict."""
    st.markdown("**Does beta matter on these scores?**")
    st.markdown(
        "For each beta, cross-validation trains routers on some of the "
        "queries and evaluates them on the rest, until every query was held back once."
    )
    config = _settings(data)
    task = lab.sweep
    running = task is not None and task.running
    if st.button("Sweep beta", icon=":material/stacked_line_chart:", disabled=running or config is None):
        assert config is not None  # else the button is disabled
        lab.sweep = Task(partial(_sweep, data=data, config=config, engine=engine), heavy_work())
        st.rerun()
    if task is not None:
        if running:
            draw_live(task, partial(_draw_running, task))
        else:
            _draw_ended(task)
    if config is not None:
        _as_command(data, config, engine)


def _settings(data: TrainingData) -> SweepConfig | None:
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
        "Folds",
        2,
        10,
        3,
        key="lab-folds",
        persist_state="session",
        help="The queries are split into this many parts; each is held back once.",
    )
    seeds = right.slider(
        "Seeds", 1, 5, 1, key="lab-seeds", persist_state="session", help="How often to repeat this with another split."
    )
    try:
        config = SweepConfig(tuple(sorted(betas)), (data.config.tau,), data.config.normalise, folds, seeds)
    except ZooterError:
        st.caption("Choose at least one beta.")
        return None
    st.caption(f"This trains {len(betas) * folds * seeds} routers.")
    return config


def _sweep(task: Task[Any], data: TrainingData, config: SweepConfig, engine: Ensemble) -> dict[str, Any]:
    vectors = embedded(task, [query.text for query in data.scores.queries], engine)
    means: dict[Point, Any] = {}
    task.add_to_log(f"{len(config.points)} betas, {config.folds} folds, {config.seeds} seeds, on {data.name}")
    routers = sweep.earned(data.scores, data.tags, vectors, config, DistillConfig(), task.report)
    figures: dict[str, Any] = {}
    for (beta, tau), values in routers:
        means[beta, tau] = values
        figures = sweep.figures(data.scores, config, means) | {"total": len(config.points)}
        task.partial = figures
        task.add_to_log(f"beta {beta:g}: mean score {values.mean():.4f}")
    return figures


def _draw_running(task: Task[Any]) -> None:
    draw_progress(task, "lab-sweep")
    if task.partial:
        draw_table(task.partial)
    draw_log(task)


def _draw_ended(task: Task[Any]) -> None:
    figures = task.result or task.partial
    if task.stopped and figures:
        st.info(f"Stopped: {len(figures['rows'])} of {figures['total']} betas are done.", icon=":material/stop_circle:")
    else:
        draw_end(task, "The sweep")
    if figures:
        draw_sweep(figures)
        draw_log(task)


def _as_command(data: TrainingData, config: SweepConfig, engine: Ensemble) -> None:
    st.code(sweep_command(data, config, engine.fleet), language="bash", wrap_lines=True)
    if not data.is_complete:
        st.caption("The command uses all queries and models of the file; this page uses those chosen in step 1.")
