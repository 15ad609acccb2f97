"""The Lab's third part: distill a router, evaluate it, save it as a fleet."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import streamlit as st

from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.evaluation.report import REPORT, Report, load_report
from zooter_core.evaluation.report_figures import HeldBack
from zooter_core.evaluation.report_tables import RMR, table_one
from zooter_core.pipeline import distill
from zooter_core.pipeline.save_fleet import place_of, save_fleet, save_router
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui import resources, verdicts
from zooter_core.ui.error_box import show_error
from zooter_core.ui.lab.code import TrainingData, distill_code, distill_command, readme
from zooter_core.ui.lab.settings import as_file, embedded
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task, draw_end, draw_log, draw_task, heavy_work
from zooter_core.ui.text import code, plain

OUT = "my-router"  # the folder in the code and the command


@dataclass(frozen=True)
class DistilledRouter:
    """A router in the session's folder, what it was trained on, and its report."""

    folder: Path
    data: TrainingData
    training: DistillConfig
    report: Report


def draw(lab: Lab, data: TrainingData, engine: Ensemble) -> None:
    """Choose, start, watch, read the figures, save."""
    st.markdown(
        "The router learns to predict a query's enhanced label from its text. Some queries are held back to evaluate "
        "it on queries that it has not seen."
    )
    data, training = _settings(data)
    task: Task[DistilledRouter] | None = lab.distillation
    running = task is not None and task.running
    if st.button("Distill a router", icon=":material/science:", disabled=running):
        start(lab, data, training, engine)
        st.rerun()
    if task is not None:
        if running:
            draw_task(task, "lab-distill")
        else:
            draw_end(task, "The distillation")
            if task.result is not None:
                draw_figures(task.result)
                _save_form(lab, task.result, engine)
            draw_log(task)
    _as_code(data, training, engine)


def _settings(data: TrainingData) -> tuple[TrainingData, DistillConfig]:
    left, right = st.columns(2)
    holdout = left.slider(
        "Held back",
        0,
        50,
        20,
        step=5,
        format="%d%%",
        key="lab-holdout",
        persist_state="session",
        help="The share of queries that the router does not train on; it is evaluated on them.",
    )
    epochs = right.slider(
        "Maximum epochs",
        1,
        30,
        DistillConfig.epochs,
        key="lab-epochs",
        persist_state="session",
        help="Passes over the queries. With 100 queries or more, a trial finds out when more do not help.",
    )
    keep = st.checkbox(
        "Save the queries' texts with the router",
        value=True,
        key="lab-keep",
        persist_state="session",
        help="Chat can then show the most similar training queries, and this page can use them as a sample.",
    )
    config = replace(data.config, holdout=holdout / 100)
    return replace(data, config=config), DistillConfig(epochs=epochs, keep_texts=keep)


def start(lab: Lab, data: TrainingData, training: DistillConfig, engine: Ensemble) -> None:
    """Start a distillation; the previous router is deleted, unless it was saved."""
    if lab.distillation is not None and lab.distillation.result is not None:
        shutil.rmtree(lab.distillation.result.folder, ignore_errors=True)
    lab.routers += 1
    lab.saved = None
    folder = lab.path / f"router-{lab.routers}"
    lab.distillation = Task(
        partial(distill_in_task, data=data, training=training, engine=engine, folder=folder), heavy_work()
    )


def distill_in_task(
    task: Task[DistilledRouter], data: TrainingData, training: DistillConfig, engine: Ensemble, folder: Path
) -> DistilledRouter:
    """Distill a router into the folder; if that fails, the folder is removed."""
    task.add_to_log(f"{len(data.tags):,} queries of {data.name}, {len(data.scores.candidates)} models")
    vectors = embedded(task, [query.text for query in data.scores.queries], engine)
    try:
        distill(
            data.scores,
            folder,
            labels=data.config,
            training=training,
            encoder=engine.encoders(engine.fleet.encoder),
            tags=data.tags,
            vectors=vectors,
            progress=task.report,
        )
        report = load_report(folder / REPORT)
        task.report(task.step, task.done, task.total)  # raises if the visitor stopped it during the last step
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    losses = report.losses
    task.add_to_log(
        f"Divergence from the labels (KL): {losses[0]:.3f} nats after the first epoch, {losses[-1]:.3f} after the last "
        f"of {len(losses)}"
    )
    return DistilledRouter(folder, data, training, report)


def draw_figures(router: DistilledRouter) -> None:
    """How well the router chooses on the held-back queries."""
    data, held_back = router.data, router.report.held_back
    st.subheader("The router", anchor=False)
    st.caption(
        f"Trained with beta {data.config.beta:g} and tau {data.config.tau:g} on {len(data.tags):,} queries of "
        f"{plain(data.name)}, including those held back."
    )
    if held_back is None:
        st.info("No query was held back, so the router cannot be evaluated.", icon=":material/info:")
        return
    mean, (low, high) = held_back["mean"], held_back["interval"]["regret"]
    single = plain(held_back["average"]["best_single"]["candidate"])
    meaning = "Mean score lost against the best model of each held-back query; 0 is perfect."
    boxes = (
        ("Regret of the router", mean["regret"], meaning),
        (f"Regret of {single} alone", mean["regret_best_single"], "The same for the best single model."),
        ("Regret of a random choice", mean["regret_random"], "The same for a random model."),
    )
    for column, (label, value, text) in zip(st.columns(3), boxes, strict=True):
        column.metric(label, f"{value:.3f}", help=text, border=True)
    st.markdown(verdicts.against_best_single(held_back))
    st.caption(
        f"{held_back['n']:,} held-back queries. The router's regret: 95% CI {low:.3f} to {high:.3f}. Its probabilities "
        f"differ from how often it is right by {held_back['calibration']['ece']:.0%} on average."
    )
    _methods(held_back)


def _methods(held_back: HeldBack) -> None:
    methods = [method for method in table_one(held_back) if method.name != RMR]  # scores make it the oracle
    number = st.column_config.NumberColumn
    st.dataframe(
        {
            "method": [method.name for method in methods],
            "score": [method.values["average"] for method in methods],
            "MTR": [method.values["mtr"] for method in methods],
            "%Uplift": [method.values["uplift"] for method in methods],
        },
        hide_index=True,
        column_config={
            "method": st.column_config.TextColumn(
                pinned=True, help="Who answers; oracle: the best model of each query in hindsight"
            ),
            "score": number(format="%.3f", help="Mean score, with equal weight for every data set"),
            "MTR": number(format="%.2f", help="Mean task rank: the rank among these, averaged over data sets"),
            "%Uplift": number(format="percent", help="The share of data sets where it ranks first"),
        },
    )


def _save_form(lab: Lab, router: DistilledRouter, engine: Ensemble) -> None:
    """Save the router, as a fleet if it chooses among the fleet's models, else alone."""
    fleet, pool = engine.fleet, router.data.scores.candidates
    fits = set(pool) == set(fleet.pool)
    st.subheader("Save it", anchor=False)
    if fits:
        st.caption(f"As a new fleet: the models of {plain(fleet.name)} with this router, for Chat and all other pages.")
    else:
        st.caption(
            f"This router chooses among {plain(', '.join(pool[:12]))}; the fleet {plain(fleet.name)} has "
            f"{plain(', '.join(fleet.pool))}. It can be saved alone; a fleet with its models can name it in its "
            "`fleet.toml`."
        )
    with st.form("lab-save", border=False):
        name = st.text_input("Name", "my-fleet" if fits else OUT, max_chars=64, help="Letters, digits and dashes.")
        replace_it = st.checkbox(
            "Replace an earlier one of this name", help="Only folders that this page has saved can be replaced."
        )
        submitted = st.form_submit_button("Save as a fleet" if fits else "Save the router", icon=":material/save:")
    if submitted:
        try:
            lab.saved = save(router, name.strip(), engine, replace_it)
            lab.loaded.pop(f"sample {lab.saved}", None)  # the sample of a replaced fleet
        except ZooterError as problem:
            show_error(problem)
            return
    if lab.saved is not None:
        st.success(f"Saved in {code(f'{lab.saved.parent.name}/{lab.saved.name}')}.", icon=":material/check_circle:")
        if fits and st.button(
            "Use it in Chat", icon=":material/chat:", key="lab-pick", on_click=resources.pick_fleet, args=(lab.saved,)
        ):
            st.switch_page("pages/chat.py")


def save(router: DistilledRouter, name: str, engine: Ensemble, replace_it: bool) -> Path:
    """Write the folder beside the fleet's.

    Raises:
        ZooterError: the name is invalid or taken, or the files cannot be written.
    """
    fleet = engine.fleet
    place_of(name, fleet.folder)
    text = readme(name, router.data, router.training, router.report, fleet)
    if set(router.data.scores.candidates) == set(fleet.pool):
        place = save_fleet(fleet, router.folder, name, text, replace_it)
        resources.forget(place)
        return place
    return save_router(router.folder, name, fleet.folder, text, replace_it)


def _as_code(data: TrainingData, training: DistillConfig, engine: Ensemble) -> None:
    with st.expander("As code and as a command", icon=":material/terminal:"):
        st.code(distill_code(data, training, engine.fleet, OUT), language="python", wrap_lines=True)
        st.code(distill_command(data, training, engine.fleet, OUT), language="bash", wrap_lines=True)
        if not data.is_complete:
            st.caption("The command uses all queries and models of the file; this page uses those chosen above.")
        if not data.key.startswith("file"):
            st.download_button(
                f"Download {plain(data.file)}",
                lambda: as_file(data),
                file_name=data.file,
                mime="application/jsonl",
                icon=":material/download:",
                on_click="ignore",
            )
