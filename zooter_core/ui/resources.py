"""The demo's fleets. Each is loaded once, in the background, and shared by the sessions that pick it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import streamlit as st
from streamlit import config

from zooter_core.base.errors import ZooterError
from zooter_core.base.paths import EMBEDDED_FLEET, ROOT
from zooter_core.config.fleet import Fleet, load_fleet
from zooter_core.learn.traffic import FILE, data_folder
from zooter_core.ui.background import BackgroundWork
from zooter_core.ui.text import code, plain
from zooter_core.ui.widgets import show_error

if TYPE_CHECKING:
    from zooter_core.backends import Backend
    from zooter_core.fleet.ensemble import Ensemble

MODELS = ROOT / "models"  # one folder per fleet
PAUSE = 3.0  # seconds before further imports, which would slow down the first page's drawing and routing
LATER = ("compare.arena", "models.connect", "models.exam", "explorer.live", "benchmark.sections", "train.use")
UNGUARDED = "starlette-managed"  # Streamlit's name for a server that runs a script, without an app
PICKED = "fleet-chosen"  # in a session's state: set if the visitor, and not the address, has picked the fleet


class Loading(BackgroundWork):
    """Loads an ensemble.

    Attributes:
        ensemble: None at first; it can route as soon as it is set, while its models are still loading.
        ready: set once there is an ensemble or a problem.
    """

    subject = "loading of the fleet"

    def __init__(self, fleet: Fleet, running: dict[str, Backend], loaded: Mapping[str, Fleet]) -> None:
        """Start at once. `loaded` are the fleets that share the backends, including this one."""
        super().__init__()
        self.step = "Starting ..."
        self.ensemble: Ensemble | None = None
        self.ready = threading.Event()
        self._fleet, self._running, self._loaded = fleet, running, loaded
        self._thread.start()  # not `start`: loading continues without an open tab

    def _execute(self) -> None:
        from zooter_core.fleet.ensemble import Ensemble

        ensemble = Ensemble(self._fleet, self._running)

        def unload_others() -> None:
            fleet, *others = self._loaded.values()
            Ensemble(fleet, self._running).retain(others)

        def can_route() -> None:
            self.ensemble = ensemble
            self.ready.set()

        unload_others()  # the fleet may have had other models before its file was changed
        ensemble.load(partial(setattr, self, "step"), can_route)
        unload_others()  # or its file may have been changed meanwhile

    def _finish(self) -> None:
        self.ready.set()
        time.sleep(PAUSE)
        for module in LATER:  # takes a second, for which the next page would have to wait
            import_module(f"zooter_core.ui.{module}")


@st.cache_resource(show_spinner=False)
def _backends() -> dict[str, Backend]:
    """The backends, shared by all fleets: two fleets with the same model load it once."""
    return {}


@st.cache_resource(show_spinner=False)
def _loading(folder: str) -> Loading:
    fleet = _loaded()[folder] = load_fleet(folder)
    return Loading(fleet, _backends(), _loaded())


@st.cache_resource(show_spinner=False)
def _loaded() -> dict[str, Fleet]:
    """The fleets that this server has loaded or is loading, by folder."""
    return {}


def begin_loading() -> None:
    """Load the fleet of `zooter demo` while the browser loads the first page."""
    with suppress(ZooterError):  # the page says what is wrong
        _loading(_default())


def fleets() -> dict[str, str]:
    """The folders, by name, of the default fleet and of the fleets beside it, in `models` and in the current folder."""
    names: dict[str, str] = {}
    paths = set()
    parents = dict.fromkeys(path.resolve() for path in (MODELS, Path(_default()).parent, Path.cwd()))
    files = [file for parent in parents for file in sorted(parent.glob("*/fleet.toml"))]
    for folder in (_default(), *(str(file.parent) for file in files)):
        path = Path(folder).resolve()
        if path not in paths:
            names[path.name if path.name not in names else f"{path.parent.name}/{path.name}"] = folder
            paths.add(path)
    return names


def folder() -> str:
    """The folder of the fleet that this session has picked.

    Without the guard (server.py), e.g. under `streamlit run pages/chat.py`, the page's run ends with an error.
    """
    if config._server_mode == UNGUARDED:
        fail("Start the demo with `zooter demo` or `streamlit run app.py`: this server does not protect it.")
    name: str | None = st.session_state.get("fleet")
    return fleets().get(name or "", _default())


def pick_fleet(folder: str | Path) -> None:
    """Let this session use the fleet in a folder. Must be called in a callback, before the picker is drawn."""
    if name := find_name(folder):
        st.session_state["fleet"] = name
        _set_picked()


def _set_picked() -> None:
    """Note that the visitor, and not the address, has picked the fleet."""
    st.session_state[PICKED] = True


def forget(folder: str | Path) -> None:
    """Drop a fleet whose files have changed; it is loaded again when it is next used."""
    if name := find_name(folder):
        _loading.clear(fleets()[name])


def find_name(folder: str | Path) -> str | None:
    path = Path(folder).resolve()
    return next((name for name, other in fleets().items() if Path(other).resolve() == path), None)


def draw_picker() -> None:
    """Let the visitor pick a fleet, if there is more than one."""
    names = [name for name, folder in fleets().items() if folder == _default() or _is_ready(folder)]
    if len(names) > 1:
        st.selectbox(
            "Fleet",
            names,
            width=320,
            key="fleet",
            bind="query-params",
            on_change=_set_picked,
            help="The models, their router and their reward model.",
        )


def confirm_link() -> None:
    """End the page's run if only the address picked a fleet, and it is not loaded: anybody can make a link.

    The visitor can load the fleet with a click. Until then, the address's other parameters are not used.
    """
    if folder() == _default() or folder() in _loaded() or st.session_state.get(PICKED):
        return
    name = st.session_state["fleet"]
    st.info(
        f"A link picked the fleet {code(name)}, which this server has not loaded yet. Loading it takes time and "
        "memory. You can pick another fleet above.",
        icon=":material/link:",
    )
    st.button(f"Load {code(name)}", icon=":material/download:", key="load-fleet", on_click=_set_picked)
    st.stop()


def _is_ready(folder: str) -> bool:
    """Whether a fleet can be picked: it is the user's, or an example that has a router."""
    if Path(folder).resolve().parent == MODELS.resolve():
        with suppress(ZooterError):  # the error is shown when the fleet is picked
            return load_fleet(folder).router is not None
    return True


def _default() -> str:
    """The folder of the fleet that `zooter demo --fleet` names."""
    return os.environ.get("ZOOTER_FLEET", str(EMBEDDED_FLEET))


def ensemble() -> Ensemble:
    """The session's fleet, ready to route; its models may still be loading. If loading fails, the page's run ends."""
    try:
        loading = _loading(folder())
    except ZooterError as problem:
        fail(str(problem))
    if not loading.ready.is_set():
        box = st.empty()  # no rerun at the end: it would lose a query typed in the meantime
        with box.status(plain(loading.step)) as status:
            while not loading.ready.wait(0.1):
                status.update(label=plain(loading.step))
        box.empty()
    if loading.ensemble is None:
        _loading.clear(folder())  # so that the page's next run tries again
        fail(loading.problem or "The fleet could not be loaded.")
    return loading.ensemble


def pool() -> tuple[str, ...]:
    """The candidates of the session's fleet, whether or not it is loaded."""
    try:
        return load_fleet(folder()).pool
    except ZooterError as problem:
        fail(str(problem))


def has_traffic() -> bool:
    """Whether the endpoint of the session's fleet has stored traffic. Every page asks, so the file is not opened."""
    with suppress(ZooterError):  # the page says what is wrong
        return (data_folder(load_fleet(folder())) / FILE).is_file()
    return False


def fail(message: str) -> NoReturn:
    """Show an error and end the page's run."""
    show_error(message)
    st.stop()
