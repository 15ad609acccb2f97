"""Work in background threads, which continues after a page's run. Pages read its state whenever they are drawn.

Work is stopped when all browser tabs that show it are closed, so that it does not keep the machine busy. A second
thread checks which tabs are open. Streamlit's callback for the end of a tab's connection (`on_release` of a session's
cache) is not enough: Streamlit does not call it for a tab that has reconnected and not run again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from zooter_core.base.errors import ZooterError

CHECK_EVERY = 0.5  # seconds between two checks for open tabs
LOOKS = 8  # consecutive checks without an open tab, before work is stopped; a reload takes less time
STOP_WAIT = 0.25  # seconds; most work ends within this time, so that the page can show the end immediately
EVERY = 0.3  # seconds between two drawings of running work


class StoppedError(Exception):
    """The work was stopped. Raised inside the work, so that it cleans up on its way out."""


class BackgroundWork(ABC):
    """Work in a thread, which can be stopped.

    A subclass does the work in `_execute`, which should end soon after `_stop` is set, by returning or by raising
    StoppedError.

    Attributes:
        subject: the name of the work in error messages.
        step, done, total: the progress, as passed to `report`; `total` is 0 if it is unknown.
        problem: why the work failed; None while it runs and after it succeeded.
        stopped: whether the work ended with a StoppedError.
        sessions: the browser tabs that have shown the work.
    """

    subject = "work"

    def __init__(self) -> None:
        self.step, self.done, self.total = "", 0, 0
        self.problem: str | None = None
        self.stopped = False
        self.sessions: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.subject, daemon=True)

    @abstractmethod
    def _execute(self) -> None:
        """Do the work, in the thread.

        Raises:
            ZooterError: the work failed; its message is shown.
            StoppedError: the work was stopped.
        """

    def report(self, step: str, done: int, total: int = 0) -> None:
        """Record the progress. Called in the thread.

        Raises:
            StoppedError: the work should stop.
        """
        if self.stopping:
            raise StoppedError
        self.step, self.done, self.total = step, done, total

    @property
    def share(self) -> float:
        """The share of the step that is done; 0 if it is unknown."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def _finish(self) -> None:  # noqa: B027 - most work needs no cleaning up
        """Clean up, in the thread, however the work ended."""

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def start(self) -> Self:
        """Start the work, once, and attach the current browser tab."""
        self._thread.start()
        attach(self)
        if self.sessions:
            threading.Thread(target=self._watch_tabs, name="monitor", daemon=True).start()
        return self

    def stop(self) -> None:
        """Ask the work to stop, and wait a moment for it."""
        self._stop.set()
        self.wait(STOP_WAIT)

    def _watch_tabs(self) -> None:
        """Stop the work once all tabs that show it are closed."""
        looks = 0
        while self.running and looks < LOOKS:
            self.wait(CHECK_EVERY)
            looks = 0 if any(map(_tab_is_open, tuple(self.sessions))) else looks + 1
        if self.running:
            self.stop()

    def wait(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._execute()
        except StoppedError:
            self.stopped = True
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # the page shows it; a thread has no caller
            self.problem = f"The {self.subject} failed: {type(problem).__name__}: {problem}"
        finally:
            self._finish()


def _tab_is_open(session: str) -> bool:
    return not exists() or get_instance().is_active_session(session)  # without a server, in a test


def attach(job: object) -> None:
    """Add the current browser tab to those that show the work, if the job is running work."""
    context = get_script_run_ctx(suppress_warning=True)
    if isinstance(job, BackgroundWork) and job.running and context is not None and exists():
        job.sessions.add(context.session_id)


def draw_live(job: BackgroundWork, draw: Callable[[], None]) -> None:
    """Redraw running work until it ends, then run the whole page again."""

    def draw_until_end() -> None:
        if job.running:
            draw()
        if not job.running:
            st.rerun()

    st.fragment(draw_until_end, run_every=EVERY)()


def stop_button(job: BackgroundWork, key: str) -> None:
    st.button("Stop", icon=":material/stop_circle:", key=key, on_click=job.stop, disabled=job.stopping)
