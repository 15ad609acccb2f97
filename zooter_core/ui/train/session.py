"""A session of the Train page: what it reads, tags and trains in the background."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import streamlit as st

from zooter_core.data.scores import Scores
from zooter_core.evaluation.figures import Report
from zooter_core.method.labels import LabelConfig
from zooter_core.router.neighbours import Neighbours
from zooter_core.ui.background import BackgroundWork, draw_live, stop_button
from zooter_core.ui.widgets import show_error

Result = TypeVar("Result")
Tags = Sequence[Sequence[str]]  # of each query
STEPS = {
    "read": "Reading lines",
    "embed": "Computing embeddings",
    "tag": "Tagging queries",
    "compare": "Comparing kinds of router",
    "distill": "Training, epoch by epoch",
}


class Task(BackgroundWork, Generic[Result]):
    """A function that runs in a thread.

    Args:
        function: should call `report` often, which raises once the task is stopped.
        about: identifies what the function works on.

    Attributes:
        result: what the function returned; None until then.
    """

    def __init__(self, function: Callable[[Task[Result]], Result], about: str = "") -> None:
        super().__init__()
        self.about = about
        self.result: Result | None = None
        self._function = function
        self.start()

    @property
    def progress_text(self) -> str:
        name = STEPS.get(self.step, "Starting")
        if self.total:
            return f"{name}: {self.done:,} of {self.total:,}"
        return f"{name}: {self.done:,}" if self.done else name

    def _execute(self) -> None:
        self.result = self._function(self)


def draw_until_result(task: Task[Result], key: str, name: str, wait: float = 0.5) -> Result | None:
    """A task's result. While it runs, draw its progress; if it failed, draw why.

    Args:
        name: the work's name, at the start of a sentence.
        wait: seconds in which most tasks end, so that the page is drawn only once.
    """

    def draw() -> None:
        st.progress(task.share, text=f"{task.progress_text} ...")
        stop_button(task, f"{key}-stop")

    task.wait(wait)
    if task.running:
        draw_live(task, draw)
    elif task.problem:
        show_error(task.problem)
    elif task.stopped:
        st.info(f"{name} was stopped. No partial results are kept.", icon=":material/stop_circle:")
    return task.result


@dataclass(frozen=True)
class LoadedScores:
    """The scores of one source, or a part of them."""

    source: str  # identifies the source
    name: str  # describes the source
    scores: Scores
    config: LabelConfig  # the label settings to start with
    note: str = ""  # a note on the source, as Markdown

    @property
    def key(self) -> str:
        """Identifies the source and the part."""
        return f"{self.source} {self.scores.candidates} {len(self.scores.queries)}"


@dataclass(frozen=True)
class TrainedRouter:
    folder: Path
    loaded: LoadedScores
    labels: LabelConfig
    report: Report


@dataclass
class Session:
    """One session's work. Its folder is deleted with the session."""

    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="zooter-train-", ignore_cleanup_errors=True)
    )
    # The sample from a fleet's router, with the training queries from which it was drawn.
    sample: tuple[Neighbours, LoadedScores] | None = None
    uploads: int = 0  # how often files were uploaded
    reading: Task[LoadedScores] | None = None  # the task that reads the latest uploads
    configured: str | None = None  # the source whose default label settings were set
    tagging: Task[Tags] | None = None  # the task that tags the queries
    distillation: Task[TrainedRouter] | None = None  # the task that trains a router
    saved: Path | None = None  # the router's folder, once it is saved

    @property
    def path(self) -> Path:
        return Path(self.folder.name)

    @property
    def router(self) -> TrainedRouter | None:
        """The latest trained router."""
        return self.distillation.result if self.distillation else None


def current() -> Session:
    if "train" not in st.session_state:
        st.session_state["train"] = Session()
    return st.session_state["train"]
