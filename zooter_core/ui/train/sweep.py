"""A sweep on the Train page: routers for several values of beta, evaluated on held-back queries."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.evaluation import sweep
from zooter_core.evaluation.figures import Sweep
from zooter_core.evaluation.sweep import Point, SweepConfig
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.background import draw_live
from zooter_core.ui.sweep_view import draw_sweep, draw_table
from zooter_core.ui.train import state
from zooter_core.ui.train.code import TrainingData, sweep_command
from zooter_core.ui.train.settings import embedded
from zooter_core.ui.train.state import Session
from zooter_core.ui.train.tasks import Task, draw_end, draw_log, draw_progress, heavy_work
from zooter_core.ui.widgets import persistent

BETAS = tuple(number / 10 for number in range(11))
FOLDS_HELP = "The queries are split into this many parts; each is held back once."
SEEDS_HELP = "How often to repeat this with another split."


def draw(session: Session, data: TrainingData, ensemble: Ensemble) -> None:
    st.markdown("**Does beta matter on these scores?**")
    st.markdown(
        "For each beta, cross-validation trains routers on some of the queries and evaluates them on the rest, until "
        "every query was held back once."
    )
    config = _settings(data)
    task = session.sweep
    running = task is not None and task.running
    if st.button("Sweep beta", icon=":material/stacked_line_chart:", disabled=running or config is None):
        assert config is not None  # else the button is disabled
        session.sweep = Task(partial(_sweep, data=data, config=config, ensemble=ensemble), heavy_work())
        st.rerun()
    if task is not None:
        if running:
            draw_live(task, partial(_draw_running, task))
        else:
            _draw_ended(task)
    if config is not None:
        state.command(sweep_command(data, config, ensemble.fleet), data.loaded)


def _settings(data: TrainingData) -> SweepConfig | None:
    betas = st.multiselect("Betas", BETAS, SweepConfig.betas, lambda beta: f"{beta:g}", **persistent("train-betas"))
    left, right = st.columns(2)
    folds = left.slider("Folds", 2, 10, 3, **persistent("train-folds", FOLDS_HELP))
    seeds = right.slider("Seeds", 1, 5, 1, **persistent("train-seeds", SEEDS_HELP))
    try:
        config = SweepConfig(tuple(sorted(betas)), (data.config.tau,), data.config.normalise, folds, seeds)
    except ZooterError:
        st.caption("Choose at least one beta.")
        return None
    st.caption(f"This trains {len(betas) * folds * seeds} routers.")
    return config


def _sweep(task: Task[Any], data: TrainingData, config: SweepConfig, ensemble: Ensemble) -> Sweep | None:
    vectors = embedded(task, [query.text for query in data.scores.queries], ensemble)
    means: dict[Point, Any] = {}
    task.add_to_log(f"{len(config.points)} betas, {config.folds} folds, {config.seeds} seeds, on {data.loaded.name}")
    routers = sweep.earned(data.scores, data.tags, vectors, config, DistillConfig(), task.report)
    figures: Sweep | None = None
    for (beta, tau), values in routers:
        means[beta, tau] = values
        figures = sweep.figures(data.scores, config, means).but(total=len(config.points))
        task.partial = figures
        task.add_to_log(f"beta {beta:g}: mean score {values.mean():.4f}")
    return figures


def _draw_running(task: Task[Any]) -> None:
    draw_progress(task, "train-sweep")
    if task.partial:
        draw_table(task.partial)
    draw_log(task)


def _draw_ended(task: Task[Any]) -> None:
    figures = task.result or task.partial
    if task.stopped and figures:
        st.info(f"Stopped: {len(figures.rows)} of {figures.total} betas are done.", icon=":material/stop_circle:")
    else:
        draw_end(task, "The sweep")
    if figures:
        draw_sweep(figures)
        draw_log(task)
