"""The Lab's state and its sources: the sample that ships, a run, a score file."""

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
from zooter_core.ui.lab.tasks import Task, ended, live
from zooter_core.ui.text import code, plain

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from zooter_core.ensemble import Ensemble

SOURCES = {
    "sample": ":material/inventory_2: The sample that ships",
    "run": ":material/folder_open: A run",
    "file": ":material/upload_file: A score file",
}
RUNS = Path("runs")


@dataclass(frozen=True)
class Material:
    """Scores as they were read.

    Attributes:
        key: tells them from others.
        name: where they come from, in words; file: the name of a score file that holds them.
        config: the label settings to begin with.
        note: what there is to know about these scores, as Markdown.
    """

    key: str
    name: str
    file: str
    scores: Scores
    config: LabelConfig
    note: str = ""


@dataclass
class Lab:
    """What this session has read and made. Its folder goes when the session does."""

    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="zooter-lab-", ignore_cleanup_errors=True)
    )
    read: dict[str, Task[Material]] = field(default_factory=dict)
    uploads: int = 0
    uploaded: str | None = None  # the key of the file that was taken in last
    begun: str | None = None  # the material whose label settings were offered
    tagging: dict[str, Task[Any]] = field(default_factory=dict)  # one at most
    steps: dict[Any, labels.Labels] = field(default_factory=dict)  # one at most
    cut: dict[Any, Scores] = field(default_factory=dict)  # one at most
    sweep: Task[Any] | None = None
    made: Task[Any] | None = None
    routers: int = 0
    saved: Path | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder.name)


def current() -> Lab:
    """This session's Lab."""
    if "lab" not in st.session_state:
        st.session_state["lab"] = Lab()
    found: Lab = st.session_state["lab"]
    return found


def once(memory: dict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """What was made for this key; only the last is remembered."""
    if key not in memory:
        made = make()
        memory.clear()
        memory[key] = made
    return memory[key]


def source(lab: Lab, engine: Ensemble) -> Material | None:
    """Let a visitor choose where the scores come from; None until there are any."""
    kind = st.segmented_control(
        "Scores to learn from",
        list(SOURCES),
        default="sample",
        required=True,
        format_func=SOURCES.__getitem__,
        key="lab-source",
        persist_state="session",
        help="A score says how good one model's response to one query was: the reward of a reward model, or the points "
        "of a benchmark. The router learns from them which model to choose.",
    )
    task = {"sample": _sample, "run": _run, "file": _file}[kind](lab, engine)
    if task is None:
        return None
    task.wait(0.5)  # most are read by then, and the page need not be drawn twice
    if task.running:
        live(task, "lab-read")
        return None
    ended(task, "Reading")
    return task.result


def _sample(lab: Lab, engine: Ensemble) -> Task[Material] | None:
    name = engine.fleet.name

    def work(task: Task[Material]) -> Material:
        if (kept := engine.neighbours) is None:
            raise ZooterError(
                "training queries in the router's folder", "none", "Make it again: `zooter distill --keep-texts`."
            )
        made = {"beta": 0.3, "tau": 1.0, **engine.router.head.config.labels}
        config, scores = LabelConfig(**made), kept.scores()
        all_of, shipped = len(kept.records), len(scores.queries)
        these = f"these are the {shipped:,} of them whose texts ship with it" if shipped < all_of else "these are they"
        note = f"The router of **{plain(name)}** learned from {all_of:,} queries; {these}, with what each model earned."
        return Material(f"sample {engine.fleet.folder}", f"the sample of {name}", "sample.jsonl", scores, config, note)

    return _reading(lab, f"sample {engine.fleet.folder}", work)


def _run(lab: Lab, engine: Ensemble) -> Task[Material] | None:
    found = find_runs(RUNS)
    ready = {str(run.folder): run for run in found if run.scored}
    waiting = [run for run in found if not run.scored]
    if waiting:
        told = ", ".join(
            f"{code(str(run.folder))} ({plain(', '.join(run.finished)) or 'nothing'} finished)" for run in waiting
        )
        st.caption(f"Not far enough yet, as their step `score` is not finished: {told}.")
    if not ready:
        st.info(
            f"There is no run with rewards in the folder `{RUNS}`. `zooter run --queries FILE --out runs/mine` makes "
            "one: every model answers every query, and the reward model scores the responses.",
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

    def work(task: Task[Material]) -> Material:
        with Run(chosen) as run:
            scores = run.scores()
        return Material(f"run {chosen}", f"the run {chosen}", "scores.jsonl", scores, LabelConfig())

    return _reading(lab, f"run {chosen}", work)


def _file(lab: Lab, engine: Ensemble) -> Task[Material] | None:
    upload = st.file_uploader(
        "A score file, up to 200 MB",
        type=["jsonl", "gz"],
        key=f"lab-upload-{lab.uploads}",
        help="JSON lines (.jsonl, or .jsonl.gz): one query a line, with a score of each model. Your file stays on this "
        "machine and is deleted once it is read.",
    )
    if upload is not None:
        take_in(lab, upload)
        st.rerun()
    if lab.uploaded is None:
        st.caption("One query a line, with the same models in every line. `id`, `dataset` and `tags` may be left out.")
        st.code(
            '{"query": "What is 15% of 240?", "scores": {"small": 0.2, "large": 0.9}, "tags": ["percentage"]}',
            language="json",
            wrap_lines=True,
        )
        return None
    return lab.read[lab.uploaded]


def take_in(lab: Lab, upload: UploadedFile) -> None:
    """Put an upload into the session's folder, start to read it, and let Streamlit forget its own copy."""
    lab.uploads += 1  # a new key: the uploader is empty again, and what it held is dropped
    name = Path(upload.name).name or "scores.jsonl"
    path = lab.path / f"upload-{lab.uploads}.jsonl{'.gz' if name.endswith('.gz') else ''}"
    with path.open("wb") as file:
        shutil.copyfileobj(upload, file, 1 << 20)
    if lab.uploaded is not None and (old := lab.read.pop(lab.uploaded, None)):
        old.stop()
    lab.uploaded = f"file {lab.uploads}"
    key = lab.uploaded
    lab.read[key] = Task(lambda task: read(task, key, path, name))


def read(task: Task[Material], key: str, path: Path, name: str) -> Material:
    """The scores of a file, line by line; the file goes.

    Raises:
        ZooterError: a line is wrong; it is named by its number and the name that its owner gave the file.
    """
    try:
        scores = read_scores([path], lambda lines: task.progress("read", lines))
    except ZooterError as problem:
        facts = problem.failure
        parts = (facts.expected, facts.found, facts.next_step, facts.sentence)
        raise ZooterError(*(part.replace(str(path), name) for part in parts)) from problem
    finally:
        path.unlink(missing_ok=True)
    return Material(key, f"the file {name}", name, scores, SCORE_LABELS)


def _reading(lab: Lab, key: str, work: Callable[[Task[Material]], Material]) -> Task[Material]:
    if key not in lab.read or lab.read[key].stopped or lab.read[key].problem:
        lab.read[key] = Task(work)
    return lab.read[key]
