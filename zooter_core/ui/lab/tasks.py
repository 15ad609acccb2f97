"""Work of the Lab that outlives a page's run: a thread does it, a page reads how far it is whenever it is drawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from zooter_core.errors import ZooterError
from zooter_core.ui import problems

Result = TypeVar("Result")
GRACE = 3.5  # seconds that work goes on after its tab was closed
NAMES = {
    "read": "Reading lines",
    "embed": "Turning queries into vectors",
    "tag": "Tagging queries",
    "sweep": "Distilling and judging routers",
    "distill": "Training, epoch by epoch",
}


class StoppedError(Exception):
    """Work was stopped; raised inside of it, so that it leaves nothing half made."""


class Task(Generic[Result]):
    """One piece of work in a thread.

    Args:
        work: does it; it must call `progress` often, which is where a stop ends it.
        turn: held while it works, so that heavy work of several visitors goes one after the other.

    Attributes:
        step, done, of: what it is at; `of` is 0 where nobody knows how much there is.
        log: lines with the seconds since the start.
        partial: what it has found so far, where it tells.
        result: what it returned, once it has ended well.
        problem: why it failed.
    """

    def __init__(self, work: Callable[[Task[Result]], Result], turn: threading.Lock | None = None) -> None:
        self.step, self.done, self.of = "", 0, 0
        self.log: list[str] = []
        self.partial: Any = None
        self.result: Result | None = None
        self.problem: str | None = None
        self.stopped = False
        self.waiting = turn is not None
        self._work, self._turn, self._seen = work, turn, _seen_by()
        self._stop, self._began, self._alone = threading.Event(), time.monotonic(), 0.0
        self._thread = threading.Thread(target=self._run, name="lab", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def words(self) -> str:
        """What it is at, in words."""
        if self.waiting:
            return "Waiting for other work on this machine to end"
        name = NAMES.get(self.step, "Starting")
        return f"{name}: {self.done:,} of {self.of:,}" if self.of else f"{name}: {self.done:,}" if self.done else name

    def stop(self) -> None:
        """End at the next call of `progress`. A short wait lets a page show the end at once."""
        self._stop.set()
        self.wait(0.25)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end."""
        self._thread.join(seconds)

    def say(self, line: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{time.monotonic() - self._began:6.1f} s  {line}")

    def progress(self, step: str, done: int, of: int = 0) -> None:
        """Take note of how far the work is.

        Raises:
            StoppedError: it is to end.
        """
        self._check()
        if step != self.step or (step == "distill" and done != self.done):
            self.say(NAMES.get(step, step) + (f" ({done} of {of:,})" if step == "distill" else f" ({of:,})" * bool(of)))
        self.step, self.done, self.of = step, done, of

    def _check(self) -> None:
        now = time.monotonic()
        if self._seen():
            self._alone = 0.0
        else:
            self._alone = self._alone or now
        if self._stop.is_set() or (self._alone and now - self._alone > GRACE):
            raise StoppedError

    def _run(self) -> None:
        try:
            self._in_turn()
        except StoppedError:
            self.stopped = True
            self.say("Stopped. Nothing half made is kept.")
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The work failed: {type(problem).__name__}: {problem}"
        if self.problem:
            self.say("Failed.")

    def _in_turn(self) -> None:
        while self._turn is not None and not self._turn.acquire(timeout=0.1):
            self._check()
        self.waiting = False
        try:
            self._check()
            self.result = self._work(self)
        finally:
            if self._turn is not None:
                self._turn.release()
        self.say("Done.")


@st.cache_resource(show_spinner=False)
def heavy() -> threading.Lock:
    """The one turn of this server for work that needs all of the machine."""
    return threading.Lock()


def _seen_by() -> Callable[[], bool]:
    """Whether the browser tab that this is called for is still there; it counts as there where nobody can tell."""
    context = get_script_run_ctx()
    if context is None or not exists():
        return lambda: True
    sessions, session = get_instance(), context.session_id
    return lambda: sessions.is_active_session(session)


@st.fragment(run_every=0.5)
def live(task: Task[Any], key: str) -> None:
    """How far a task is, with its log and a button to stop it; when it has ended, the whole page is drawn once more."""
    if not task.running:
        st.rerun()
    offer_stop(task, key)
    logged(task)


def offer_stop(task: Task[Any], key: str) -> None:
    """How far a task is, as a bar, and a button to stop it."""
    share = min(1.0, task.done / task.of) if task.of else 0.0
    st.progress(share, text=f"{task.words} ...")
    st.button(
        "Stop", icon=":material/stop_circle:", key=f"{key}-stop", on_click=task.stop, disabled=task.stopping
    )  # fmt: skip


def ended(task: Task[Any], what: str) -> None:
    """How a task ended, where it did not end well."""
    if task.problem:
        problems.tell(task.problem)
    elif task.stopped:
        st.info(f"{what} was stopped; nothing half made is kept.", icon=":material/stop_circle:")


def logged(task: Task[Any]) -> None:
    """The log."""
    with st.expander("Log", icon=":material/notes:"):
        st.code("\n".join(task.log) or "...", language=None)
