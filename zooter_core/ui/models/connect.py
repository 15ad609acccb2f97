"""Connect a model that was found on this machine, or by address and key. A server is saved only after it has answered.

A key is put into the environment of this process and nowhere else. A page can set only variables for keys: any other
variable could change the behaviour of programs on this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

import streamlit as st

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import ZooterError, listed
from zooter_core.config.edit import fleet_or_none
from zooter_core.config.trust import PROVIDERS, is_allowed, provider_key, trust
from zooter_core.fleet.connect import connect, in_fleet
from zooter_core.fleet.discovered import Model
from zooter_core.fleet.discovery import USUAL, Discovery, discover, models_at, server_url
from zooter_core.ui import resources
from zooter_core.ui.models import build, manage
from zooter_core.ui.models.cards import describe_gpu
from zooter_core.ui.text import code, plain
from zooter_core.ui.widgets import draw_problem, show_error

DISCOVERY, LISTED = "models-discovery", "models-listed"  # in the session's state
LOOK, ADDRESS = "models-look", "models-address"  # set while the work of a pressed button runs
MANY = 12  # models; longer lists scroll
MOST_BOXES = 100  # in such a list; longer lists have a search field
MOST_NOTES = 20  # about what was skipped
VARIABLE = "MODEL_API_KEY"  # for a server that belongs to no known provider
TYPED: dict[str, str] = {}  # variable -> the host for which its key was typed here: a wrong key can be replaced
NAME_OF_KEY = re.compile(r"[A-Z][A-Z0-9_]*_(KEY|TOKEN)")
KEY_HELP = "Stays in this process and is gone when the demo ends. It is never written to a file."
VARIABLE_HELP = (
    "The environment variable of the key: fleet.toml names it, and the next start of the demo reads it. If this is "
    f"empty, it is the provider's usual one, or {VARIABLE}."
)


def draw(router: build.Waiting | None = None) -> None:
    """Draw the two ways to connect a model. Nothing is contacted before a button is pressed.

    Args:
        router: the models go into its fleet instead of the session's.
    """
    here, elsewhere = st.tabs(["On this machine", "At an address"], key="connect-tabs")
    with here:
        _draw_here(router is None)
    with elsewhere:
        _draw_address(router is None)
    if router:
        build.draw(router, [st.session_state[key] for key in (DISCOVERY, LISTED) if st.session_state.get(key)])


def _draw_here(choose: bool) -> None:
    st.markdown("Finds models of Ollama, vLLM, llama.cpp and LM Studio, GGUF files, and transformers models on disk.")
    st.button("Look for models", icon=":material/search:", key="primary-look", on_click=_begin, args=(LOOK,))
    if LOOK in st.session_state:
        with st.spinner("Looking ..."):
            st.session_state[DISCOVERY] = discover()
        del st.session_state[LOOK]
    discovery: Discovery | None = st.session_state.get(DISCOVERY)
    if discovery is None:
        return
    for number, gpu in enumerate(discovery.gpus):
        st.progress(1 - gpu.free / gpu.total, describe_gpu(number, gpu))
    ports = listed(f"{make} ({port})" for make, port in USUAL.items())
    nothing = (
        f"No server answers on the usual ports of {ports}, and there are no weights in the usual folders. Start a "
        "server and look again. If it has another port, give its address in the other tab."
    )
    _draw_models(discovery, "here", choose, nothing)
    for variable in discovery.providers:
        host = PROVIDERS[variable][0]
        st.markdown(f"{code(variable)} is set. To use its models, give {code(host)} in the other tab.")


def _draw_address(choose: bool) -> None:
    with st.form("address", border=False):
        st.text_input("Address", key="address", placeholder="http://localhost:8000/v1")
        row = st.container(horizontal=True)
        row.text_input("Key", key="address-key", type="password", help=KEY_HELP, placeholder="If it needs one")
        row.text_input("Variable", key="address-variable", help=VARIABLE_HELP, placeholder=VARIABLE)
        st.form_submit_button("List its models", icon=":material/search:", on_click=_begin, args=(ADDRESS,))
    if ADDRESS in st.session_state:
        st.session_state[LISTED] = None
        try:
            with st.spinner("Asking the server ..."):
                st.session_state[LISTED] = _listed(st.session_state["address"].strip())
        except ZooterError as problem:
            show_error(problem)
        except EndpointError as problem:
            show_error(
                f"No list of models: {problem.message}. Check the address and the key, and that the server runs."
            )
        del st.session_state[ADDRESS]
        if st.session_state[LISTED]:
            st.rerun()  # a new key may have changed the cards
    if discovery := st.session_state.get(LISTED):
        _draw_models(discovery, "address", choose, "The server lists no model that writes text.")


def _begin(button: str) -> None:
    """Note that a button was pressed. Its work restarts if the page runs meanwhile, e.g. because a model has loaded."""
    st.session_state[button] = True


def _listed(address: str) -> Discovery:
    """The models at an address, listed with the key from the form or from the environment."""
    url = server_url(address)
    manage.check_host_allowed(url)
    key = st.session_state["address-key"].strip()
    variable = st.session_state["address-variable"].strip() or provider_key(url) or VARIABLE
    host = urlsplit(url).netloc
    if not key:
        has_key = os.environ.get(variable) and is_allowed(variable, url) and TYPED.get(variable, host) == host
        return models_at(url, variable if has_key else None)
    if not NAME_OF_KEY.fullmatch(variable):
        rule = "It ends in _KEY or _TOKEN, such as MODEL_API_KEY."
        raise ZooterError.saying(f'"{variable}" is not a name for a key.', rule)
    if TYPED.get(variable) != host and os.environ.get(variable, "") not in ("", key):
        raise ZooterError.saying(f"{variable} holds another key already.", "Name another variable for this one.")
    return _served_with(key, variable, url)


def _served_with(key: str, variable: str, url: str) -> Discovery:
    """The models of a server. If it accepts the key, the key is kept in the environment."""
    before = os.environ.get(variable)
    os.environ[variable] = key
    if not is_allowed(variable, url):  # the visitor enters both, and thereby allows sending the key to this server
        trust([(variable, url)])
    try:
        discovery = models_at(url, variable)
    except (EndpointError, ZooterError):
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
        raise
    TYPED[variable] = urlsplit(url).netloc
    if before != key:  # connected models use the new key from now on
        resources.forget(manage.target())
    return discovery


def _draw_models(discovery: Discovery, key: str, choose: bool, nothing: str) -> None:
    """Draw the models, or a note that there are none; `choose` lets the visitor select models and connect them."""
    if not discovery.models:
        st.info(nothing, icon=":material/search_off:")
    elif choose:
        _draw_choice(discovery, key)
    else:
        st.markdown("".join(f"- {plain(model.name)} · {plain(model.place)}\n" for model in discovery.models[:MANY]))
        if len(discovery.models) > MANY:
            st.caption(f"And {len(discovery.models) - MANY:,} more.")
    if notes := discovery.passed_over:
        with st.expander(f"Passed over ({len(notes):,})"):
            st.markdown("".join(f"- {plain(note)}\n" for note in notes[:MOST_NOTES]))


def _draw_choice(discovery: Discovery, key: str) -> None:
    """Let the visitor select models and connect them. Models of the fleet are selected and cannot be deselected."""
    fleet, models = None, discovery.models
    with suppress(ZooterError):  # the page says what is wrong with the fleet
        fleet = fleet_or_none(manage.target())
    present = in_fleet(models, fleet.candidates if fleet else ())
    if len(models) > MOST_BOXES:
        others = [model for model in models if model not in present]
        chosen = st.multiselect(
            f"{len(models):,} models", others, key=f"pick-{key}", placeholder="Type a part of a name",
            format_func=manage.label,
        )  # fmt: skip
    else:
        chosen = _boxes(models, present, key)
    st.button(
        "Connect" if len(chosen) < 2 else f"Connect {len(chosen)} models",
        icon=":material/add:", key=f"primary-connect-{key}", disabled=not chosen,
        on_click=manage.attempt, args=(partial(_add, chosen), key),
    )  # fmt: skip
    draw_problem(key)


def _boxes(models: Sequence[Model], present: Collection[Model], key: str) -> list[Model]:
    """Draw a checkbox per model. Return the checked models that are not in the fleet yet."""
    chosen = []
    with st.container(height=400 if len(models) > MANY else "content", border=False):
        for model in models:
            old = model in present
            name = f"pick-{key}-{model.base_url}-{model.model}-{old}"
            label = plain(manage.label(model, old))
            if st.checkbox(label, old or len(models) == 1, key=name, disabled=old) and not old:
                chosen.append(model)
    return chosen


def _add(models: Sequence[Model]) -> None:
    folder = manage.target()
    manage.check_models_allowed(models)
    connected = connect(folder, models)
    names = listed(map(plain, connected.names), " and ") or "Nothing new"
    st.toast(f"{names} in the fleet {code(folder.name)}.", icon=":material/check:")
