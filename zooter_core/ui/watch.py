"""Jobs that nobody looks at any more are stopped: a closed tab does not keep the machine busy."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Protocol, runtime_checkable

import streamlit as st
from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

EVERY = 0.5  # seconds
GRACE = 3.5  # seconds that a job goes on alone: a tab that is loaded again comes back within them


@runtime_checkable
class Watched(Protocol):
    """What is stopped when nobody looks at it any more."""

    sessions: set[str]  # who looks at it

    @property
    def running(self) -> bool: ...

    def stop(self) -> None: ...


class Watch:
    """Looks after all jobs of this server."""

    def __init__(self) -> None:
        self._jobs: weakref.WeakKeyDictionary[Watched, float] = weakref.WeakKeyDictionary()  # when last looked at
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="watch", daemon=True).start()

    def add(self, job: Watched, session: str) -> None:
        with self._lock:
            job.sessions.add(session)
            self._jobs[job] = time.monotonic()

    def _work(self) -> None:
        while True:
            time.sleep(EVERY)
            with self._lock:
                jobs = [job for job in self._jobs if job.running and exists()]
            for job in jobs:
                self._look(job)

    def _look(self, job: Watched) -> None:
        sessions = get_instance()
        if any(sessions.is_active_session(session) for session in tuple(job.sessions)):
            with self._lock:
                self._jobs[job] = time.monotonic()
        elif time.monotonic() - self._jobs[job] > GRACE:
            job.stop()


@st.cache_resource(show_spinner=False)
def _watch() -> Watch:
    return Watch()


def look_after(work: Any) -> None:
    """Let this session count as one that looks at work, where it is any that can be stopped."""
    context = get_script_run_ctx()
    if isinstance(work, Watched) and work.running and context is not None and exists():
        _watch().add(work, context.session_id)
