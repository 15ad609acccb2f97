"""The Train page's steps: their frame, and what each of them has chosen or made."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from zooter_core.evaluation.figures import Report
from zooter_core.router.kinds import DistillConfig
from zooter_core.ui.train.code import LoadedScores, TrainingData
from zooter_core.ui.train.tasks import Task


def head(session: Session, number: int, name: str, summary: str) -> bool:
    """A step's line, with its result once it is done; True if the step is open."""
    is_open = number == session.step or (number == USE and session.step == USE - 1 and session.router is not None)
    title = f"{number} · {name}"
    if is_open:
        st.subheader(title, anchor=False)
        return True
    if number > session.reached:
        st.markdown(f":gray[**{title}**]")
        return False
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False, key=f"done-{number}"):
        st.markdown(f":material/check_circle: **{title}** {summary}", width="stretch")
        st.button("Change", key=f"train-step-{number}", type="tertiary", on_click=go_to, args=(session, number))
    return False


def go_to(session: Session, number: int) -> None:
    session.step, session.reached = number, max(session.reached, number)


def next_button(session: Session, number: int, label: str) -> None:
    primary(label, f"train-next-{number}", icon=":material/arrow_forward:", on_click=go_to, args=(session, number))


def command(text: str, loaded: LoadedScores) -> None:
    st.code(text, language="bash", wrap_lines=True)
    if not loaded.is_complete:
        st.caption("The command uses all queries and models of the file; this page uses those chosen in step 1.")


def primary(label: str, key: str, **more: Any) -> bool:
    """The one button of a step that a visitor needs. The style sheet colours it: Streamlit's own is illegible here."""
    with st.container(key=f"primary-{key}"):
        return st.button(label, key=key, **more)


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
