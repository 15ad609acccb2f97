"""The Lab's third part: distill a router, read how good it is, save it as a fleet."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import streamlit as st

from zooter_core.ensemble import Ensemble
from zooter_core.errors import ZooterError
from zooter_core.evaluation.report import REPORT, HeldBack, Report, load_report
from zooter_core.pipeline import distill
from zooter_core.pipeline.new_fleet import place_of, save_fleet, save_router
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui import problems, resources
from zooter_core.ui.lab.code import Subject, distill_code, distill_command, readme
from zooter_core.ui.lab.settings import as_file, embedded
from zooter_core.ui.lab.state import Lab
from zooter_core.ui.lab.tasks import Task, ended, heavy, logged, offer_stop
from zooter_core.ui.text import code, plain

OUT = "my-router"  # the folder in the code and the command


@dataclass(frozen=True)
class Made:
    """A router in the session's folder, what it was made of, and its figures."""

    folder: Path
    subject: Subject
    training: DistillConfig
    report: Report


def draw(lab: Lab, subject: Subject, engine: Ensemble) -> None:
    """Choose, start, watch, read the figures, save."""
    st.markdown(
        "The router learns to predict the enhanced label of a query from its words alone. A share of the queries is "
        "held back from it, to see how well it chooses where it has not learned."
    )
    subject, training = _settings(subject)
    task: Task[Made] | None = lab.made
    running = task is not None and task.running
    if st.button("Distill a router", icon=":material/science:", disabled=running):
        start(lab, subject, training, engine)
        st.rerun()
    if task is not None:
        if running:
            _live(task)
        else:
            ended(task, "The distillation")
            if task.result is not None:
                figures(task.result)
                _save(lab, task.result, engine)
            logged(task)
    _as_code(subject, training, engine)


def _settings(subject: Subject) -> tuple[Subject, DistillConfig]:
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
        help="The share of the queries that the router does not learn from; it is judged on them.",
    )
    epochs = right.slider(
        "Epochs, at most",
        1,
        30,
        DistillConfig.epochs,
        key="lab-epochs",
        persist_state="session",
        help="How often it goes through all queries. From 100 queries on a trial finds out when more does not help.",
    )
    keep = st.checkbox(
        "Keep the queries' texts with the router",
        value=True,
        key="lab-keep",
        persist_state="session",
        help="Then Chat can show the queries most like a new one, and this page can take them as a sample.",
    )
    config = replace(subject.config, holdout=holdout / 100)
    return replace(subject, config=config), DistillConfig(epochs=epochs, keep_texts=keep)


def start(lab: Lab, subject: Subject, training: DistillConfig, engine: Ensemble) -> None:
    """Begin a distillation; the router that was made before goes, unless it was saved."""
    if lab.made is not None and lab.made.result is not None:
        shutil.rmtree(lab.made.result.folder, ignore_errors=True)
    lab.routers += 1
    lab.saved = None
    folder = lab.path / f"router-{lab.routers}"
    lab.made = Task(lambda task: work(task, subject, training, engine, folder), heavy())


def work(task: Task[Made], subject: Subject, training: DistillConfig, engine: Ensemble, folder: Path) -> Made:
    """A router in the folder, whole or not at all."""
    task.say(f"{len(subject.tags):,} queries of {subject.name}, {len(subject.scores.candidates)} models")
    vectors = embedded(task, [query.text for query in subject.scores.queries], engine)
    try:
        distill(
            subject.scores,
            folder,
            labels=subject.config,
            training=training,
            encoder=engine.encoders(engine.fleet.encoder),
            tags=subject.tags,
            vectors=vectors,
            progress=task.progress,
        )
        report = load_report(folder / REPORT)
        task.progress(task.step, task.done, task.of)  # a stop in the last moment is a stop too
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    losses = report.losses
    task.say(
        f"Divergence from the labels (KL): {losses[0]:.3f} nats in the first epoch, {losses[-1]:.3f} in the last of "
        f"{len(losses)}"
    )
    return Made(folder, subject, training, report)


@st.fragment(run_every=0.5)
def _live(task: Task[Made]) -> None:
    if not task.running:
        st.rerun()
    offer_stop(task, "lab-distill")
    logged(task)


def figures(made: Made) -> None:
    """How well the router chooses on the queries that were held back from it."""
    config = made.subject.config
    told = f"beta {config.beta:g}, tau {config.tau:g}, {len(made.subject.tags):,} queries of {plain(made.subject.name)}"
    st.subheader("The router", anchor=False)
    st.caption(f"Made with {told}.")
    found = made.report.held_back
    if found is None:
        st.info("No query was held back, so there is nothing to judge the router by.", icon=":material/info:")
        return
    mean, spread = found["mean"], found["interval"]["regret"]
    single = found["average"]["best_single"]["candidate"]
    columns = st.columns(3)
    missed = "How much more the best model of each held-back query would have earned, on average; 0 is perfect."
    rows = (
        ("Regret of the router", mean["regret"], missed),
        (
            f"Regret of {plain(single)} alone",
            mean["regret_best_single"],
            "The same for always asking the best one on average.",
        ),
        ("Regret of chance", mean["regret_random"], "The same for a model drawn at random."),
    )
    for column, (name, value, why) in zip(columns, rows, strict=True):
        column.metric(name, f"{value:.3f}", help=why, border=True)
    st.markdown(verdict(found, single))
    st.caption(
        f"On {found['n']:,} held-back queries. The router's regret lies in {spread[0]:.3f} to {spread[1]:.3f} (95%). "
        f"Its probabilities are {found['calibration']['ece']:.0%} off how often it was right, on average."
    )
    _methods(found)


def verdict(found: HeldBack, single: str) -> str:
    """Whether the router is better than one model for everything, as Markdown."""
    low, high = found["interval"]["chosen_minus_best_single"]
    if low > 0:
        return f"The router beats **{plain(single)}** alone, beyond what chance explains."
    if high < 0:
        return (
            f"The router is worse than **{plain(single)}** alone: these scores do not teach it when to choose another."
        )
    return f"Whether the router beats **{plain(single)}** alone cannot be told: the difference is within chance."


def _methods(found: HeldBack) -> None:
    datasets = found["datasets"].values()
    pool = list(found["average"]["best_single"] and next(iter(datasets))["candidates"])
    score = {"router": found["average"]["chosen"], "oracle": found["average"]["oracle"]}
    score |= {name: sum(row["candidates"][name] for row in datasets) / len(datasets) for name in pool}
    names = ["router", *pool, "oracle"]
    number = st.column_config.NumberColumn
    st.dataframe(
        {
            "who answers": names,
            "score": [score[name] for name in names],
            "MTR": [found["mtr"][name] for name in names],
            "%Uplift": [found["uplift"][name] for name in names],
        },
        hide_index=True,
        column_config={
            "who answers": st.column_config.TextColumn(
                pinned=True, help="oracle: the best model of each query, which nobody knows beforehand"
            ),
            "score": number(format="%.3f", help="Mean score, every data set counting the same"),
            "MTR": number(format="%.2f", help="Mean task rank: the place among all of these, averaged over data sets"),
            "%Uplift": number(format="percent", help="The share of data sets where it comes first"),
        },
    )


def _save(lab: Lab, made: Made, engine: Ensemble) -> None:
    """Save the router: as a fleet where it is for the fleet's models, else alone."""
    fleet, pool = engine.fleet, made.subject.scores.candidates
    fits = set(pool) == set(fleet.pool)
    st.subheader("Keep it", anchor=False)
    if fits:
        st.caption(f"As a fleet: the models of {plain(fleet.name)} with this router. Chat can then be told to use it.")
    else:
        st.caption(
            f"This router chooses among {plain(', '.join(pool[:12]))}; the fleet {plain(fleet.name)} has "
            f"{plain(', '.join(fleet.pool))}. So it can be saved as a router alone: a fleet with its models can name "
            "it in its `fleet.toml`."
        )
    with st.form("lab-save", border=False):
        name = st.text_input("Name", "my-fleet" if fits else OUT, max_chars=64, help="Letters, digits and dashes.")
        replace_it = st.checkbox(
            "Replace what was saved here under this name", help="Only what this page made can be replaced."
        )
        asked = st.form_submit_button("Save as a fleet" if fits else "Save the router", icon=":material/save:")
    if asked:
        try:
            lab.saved = save(made, name.strip(), engine, replace_it)
            lab.read.pop(f"sample {lab.saved}", None)  # of a fleet that was replaced
        except ZooterError as problem:
            problems.tell(problem)
            return
    if lab.saved is not None:
        st.success(f"Saved in {code(f'{lab.saved.parent.name}/{lab.saved.name}')}.", icon=":material/check_circle:")
        if fits and st.button(
            "Pick it in Chat", icon=":material/chat:", key="lab-pick", on_click=resources.pick_fleet, args=(lab.saved,)
        ):
            st.switch_page("pages/chat.py")


def save(made: Made, name: str, engine: Ensemble, replace_it: bool) -> Path:
    """Write the folder beside the fleet's.

    Raises:
        ZooterError: the name is wrong or taken, or the disk took it not.
    """
    fleet = engine.fleet
    place_of(name, fleet.folder)
    text = readme(name, made.subject, made.training, made.report, fleet)
    if set(made.subject.scores.candidates) == set(fleet.pool):
        place = save_fleet(fleet, made.folder, name, text, replace_it)
        resources.forget(place)
        return place
    return save_router(made.folder, name, fleet.folder, text, replace_it)


def _as_code(subject: Subject, training: DistillConfig, engine: Ensemble) -> None:
    with st.expander("The same as code and as a command", icon=":material/terminal:"):
        st.code(distill_code(subject, training, engine.fleet, OUT), language="python", wrap_lines=True)
        st.code(distill_command(subject, training, engine.fleet, OUT), language="bash", wrap_lines=True)
        if not subject.whole:
            st.caption("The command takes every query and model of the file; this page took those chosen above.")
        if not subject.key.startswith("file"):
            st.download_button(
                f"Download {plain(subject.file)}",
                lambda: as_file(subject),
                file_name=subject.file,
                mime="application/jsonl",
                icon=":material/download:",
                on_click="ignore",
            )
