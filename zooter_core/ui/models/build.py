"""Make a fleet for a router that the Train page saved without one: a model for each candidate of the router."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.config.edit import set_router
from zooter_core.data.run_folder import ROUTER
from zooter_core.fleet.connect import connect
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.discovery import Discovery
from zooter_core.pipeline.save_fleet import named_folder, router_without_fleet
from zooter_core.ui.models import manage
from zooter_core.ui.text import code, plain
from zooter_core.ui.widgets import draw_problem, show_error

PARAMETER = "router"  # in the page's address: the name of the router's folder
SO_FAR = "models-so-far"  # in the session's state: all models found so far


@dataclass(frozen=True)
class Waiting:
    """A router without models: its folder, within the folder where the demo was started, and its candidates' names."""

    folder: Path
    names: tuple[str, ...]


def waiting() -> Waiting | None:
    """The router that the address names; None once it has a fleet."""
    if not (name := st.query_params.get(PARAMETER)):
        return None
    try:
        folder = named_folder(name, Path.cwd())
        names = router_without_fleet(folder)
    except ZooterError as problem:
        show_error(problem)
        return None
    return Waiting(folder, names) if names else None


def draw(router: Waiting, discoveries: Sequence[Discovery]) -> None:
    """Draw a choice for each name, preset to a found model of that name, and the button that makes the fleet."""
    so_far: dict[Model, None] = st.session_state.setdefault(SO_FAR, {})
    so_far |= dict.fromkeys(model for discovery in discoveries for model in discovery.models)
    models, chosen = list(so_far), []
    for name in router.names:
        key = f"answers-as-{name}"
        if st.session_state.get(key) is None:
            alike = (model for model in models if _bare(name) in (_bare(model.name), _bare(model.model)))
            st.session_state[key] = next(alike, None)
        chosen.append(
            st.selectbox(
                f"Who answers as {plain(name)}", models, key=key, disabled=not models,
                format_func=manage.label,
                placeholder="Choose a model" if models else "Find models above first",
            )
        )  # fmt: skip
    complete = [model for model in chosen if model is not None]
    st.button(
        "Build the fleet", icon=":material/group_add:", key="primary-build", disabled=len(complete) < len(chosen),
        on_click=manage.attempt, args=(partial(_build, router, complete), "build", router.folder),
    )  # fmt: skip
    draw_problem("build")


def _build(router: Waiting, models: Sequence[Model]) -> None:
    manage.check_models_allowed(models)
    connect(router.folder, models, router.names)
    set_router(router.folder, ROUTER, router.names)
    st.toast(f"The fleet {code(router.folder.name)} has its models.", icon=":material/check:")


def _bare(name: str) -> str:
    """The letters and digits of a model's name, without its publisher."""
    return re.sub(r"[\W_]+", "", name.rpartition("/")[2].lower())
