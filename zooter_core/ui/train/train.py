"""Distill a router on the Train page, and evaluate it on held-back queries."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from zooter_core.data.run_folder import REPORT
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.charts import ROUTER
from zooter_core.evaluation.figures import Evaluation, load_report
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import distill
from zooter_core.ui import charts
from zooter_core.ui.benchmark.sections import draw_methods
from zooter_core.ui.benchmark.view import draw_verdict
from zooter_core.ui.text import clipped, plain
from zooter_core.ui.train.labels import TrainingPlan
from zooter_core.ui.train.session import LoadedScores, Session, Task, TrainedRouter, draw_until_result


def draw_button(session: Session, loaded: LoadedScores, plan: TrainingPlan | None, ensemble: Ensemble) -> None:
    """Draw the button that starts the training, once the queries have tags."""
    label, key = ("Train", "primary-train") if session.router is None else ("Train again", "train-again")
    task = session.distillation
    st.button(
        label, key=key, icon=":material/science:", disabled=plan is None or bool(task and task.running),
        on_click=start, args=(session, loaded, plan, ensemble),
    )  # fmt: skip


def draw_result(session: Session) -> None:
    """Draw the progress of the training, then its result."""
    task = session.distillation
    with st.container(key="training"):  # the page's script keeps it in sight
        if task and (router := draw_until_result(task, "train-distill", "The training", wait=0)):
            draw_figures(router)


def start(session: Session, loaded: LoadedScores, plan: TrainingPlan, ensemble: Ensemble) -> None:
    """Start a distillation. Its router replaces the previous one, which is kept where it was saved."""
    folder = session.path / "router"
    shutil.rmtree(folder, ignore_errors=True)
    st.session_state.pop("train-name", None)  # another router gets another name
    session.saved = None
    session.distillation = Task(lambda task: distill_in_task(task, folder, loaded, plan, ensemble))


def distill_in_task(
    task: Task[TrainedRouter], folder: Path, loaded: LoadedScores, plan: TrainingPlan, ensemble: Ensemble
) -> TrainedRouter:
    """Distill a router into the folder. A failed training's files are deleted at the next start or with the session."""
    distill(
        loaded.scores,
        folder,
        labels=plan.labels,
        training=plan.training,
        encoder=ensemble.encoders(ensemble.fleet.encoder),
        tags=plan.tags,
        progress=task.report,
    )
    return TrainedRouter(folder, loaded, plan.labels, load_report(folder / REPORT))


def describe_result(router: TrainedRouter) -> str:
    """How often the router, and how often the best single model, is the best choice, as Markdown."""
    held_back = router.report.held_back
    shares = held_back.best_choice if held_back else {}
    router_share, single_share = shares.get("router"), shares.get("best_single")
    if held_back is None or router_share is None or single_share is None:
        return "has no held-back queries to be evaluated on"
    single, verdict = f"{plain(held_back.best_single)} alone", verdicts.of_report(router.report)
    if verdict and verdict.against != held_back.best_single:  # `against` was the best one in training
        single += f" (the best single model here; in training it was {plain(verdict.against)})"
    best, alone = router_share.share, single_share.share
    return f"chooses the best model in **{best:.0%}** of cases, {single} in **{alone:.0%}**"


def draw_figures(router: TrainedRouter) -> None:
    """How well the router chooses on queries that are new to it: in words, as bars, then as on the page Benchmark."""
    held_back = router.report.held_back
    if held_back:
        st.markdown(f"## Your router {describe_result(router)}.")
    draw_verdict(router.report)
    if held_back:
        _draw_shares(held_back, router.loaded.scores.candidates)
        with st.expander("By data set", icon=":material/table:"):
            draw_methods(held_back)
    elif verdicts.of_report(router.report) is None:
        st.info("No query was held back, so the router cannot be evaluated.", icon=":material/info:")
    total = len(router.loaded.scores.queries)
    trained = total - (held_back.n if held_back else 0)
    st.caption(
        f"Trained with beta {router.labels.beta:g} and tau {router.labels.tau:g} on {trained:,} of the {total:,} "
        f"queries in {plain(router.loaded.name)}."
    )


def _draw_shares(held_back: Evaluation, pool: Sequence[str]) -> None:
    single = held_back.best_single
    names = {"router": ("your router", ROUTER), "best_single": (f"{single} alone", charts.colour(pool, single))}
    rows = [(*names[key], row) for key, row in held_back.best_choice.items() if row is not None]
    intervals = [f"{name} {row.interval[0]:.0%} to {row.interval[1]:.0%}" for name, _, row in rows]
    hovers = [f"{clipped(name, 80)} chooses the best model {row.share:.1%} of the time." for name, _, row in rows]
    shares = {name: row.share for name, _, row in rows}
    alt = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    figure = charts.share_bars(shares, [fill for _, fill, _ in rows], hovers)
    charts.draw(figure, "train-shares", alt, charts.BAR * len(rows) + 12)
    st.caption(
        f"Held-back queries, which the router did not train on: {held_back.n:,}. 95% CI: {plain(', '.join(intervals))}."
    )
