"""Step 3 of the Train page: distill a router, and evaluate it on queries that it has not seen."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st

from zooter_core.data.run_folder import REPORT
from zooter_core.evaluation import verdicts
from zooter_core.evaluation.charts import ROUTER
from zooter_core.evaluation.figures import Evaluation, load_report
from zooter_core.evaluation.report_tables import RMR, table_one
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline import distill
from zooter_core.router.kinds import KINDS, LEARN_LABELS, DistillConfig, settings_of
from zooter_core.ui import charts, tables
from zooter_core.ui.benchmark.titles import titled
from zooter_core.ui.charts import colour
from zooter_core.ui.text import plain, with_commands
from zooter_core.ui.train.labels import embed
from zooter_core.ui.train.steps import Session, Task, TrainedRouter, TrainingData, draw_end, draw_task
from zooter_core.ui.widgets import persistent

HOLDOUT_HELP = "The share of queries to evaluate the router on; it does not train on them."
KIND_HELP = (
    "`auto` compares some of the others by cross-validation and mixes them. `zooter` learns the labels. The rest "
    "learn from the scores."
)
EPOCHS_HELP = "Passes over the queries. With 100 queries or more, a trial finds out when more do not help."
KEEP_HELP = "Chat can then show the most similar training queries, and this page can use them as a sample."


def summary(session: Session) -> str:
    return describe_result(session.router) if session.router else ""


def draw(session: Session, ensemble: Ensemble) -> None:
    assert session.data is not None  # step 2 comes first
    st.markdown(
        "The router learns to predict the label of a query from its text. A part of the queries is held back, to see "
        "how well it chooses on queries that are new to it."
    )
    main = st.container()
    with st.expander("Advanced", icon=":material/tune:"):
        data, training = _draw_settings(session.data)
    with main:
        _draw_run(session, data, training, ensemble)


def _draw_run(session: Session, data: TrainingData, training: DistillConfig, ensemble: Ensemble) -> None:
    task = session.distillation
    running = task is not None and task.running
    label, key = ("Train", "primary-train") if session.router is None else ("Train again", "train-again")
    st.button(
        label, key=key, icon=":material/science:", disabled=running, on_click=start,
        args=(session, data, training, ensemble),
    )  # fmt: skip
    if task is None:
        return
    if running:
        draw_task(task, "train-distill")
        return
    draw_end(task, "The training")
    if task.result is not None:
        draw_figures(task.result)


def _draw_settings(data: TrainingData) -> tuple[TrainingData, DistillConfig]:
    left, middle, right = st.columns(3)
    holdout = left.slider("Held back", 0, 50, 20, 5, "%d%%", **persistent("train-holdout", HOLDOUT_HELP))
    kind = middle.selectbox("Kind of router", list(KINDS), **persistent("train-kind", KIND_HELP))
    epochs = right.slider(
        "Maximum epochs",
        1,
        30,
        DistillConfig.epochs,
        disabled=kind not in LEARN_LABELS,
        **persistent("train-epochs", EPOCHS_HELP),
    )
    keep = st.checkbox("Save the queries' texts with the router", True, **persistent("train-keep", KEEP_HELP))
    training = settings_of(kind, {"epochs": epochs} if kind in LEARN_LABELS else None)
    data = replace(data, config=replace(data.config, holdout=holdout / 100))
    return data, replace(training, keep_texts=keep)


def start(session: Session, data: TrainingData, training: DistillConfig, ensemble: Ensemble) -> None:
    """Start a distillation in place of the router before, which stays where it was saved."""
    folder = session.path / "router"
    shutil.rmtree(folder, ignore_errors=True)
    st.session_state.pop("train-name", None)  # another router gets another name
    session.saved = session.problem = None
    session.distillation = Task(
        partial(distill_in_task, data=data, training=training, ensemble=ensemble, folder=folder)
    )


def distill_in_task(
    task: Task[TrainedRouter], data: TrainingData, training: DistillConfig, ensemble: Ensemble, folder: Path
) -> TrainedRouter:
    """Distill a router into the folder; if that fails, the folder is removed."""
    vectors = embed(task, [query.text for query in data.scores.queries], ensemble)
    try:
        distill(
            data.scores,
            folder,
            labels=data.config,
            training=training,
            encoder=ensemble.encoders(ensemble.fleet.encoder),
            tags=data.tags,
            vectors=vectors,
            progress=task.report,
        )
        report = load_report(folder / REPORT)
        task.report(task.step, task.done, task.total)  # raises if the visitor stopped it during the last step
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return TrainedRouter(folder, data, training, report)


def describe_result(router: TrainedRouter) -> str:
    """How often the router and the best single model are the best choice, as Markdown."""
    held_back = router.report.held_back
    shares = held_back.best_choice if held_back else {}
    router_share, single_share = shares.get("router"), shares.get("best_single")
    if held_back is None or router_share is None or single_share is None:
        return "has no held-back queries to be judged on"
    single = plain(held_back.best_single)
    best, alone = router_share.share, single_share.share
    return f"chooses the best model in **{best:.0%}** of cases, {single} alone in **{alone:.0%}**"


def draw_figures(router: TrainedRouter) -> None:
    """How well the router chooses on queries that are new to it: in words, as bars, then as regret."""
    data, held_back, verdict = router.data, router.report.held_back, verdicts.of_report(router.report)
    if held_back:
        st.markdown(f"#### Your router {describe_result(router)}.")
    if verdict:
        st.markdown(" ".join(map(with_commands, verdicts.sentences(titled(verdict)))))
    else:
        st.info("No query was held back, so the router cannot be evaluated.", icon=":material/info:")
    if held_back:
        _draw_shares(held_back, data.scores.candidates)
        with st.expander("Regret and other figures", icon=":material/table:"):
            _draw_methods(held_back)
    trained = len(data.tags) - (held_back.n if held_back else 0)
    st.caption(
        f"Trained with beta {data.config.beta:g} and tau {data.config.tau:g} on {trained:,} of the {len(data.tags):,} "
        f"queries in {plain(data.loaded.name)}."
    )


def _draw_shares(held_back: Evaluation, pool: Sequence[str]) -> None:
    single = held_back.best_single
    names = {"router": ("your router", ROUTER), "best_single": (f"{single} alone", colour(pool, single))}
    rows, intervals = [], []
    for key, row in held_back.best_choice.items():
        if row is None:
            continue
        name, fill = names[key]
        (low, high), share = row.interval, row.share
        rows.append((name, fill, share))
        intervals.append(f"{plain(name)} {low:.0%} to {high:.0%}")
    charts.draw_bars(rows)
    st.caption(
        f"Of {held_back.n:,} held-back queries, which the router did not train on. 95% CI: {', '.join(intervals)}."
    )


def _draw_methods(held_back: Evaluation) -> None:
    single = plain(held_back.best_single)
    keys = {"regret": "your router", "regret_best_single": f"{single} alone", "regret_random": "a random choice"}
    rows = [
        [name, f"{held_back.mean[key]:z.3f}", verdicts.ends(held_back.interval[key], ".3f") or "–"]
        for key, name in keys.items()
    ]
    tables.draw("train-regret", ["", "regret", "95% interval"], rows)
    st.caption(
        "Regret is the mean score lost against the best model of each query; 0 is perfect. The router's probabilities "
        f"differ from how often it is right by {held_back.calibration.ece:.0%} on average."
    )
    methods = [method for method in table_one(held_back) if method.name != RMR]  # scores make it the oracle
    forms = {"average": "z.3f", "mtr_one": ".2f", "uplift_one": ".0%"}.items()
    rows = [
        [plain(method.name), *(f"{method.values[key]:{form}}" if key in method.values else "–" for key, form in forms)]
        for method in methods
    ]
    tables.draw("train-methods", ["", "score", "MTR", "%Uplift"], rows)
    st.caption(
        "Score: the mean with equal weight for every data set. Oracle: the best model in hindsight. Among the others, "
        "MTR is the mean task rank, the rank over data sets, and %Uplift the share of data sets where one ranks first."
    )
