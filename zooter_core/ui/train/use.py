"""Save the router that the Train page has trained, with or without a fleet, and chat with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from zooter_core.base.errors import ZooterError, listed
from zooter_core.config.fleet import Fleet
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.pipeline.save_fleet import named_folder, save_fleet, save_router
from zooter_core.ui import resources
from zooter_core.ui.models import build, manage
from zooter_core.ui.text import code, plain
from zooter_core.ui.train.session import Session, TrainedRouter
from zooter_core.ui.widgets import draw_problem, go_to, keep_problem, persistent

OUT = "my-router"  # the default name
PLACE = "train-use"  # where the page shows problems


def draw(session: Session, router: TrainedRouter, ensemble: Ensemble) -> None:
    """Draw the buttons that save the router and let Chat use it. If its models are not the fleet's, lead to the Models
    page, which makes a fleet for it."""
    fleet, pool = ensemble.fleet, router.loaded.scores.candidates
    fits = set(pool) == set(fleet.pool)
    st.header("Use", anchor=False)
    if fits:
        st.markdown(
            f"A new fleet combines your router with the models of the fleet {plain(fleet.name)}. Chat and the other "
            "pages then use it."
        )
    else:
        st.markdown(
            f"This router chooses among {plain(listed(pool))}; the fleet {plain(fleet.name)} has "
            f"{plain(listed(fleet.pool))}. It needs a fleet with a model for each of its names."
        )
        if not manage.allowed():
            st.caption("Connecting models is off here. `zooter demo --manage HOST` allows it.")
    st.session_state.setdefault("train-name", free_name())
    save = partial(_save, session, router, fleet if fits else None)
    label, icon = ("Use it in Chat", "chat") if fits else ("Build a fleet with these models", "group_add")
    pressed = False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name", max_chars=64, width=240, **persistent("train-name", "Letters, digits and dashes."))
        if fits or manage.allowed():
            pressed = st.button(label, key="primary-train-use", icon=f":material/{icon}:", on_click=save, args=(fits,))
        st.button("Save as a fleet" if fits else "Save the router", icon=":material/save:", on_click=save)
    draw_problem(PLACE)
    if session.saved is None:
        return
    st.success(f"Saved in {code(session.saved.name)}, where the demo was started.", icon=":material/check_circle:")
    if pressed and fits:
        go_to("chat")
    elif pressed:
        go_to("models", **{build.PARAMETER: session.saved.name})


def free_name() -> str:
    """The first free name in the current folder."""
    names = (OUT if number == 1 else f"{OUT}-{number}" for number in range(1, 1000))
    return next(name for name in names if not named_folder(name, Path.cwd()).exists())


def _save(session: Session, router: TrainedRouter, fleet: Fleet | None, use: bool = False) -> None:
    """Save the router in the current folder, under the name in the field, unless it has been saved.

    Args:
        fleet: the fleet whose models it gets; None to save it alone.
        use: whether this session then uses its fleet.
    """
    name = st.session_state["train-name"].strip()
    if session.saved is None or session.saved.name != name:
        session.saved = None
        try:
            place = named_folder(name, Path.cwd())
            if fleet:
                save_fleet(fleet, router.folder, place)
            else:
                save_router(router.folder, place)
        except ZooterError as problem:
            keep_problem(PLACE, problem)
            return
        session.saved = place
    if use:
        resources.pick_fleet(session.saved)
