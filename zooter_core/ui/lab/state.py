"""The Train page's state, and where its scores come from: the fleet's sample, a run or a score file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from zooter_core.data.runs import Run, find_runs
from zooter_core.data.scores import Scores, read_scores
from zooter_core.errors import ZooterError
from zooter_core.method import labels
from zooter_core.method.labels import LabelConfig
from zooter_core.pipeline.train import SCORE_LABELS
from zooter_core.ui.lab.tasks import Task, draw_end, draw_task
from zooter_core.ui.text import code, plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from zooter_core.ensemble import Ensemble
    from zooter_core.evaluation.report import Report
    from zooter_core.router.kinds import DistillConfig
    from zooter_core.ui.lab.code import TrainingData

USE = 4  # the last step
SOURCES = {
    "sample": ":material/inventory_2: The fleet's sample",
    "run": ":material/folder_open: A run",
    "file": ":material/upload_file: A score file",
}
RUNS = Path("runs")


@dataclass(frozen=True)
class LoadedScores:
    """Scores from one source.

    Attributes:
        key: identifies the source.
        name: the source in words; file: the name of a score file that holds the scores.
        config: the label settings to start with.
        note: about these scores, as Markdown.
    """

    key: str
    name: str
    file: str
    scores: Scores
    config: LabelConfig
    note: str = ""


@dataclass(frozen=True)
class Part:
    """The scores to train on: of `only` these candidates and of `most` queries of the source; None for all of them."""

    loaded: LoadedScores
    scores: Scores
    only: tuple[str, ...] | None = None
    most: int | None = None

    @property
    def key(self) -> str:
        return f"{self.loaded.key} {self.only} {self.most}"


@dataclass(frozen=True)
class DistilledRouter:
    """A router in the session's folder, what it was trained on, and its report."""

    folder: Path
    data: TrainingData
    training: DistillConfig
    report: Report


@dataclass
class Lab:
    """One session's work. Its folder is deleted with the session.

    Attributes:
        step: the open step; reached: the last one that was open.
        part: the scores of step 1; data: those of step 2, with their label settings.
        loaded: key of a source -> the task that reads it.
        uploads: how many files were uploaded; uploaded: the key of the last one.
        configured: the key of the source whose label settings are on the page.
        tagging, labels, cut: caches of one item each.
        distillation: the task that trains a router; routers: how many it has trained.
        saved: the folder of the router that was saved last; problem: why saving failed.
    """

    step: int = 1
    reached: int = 1
    part: Part | None = None
    data: TrainingData | None = None

    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="zooter-lab-", ignore_cleanup_errors=True)
    )
    loaded: dict[str, Task[LoadedScores]] = field(default_factory=dict)
    uploads: int = 0
    uploaded: str | None = None
    configured: str | None = None
    tagging: dict[str, Task[Any]] = field(default_factory=dict)
    labels: dict[Any, labels.Labels] = field(default_factory=dict)
    cut: dict[Any, Scores] = field(default_factory=dict)
    sweep: Task[Any] | None = None
    distillation: Task[Any] | None = None
    routers: int = 0
    saved: Path | None = None
    problem: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder.name)

    @property
    def router(self) -> DistilledRouter | None:
        """The router that was trained last."""
        result: DistilledRouter | None = self.distillation.result if self.distillation else None
        return result

    def use_part(self, part: Part | None) -> None:
        """Train on other scores; later steps start again if they differ."""
        if part is None or self.part is None or part.key != self.part.key:
            self.data, self.reached = None, self.step
        self.part = part


def current() -> Lab:
    """This session's Lab."""
    if "lab" not in st.session_state:
        st.session_state["lab"] = Lab()
    lab: Lab = st.session_state["lab"]
    return lab


def once(cache: dict[Any, Any], key: Any, compute: Callable[[], Any]) -> Any:
    """The value of this key, computed if it is not the one in the cache, which holds one."""
    if key not in cache:
        value = compute()
        cache.clear()
        cache[key] = value
    return cache[key]


def scores_from_source(lab: Lab, engine: Ensemble) -> LoadedScores | None:
    """The scores of the source that the visitor chooses; None until they are read."""
    kind = st.segmented_control(
        "Scores to train on",
        list(SOURCES),
        default="sample",
        required=True,
        format_func=SOURCES.__getitem__,
        key="lab-source",
        persist_state="session",
        help="A score is a reward model's reward, or a benchmark's points.",
    )
    task = {"sample": _sample, "run": _run, "file": _file}[kind](lab, engine)
    if task is None:
        return None
    task.wait(0.5)  # most have ended by then, and the page is drawn once only
    if task.running:
        draw_task(task, "lab-read")
        return None
    draw_end(task, "Reading")
    return task.result


def _sample(lab: Lab, engine: Ensemble) -> Task[LoadedScores] | None:
    name = engine.fleet.name

    def load(task: Task[LoadedScores]) -> LoadedScores:
        if (neighbours := engine.neighbours) is None:
            raise ZooterError(
                "training queries in the router's folder",
                "none",
                "Train the router again with `zooter distill --keep-texts`.",
                "This fleet's router was saved without its training queries.",
            )
        settings = {"beta": 0.3, "tau": 1.0, **engine.router.labels}
        config, scores = LabelConfig(**settings), neighbours.scores()
        total, shipped = len(neighbours.records), len(scores.queries)
        part = f"all {total:,} queries" if shipped == total else f"{shipped:,} of the {total:,} queries"
        note = f"These are {part} that the router of **{plain(name)}** trained on, with each model's reward."
        return LoadedScores(
            f"sample {engine.fleet.folder}", f"the sample of {name}", "sample.jsonl", scores, config, note
        )

    return _reading(lab, f"sample {engine.fleet.folder}", load)


def _run(lab: Lab, engine: Ensemble) -> Task[LoadedScores] | None:
    runs = find_runs(RUNS)
    ready = {str(run.folder): run for run in runs if run.scored}
    unfinished = [run for run in runs if not run.scored]
    if unfinished:
        names = ", ".join(
            f"{code(str(run.folder))} ({plain(', '.join(run.finished)) or 'nothing'} finished)" for run in unfinished
        )
        st.caption(f"Not ready, because the step `score` is not finished: {names}.")
    if not ready:
        st.info(
            f"There is no run with rewards in the folder `{RUNS}`. To make one, use "
            "`zooter run --queries FILE --out runs/mine`: every model answers every query, and the reward model scores "
            "the responses.",
            icon=":material/folder_off:",
        )
        return None
    chosen = st.selectbox(
        "Run",
        list(ready),
        format_func=lambda key: f"{key}: {ready[key].queries:,} queries, {len(ready[key].pool)} models",
        key="lab-run",
        persist_state="session",
    )

    def load(task: Task[LoadedScores]) -> LoadedScores:
        with Run(chosen) as run:
            scores = run.scores()
        return LoadedScores(f"run {chosen}", f"the run {chosen}", "scores.jsonl", scores, LabelConfig())

    return _reading(lab, f"run {chosen}", load)


def _file(lab: Lab, engine: Ensemble) -> Task[LoadedScores] | None:
    upload = st.file_uploader(
        "A score file, up to 200 MB",
        type=["jsonl", "gz"],
        key=f"lab-upload-{lab.uploads}",
        help="JSON lines (.jsonl or .jsonl.gz): one query per line, with a score for each model. It stays on this "
        "machine and is deleted once it is read.",
    )
    if upload is not None:
        read_upload(lab, upload)
        st.rerun()
    if lab.uploaded is None:
        st.caption(
            "One query per line, with the scores of at least two models. `id`, `dataset` and `tags` are optional."
        )
        st.code(
            '{"query": "What is 15% of 240?", "scores": {"small": 0.2, "large": 0.9}, "tags": ["percentage"]}',
            language="json",
            wrap_lines=True,
        )
        return None
    return lab.loaded[lab.uploaded]


def read_upload(lab: Lab, upload: UploadedFile) -> None:
    """Copy an upload into the session's folder, start to read it, and let Streamlit drop its copy."""
    lab.uploads += 1  # changes the uploader's key, which empties it
    name = Path(upload.name).name or "scores.jsonl"
    path = lab.path / f"upload-{lab.uploads}.jsonl{'.gz' if name.endswith('.gz') else ''}"
    with path.open("wb") as file:
        shutil.copyfileobj(upload, file, 1 << 20)
    if lab.uploaded is not None and (previous := lab.loaded.pop(lab.uploaded, None)):
        previous.stop()
    lab.uploaded = f"file {lab.uploads}"
    key = lab.uploaded
    lab.loaded[key] = Task(lambda task: read(task, key, path, name))


def read(task: Task[LoadedScores], key: str, path: Path, name: str) -> LoadedScores:
    """The scores of an uploaded file, which is deleted.

    Raises:
        ZooterError: a line is wrong. The message names its number and the file as its owner named it.
    """
    try:
        scores = read_scores([path], lambda lines: task.report("read", lines))
    except ZooterError as problem:
        facts = problem.failure
        parts = (facts.expected, facts.found, facts.next_step, facts.sentence)
        raise ZooterError(*(part.replace(str(path), name) for part in parts)) from problem
    finally:
        path.unlink(missing_ok=True)
    return LoadedScores(key, f"the file {name}", name, scores, SCORE_LABELS)


def _reading(lab: Lab, key: str, load: Callable[[Task[LoadedScores]], LoadedScores]) -> Task[LoadedScores]:
    if key not in lab.loaded or lab.loaded[key].stopped or lab.loaded[key].problem:
        lab.loaded[key] = Task(load)
    return lab.loaded[key]
