"""Work of the Train page in the background, and how a page shows its progress, its log and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import streamlit as st

from zooter_core.ui.background import BackgroundWork, StoppedError, draw_live, stop_button
from zooter_core.ui.widgets import show_error

Result = TypeVar("Result")
STEPS = {
    "read": "Reading lines",
    "embed": "Computing embeddings",
    "tag": "Tagging queries",
    "sweep": "Training and evaluating routers",
    "distill": "Training, epoch by epoch",
}


class Task(BackgroundWork, Generic[Result]):
    """One piece of work in a thread.

    Args:
        function: does it. It calls `report` often, which is where a stop ends it.
        turn: held while it works, so that heavy work of several visitors runs one after the other.

    Attributes:
        step, done, total: the current step; `total` is 0 where it is unknown.
        log: lines with the seconds since the start.
        partial: preliminary results, if the function sets them.
        result: what the function returned; None until then.
        waiting: whether it waits for its turn.
    """

    subject = "work"

    def __init__(self, function: Callable[[Task[Result]], Result], turn: threading.Lock | None = None) -> None:
        super().__init__()
        self.step, self.done, self.total = "", 0, 0
        self.log: list[str] = []
        self.partial: Any = None
        self.result: Result | None = None
        self.waiting = turn is not None
        self._function, self._turn, self._started = function, turn, time.monotonic()
        self.start()

    @property
    def progress_text(self) -> str:
        if self.waiting:
            return "Waiting for other work on this machine"
        name = STEPS.get(self.step, "Starting")
        if self.total:
            return f"{name}: {self.done:,} of {self.total:,}"
        return f"{name}: {self.done:,}" if self.done else name

    def add_to_log(self, line: str) -> None:
        self.log.append(f"{time.monotonic() - self._started:6.1f} s  {line}")

    def report(self, step: str, done: int, total: int = 0) -> None:
        """Note the progress.

        Raises:
            StoppedError: the task is to stop.
        """
        self._check()
        if step == "distill" and (step, done) != (self.step, self.done):
            self.add_to_log(f"{STEPS[step]} ({done} of {total:,})")
        elif step != self.step:
            self.add_to_log(STEPS.get(step, step) + (f" ({total:,})" if total else ""))
        self.step, self.done, self.total = step, done, total

    def _check(self) -> None:
        if self.stopping:
            raise StoppedError

    def _execute(self) -> None:
        while self._turn is not None and not self._turn.acquire(timeout=0.1):
            self._check()
        self.waiting = False
        try:
            self._check()
            self.result = self._function(self)
        finally:
            if self._turn is not None:
                self._turn.release()
        self.add_to_log("Done.")

    def _finish(self) -> None:
        if self.stopped:
            self.add_to_log("Stopped. No partial results are kept.")
        elif self.problem:
            self.add_to_log("Failed.")


@st.cache_resource(show_spinner=False)
def heavy_work() -> threading.Lock:
    """Held by the one task of this server that uses the whole machine."""
    return threading.Lock()


def draw_task(task: Task[Any], key: str) -> None:
    """A running task's progress and log, drawn until it ends."""

    def draw() -> None:
        draw_progress(task, key)
        draw_log(task)

    draw_live(task, draw)


def draw_progress(task: Task[Any], key: str) -> None:
    """A progress bar and a button that stops the task."""
    share = min(1.0, task.done / task.total) if task.total else 0.0
    st.progress(share, text=f"{task.progress_text} ...")
    stop_button(task, f"{key}-stop")


def draw_end(task: Task[Any], name: str) -> None:
    """Why a task that has ended has no result; nothing if it has one."""
    if task.problem:
        show_error(task.problem)
    elif task.stopped:
        st.info(f"{name} was stopped. No partial results are kept.", icon=":material/stop_circle:")


def draw_log(task: Task[Any]) -> None:
    with st.expander("Log", icon=":material/notes:"):
        st.code("\n".join(task.log) or "...", language=None)
