"""Work that outlives a page's run: a thread does it, and pages read its state whenever they are drawn again.

Work is stopped when no browser tab has looked at it for GRACE seconds, so a closed tab does not keep the machine busy.
"""

from __future__ import annotations

import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from zooter_core.base.errors import ZooterError

GRACE = 3.5  # seconds that work goes on after its last tab was closed; a tab that reloads is back within them
CHECK_EVERY = 0.5  # seconds between two looks for abandoned work
STOP_WAIT = 0.25  # seconds; most work ends within them, and the page shows the end at once
WATCHED = 0.8  # share of the time between two drawings in which a page waits for the end (`draw_live`)
CLICK_WAIT = 0.02  # seconds that a click waits meanwhile


class StoppedError(Exception):
    """The work was stopped. Raised inside the work, so that it cleans up on its way out."""


class BackgroundWork(ABC):
    """Work in a thread that can be stopped and started again.

    A subclass does the work in `_execute`, which should end soon after `_stop` is set: by returning what there is, or
    by raising StoppedError.

    Attributes:
        subject: what fails when the work fails, for the message.
        problem: why the work failed; None while it runs and after it succeeded.
        stopped: whether the work ended with a StoppedError.
        sessions: the browser tabs that look at the work.
        last_seen: when one of them was last known to be open, in seconds of `time.monotonic`.
    """

    subject = "work"

    def __init__(self) -> None:
        self.problem: str | None = None
        self.stopped = False
        self.sessions: set[str] = set()
        self.last_seen = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread()

    @abstractmethod
    def _execute(self) -> None:
        """Do the work, in the thread.

        Raises:
            ZooterError: the work failed; its message is shown.
            StoppedError: it was stopped.
        """

    def _finish(self) -> None:  # noqa: B027 - most work needs no cleaning up
        """Clean up, in the thread, however the work ended."""

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def start(self) -> None:
        """Start the thread, unless it runs; the current browser tab looks at the work."""
        if self.running:
            return
        self._stop.clear()
        self.problem, self.stopped = None, False
        self._thread = threading.Thread(target=self._run, name=self.subject, daemon=True)
        self._thread.start()
        attach(self)

    def stop(self) -> None:
        """Ask the work to stop, and wait a moment for it."""
        self._stop.set()
        self.wait(STOP_WAIT)

    def wait(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._execute()
        except StoppedError:
            self.stopped = True
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # the page shows it; a thread cannot raise to anybody
            self.problem = f"The {self.subject} failed: {type(problem).__name__}: {problem}"
        finally:
            self._finish()


class Monitor:
    """Stops abandoned work. Any thread may add work.

    Args:
        is_open: whether the browser tab of a session is open.
        clock: the time in seconds.
    """

    def __init__(self, is_open: Callable[[str], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_open, self._clock = is_open, clock
        self._watched: weakref.WeakSet[BackgroundWork] = weakref.WeakSet()
        self._lock = threading.Lock()

    def add(self, job: BackgroundWork, session: str) -> None:
        """Note that a session looks at the work."""
        with self._lock:
            job.sessions.add(session)
            job.last_seen = self._clock()
            self._watched.add(job)

    def stop_abandoned(self) -> None:
        """Stop the work that no open tab has looked at for GRACE seconds."""
        with self._lock:
            running = [job for job in self._watched if job.running]
        for job in running:
            if any(self._is_open(session) for session in tuple(job.sessions)):
                job.last_seen = self._clock()
            elif self._clock() - job.last_seen > GRACE:
                job.stop()

    def watch(self) -> None:
        while True:
            time.sleep(CHECK_EVERY)
            self.stop_abandoned()


def _tab_is_open(session: str) -> bool:
    """Whether Streamlit knows the session; True where no server runs."""
    try:
        return get_instance().is_active_session(session)
    except RuntimeError:
        return True


@st.cache_resource(show_spinner=False)
def _monitor() -> Monitor:
    monitor = Monitor(_tab_is_open)
    threading.Thread(target=monitor.watch, name="monitor", daemon=True).start()
    return monitor


def attach(job: object) -> None:
    """Count the current browser tab among those that look at the work, where it is running work."""
    context = get_script_run_ctx(suppress_warning=True)
    if isinstance(job, BackgroundWork) and job.running and context is not None and exists():
        _monitor().add(job, context.session_id)


def draw_live(job: BackgroundWork, draw: Callable[[], None], every: float = 0.5, at_once: bool = False) -> None:
    """Draw running work again and again; when it has ended, run the whole page once more.

    Args:
        every: seconds between two drawings.
        at_once: show the end at once instead of at the next drawing. A click on what `draw` draws then waits, so draw
            the button that stops the work outside of it.
    """
    again = False

    def drawn() -> None:
        nonlocal again
        if job.running:
            draw()
            if at_once and again:  # the first time, the rest of the page is still to come
                _watch(job, WATCHED * every)
        again = True
        if not job.running:
            st.rerun()

    st.fragment(drawn, run_every=every)()


def _watch(job: BackgroundWork, seconds: float) -> None:
    """Wait for the end of the work. After a click elsewhere on the page, Streamlit ends this run at the next access to
    the session's state."""
    end = time.monotonic() + seconds
    while job.running and time.monotonic() < end:
        job.wait(CLICK_WAIT)
        st.session_state.get("stop")


def stop_button(job: BackgroundWork, key: str) -> None:
    st.button("Stop", icon=":material/stop_circle:", key=key, on_click=job.stop, disabled=job.stopping)
