"""Step 4 of the Train page: save the router as a fleet, or give it models of its own, and chat with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.config.fleet import Fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.save_fleet import place_of, save_fleet, save_router
from zooter_core.ui import links, resources
from zooter_core.ui.models import build, manage
from zooter_core.ui.text import code, plain
from zooter_core.ui.train.steps import Session, TrainingData
from zooter_core.ui.widgets import persistent, show_error

OUT = "my-router"  # the name to begin with
ACTIONS = {  # label and icon of the step's button
    "chat": ("Use it in Chat", ":material/chat:"),
    "build": ("Build a fleet with these models", ":material/group_add:"),
    "save": ("Save the router", ":material/save:"),
}


def summary(session: Session) -> str:
    return f"saved in {code(session.saved.name)}" if session.saved else ""


def draw(session: Session, ensemble: Ensemble) -> None:
    """Save the router and let Chat use it; if it chooses among other models than the fleet's, lead to where it gets
    them."""
    router = session.router
    assert router is not None  # the step is closed until there is one
    fleet, pool = ensemble.fleet, router.data.scores.candidates
    fits = _fits(router.data, fleet)
    if fits:
        st.markdown(
            f"A new fleet combines your router with the models of the fleet {plain(fleet.name)}. Chat and the other "
            "pages then use it."
        )
    else:
        st.markdown(
            f"This router chooses among {plain(', '.join(pool[:12]))}; the fleet {plain(fleet.name)} has "
            f"{plain(', '.join(fleet.pool))}. It needs a fleet with a model for each of its names."
        )
        if not manage.allowed():
            st.caption("Connecting models is off here. `zooter demo --manage HOST` allows it.")
    st.session_state.setdefault("train-name", free_name())
    action = "chat" if fits else "build" if manage.allowed() else "save"
    label, icon = ACTIONS[action]
    pressed = st.button(label, key="primary-train-use", icon=icon, on_click=_save, args=(session, ensemble, fits))
    if session.problem:
        show_error(session.problem)
    elif session.saved is not None:
        st.success(f"Saved in {code(session.saved.name)}, where the demo was started.", icon=":material/check_circle:")
    with st.expander("Advanced", icon=":material/tune:", expanded=session.problem is not None):
        st.text_input("Name", max_chars=64, **persistent("train-name", "Letters, digits and dashes."))
        if action != "save":
            label = "Save as a fleet" if fits else "Save the router"
            st.button(label, icon=":material/save:", on_click=_save, args=(session, ensemble, False))
    if pressed and session.saved and not session.problem:
        if action == "chat":
            links.go_to("chat")
        if action == "build":
            links.go_to("models", **{build.PARAMETER: session.saved.name})


def free_name() -> str:
    """The first name that is free in the folder where the demo was started."""
    names = (OUT if number == 1 else f"{OUT}-{number}" for number in range(1, 1000))
    return next(name for name in names if not place_of(name, Path.cwd()).exists())


def _save(session: Session, ensemble: Ensemble, use: bool) -> None:
    """Save the router under the name in the field, where the demo was started; `use`: let this session use it."""
    router, fleet, name = session.router, ensemble.fleet, st.session_state["train-name"].strip()
    assert router is not None
    session.problem = None
    if session.saved is None or session.saved.name != name:
        try:
            place = place_of(name, Path.cwd())
            save = partial(save_fleet, fleet) if _fits(router.data, fleet) else save_router
            save(router.folder, place)
        except ZooterError as problem:
            session.problem = str(problem)
            return
        session.saved = place
    if use:
        resources.pick_fleet(session.saved)


def _fits(data: TrainingData, fleet: Fleet) -> bool:
    """Whether a router chooses among the fleet's models, so that it can take the place of the fleet's router."""
    return set(data.scores.candidates) == set(fleet.pool)
