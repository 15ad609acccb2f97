"""The Train page's state: what each step has chosen or made."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from zooter_core.evaluation.report import Report
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.train.code import LoadedScores, TrainingData
from zooter_core.ui.train.tasks import Task

USE = 4  # the last step


@dataclass(frozen=True)
class DistilledRouter:
    """A router in the session's folder, what it was trained on, and its report."""

    folder: Path
    data: TrainingData
    training: DistillConfig
    report: Report


@dataclass
class Session:
    """One session's work. Its folder is deleted with the session.

    Attributes:
        step: the open step; reached: the last one that was open.
        scores: of step 1; data: those of step 2, with tags and label settings.
        loaded: source -> the task that reads it.
        uploads: how many files were uploaded; uploaded: the source of the last one.
        configured: the source whose label settings are on the page.
        tagging: the task that tags the queries, by the key of scores and tagger; one at most.
        distillation: the task that trains a router; routers: how many it has trained.
        saved: the folder of the router that was saved last; problem: why saving failed.
    """

    step: int = 1
    reached: int = 1
    scores: LoadedScores | None = None
    data: TrainingData | None = None

    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="zooter-train-", ignore_cleanup_errors=True)
    )
    loaded: dict[str, Task[LoadedScores]] = field(default_factory=dict)
    uploads: int = 0
    uploaded: str | None = None
    configured: str | None = None
    tagging: dict[str, Task[Any]] = field(default_factory=dict)
    sweep: Task[Any] | None = None
    distillation: Task[DistilledRouter] | None = None
    routers: int = 0
    saved: Path | None = None
    problem: str | None = None

    @property
    def path(self) -> Path:
        return Path(self.folder.name)

    @property
    def router(self) -> DistilledRouter | None:
        """The router that was trained last."""
        return self.distillation.result if self.distillation else None

    def use_scores(self, scores: LoadedScores | None) -> None:
        """Train on these scores; later steps start again if they differ from those before."""
        if scores is None or self.scores is None or scores.key != self.scores.key:
            self.data, self.reached = None, self.step
        self.scores = scores


def current() -> Session:
    if "train" not in st.session_state:
        st.session_state["train"] = Session()
    session: Session = st.session_state["train"]
    return session
