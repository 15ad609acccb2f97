"""The fleets behind the demo: each loaded once in the background, shared by every session that picks it."""

from __future__ import annotations

import os
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import streamlit as st

from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.errors import ZooterError
from zooter_core.paths import EMBEDDED_FLEET, ROOT
from zooter_core.ui import problems
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.backends import Backend
    from zooter_core.ensemble import Ensemble

ICON = Path(__file__).parent / "icon.png"
MODELS = ROOT / "models"  # a folder a fleet
CHOSEN = "fleet-chosen"  # in a session: the visitor has picked the fleet by hand


class Loading:
    """Loads an ensemble in a thread and says in words how far it is.

    `ready` is set when the ensemble can route, while its models are still being loaded, or when it cannot be had.
    """

    def __init__(self, fleet: Fleet, running: dict[str, Backend]) -> None:
        self.message = "Starting ..."
        self.problem: str | None = None
        self.ensemble: Ensemble | None = None
        self.ready = threading.Event()
        threading.Thread(target=self._load, args=(fleet, running), name="load", daemon=True).start()

    def _load(self, fleet: Fleet, running: dict[str, Backend]) -> None:
        try:
            self.message = "Loading PyTorch ..."
            from zooter_core.ensemble import Ensemble
            from zooter_core.weights import quiet_libraries

            quiet_libraries()
            made = Ensemble(fleet, running)

            def routes() -> None:
                self.ensemble = made
                self.ready.set()

            made.load(self._tell, routes)
        except ZooterError as problem:
            self.problem = str(problem)
        except Exception as problem:  # shown on the page: a thread has nobody else to tell
            self.problem = f"The fleet could not be loaded: {type(problem).__name__}: {problem}"
        finally:
            self.ready.set()

    def _tell(self, message: str) -> None:
        self.message = message


@st.cache_resource(show_spinner=False)
def _backends() -> dict[str, Backend]:
    """Shared by all fleets, so that two of them on one model load it once."""
    return {}


@st.cache_resource(show_spinner=False)
def _loading(folder: str) -> Loading:
    loading = Loading(load_fleet(folder), _backends())
    _begun().add(folder)
    return loading


@st.cache_resource(show_spinner=False)
def _begun() -> set[str]:
    """The folders of the fleets that this server has loaded, or begun to."""
    return set()


def fleets() -> dict[str, str]:
    """Name -> folder of every fleet that can be picked; the one that `zooter demo --fleet` named comes first."""
    found: dict[str, str] = {}
    seen = set()
    beside = [] if MODELS.resolve() == Path(_named()).resolve().parent else [Path(_named()).parent]
    files = [file for around in (MODELS, *beside) for file in sorted(around.glob("*/fleet.toml"))]
    for folder in (_named(), *(str(file.parent) for file in files)):
        whole = Path(folder).resolve()
        if whole not in seen:
            found[whole.name if whole.name not in found else f"{whole.parent.name}/{whole.name}"] = folder
            seen.add(whole)
    return found


def folder() -> str:
    """The folder of the fleet that this session has picked."""
    picked: str | None = st.session_state.get("fleet")
    return fleets().get(picked or "", _named())


def pick_fleet(folder: str | Path) -> None:
    """Let this session use the fleet in a folder; in a callback, before the picker is drawn."""
    if name := _name_of(folder):
        st.session_state["fleet"] = name
        _choose()


def _choose() -> None:
    """Remember that the visitor, not an address, has picked the fleet."""
    st.session_state[CHOSEN] = True


def forget(folder: str | Path) -> None:
    """Have a fleet loaded anew when it is next used: its files were replaced."""
    if name := _name_of(folder):
        _loading.clear(fleets()[name])


def _name_of(folder: str | Path) -> str | None:
    whole = Path(folder).resolve()
    return next((name for name, known in fleets().items() if Path(known).resolve() == whole), None)


def picker() -> None:
    """Let a visitor pick a fleet, where there is more than one."""
    names = [name for name, folder in fleets().items() if folder == _named() or _routed(folder)]
    if len(names) > 1:
        st.sidebar.selectbox(
            "Fleet",
            names,
            key="fleet",
            bind="query-params",
            on_change=_choose,
            help="The models, their router and their reward model.",
        )


def confirm() -> None:
    """End the page's run where an address alone names a fleet that is not loaded: anybody can make a link.

    The visitor may load it by a click; what else the address fills in waits until then.
    """
    if folder() == _named() or folder() in _begun() or st.session_state.get(CHOSEN):
        return
    name = st.session_state["fleet"]
    st.info(
        f"A link picked the fleet `{name}`, which this server has not loaded yet. Loading it takes time and memory. "
        "The sidebar has the other fleets.",
        icon=":material/link:",
    )
    st.button(f"Load `{name}`", icon=":material/download:", key="load-fleet", on_click=_choose)
    st.stop()


def _routed(folder: str) -> bool:
    """Whether a fleet has a router: an example whose router is still to be made cannot be picked."""
    try:
        with (Path(folder) / "fleet.toml").open("rb") as file:
            return "router" in tomllib.load(file)
    except (OSError, ValueError, RecursionError):
        return True  # told when it is picked


def _named() -> str:
    return os.environ.get("ZOOTER_FLEET", str(EMBEDDED_FLEET))


def ensemble() -> Ensemble:
    """The fleet, which can route; its models may still be loading. A fleet that fails ends the page's run."""
    try:
        loading = _loading(folder())
    except ZooterError as problem:
        fail(str(problem))
    if not loading.ready.is_set():
        box = st.empty()  # not a rerun at the end: that would lose a query typed in the meantime
        with box.status(plain(loading.message)) as status:
            while not loading.ready.wait(0.1):
                status.update(label=plain(loading.message))
        box.empty()
    if loading.ensemble is None:
        _loading.clear(folder())  # the next run of the page tries again
        fail(loading.problem or "The fleet could not be loaded.")
    return loading.ensemble


def pool() -> tuple[str, ...]:
    """The candidates of the fleet that this session has picked, before it is loaded."""
    try:
        return load_fleet(folder()).pool
    except ZooterError as problem:
        fail(str(problem))


def fail(message: str) -> NoReturn:
    """Show a clear message and end the page's run."""
    problems.tell(message)
    st.stop()
