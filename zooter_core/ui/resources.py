"""The fleet behind the demo: loaded once in the background, shared by every session."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.fleet import Fleet, load_fleet

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble


class Loading:
    """Loads an ensemble in a thread and says in words how far it is."""

    def __init__(self, fleet: Fleet) -> None:
        self.message = "Starting ..."
        self.problem: str | None = None
        self.ensemble: Ensemble | None = None
        self.ended = threading.Event()
        threading.Thread(target=self._load, args=(fleet,), name="load", daemon=True).start()

    def _load(self, fleet: Fleet) -> None:
        try:
            self.message = "Loading PyTorch ..."
            from zooter_core.ensemble import Ensemble
            from zooter_core.quiet import quiet_libraries

            quiet_libraries()
            made = Ensemble(fleet)
            made.load(self._tell)
            self.ensemble = made
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The fleet could not be loaded: {type(problem).__name__}: {problem}"
        finally:
            self.ended.set()

    def _tell(self, message: str) -> None:
        self.message = message


@st.cache_resource(show_spinner=False)
def _loading(folder: str) -> Loading:
    return Loading(load_fleet(folder))


def fleet_folder() -> str:
    """The fleet that `zooter demo --fleet` named, else the embedded one."""
    return os.environ.get("ZOOTER_FLEET", "models/embedded")


def ensemble() -> Ensemble:
    """The loaded fleet. The first caller's page shows what is being loaded; a fleet that fails ends the page's run."""
    try:
        loading = _loading(fleet_folder())
    except ZooterError as problem:
        fail(str(problem))
    if not loading.ended.is_set():
        box = st.empty()  # not a rerun at the end: that would lose a query typed in the meantime
        with box.status(loading.message) as status:
            while not loading.ended.wait(0.1):
                status.update(label=loading.message)
        box.empty()
    if loading.ensemble is None:
        _loading.clear()  # the next run of the page tries again
        fail(loading.problem or "The fleet could not be loaded.")
    return loading.ensemble


def fail(message: str) -> NoReturn:
    """Show a clear message and end the page's run."""
    st.error(message, icon=":material/error:")
    st.stop()
