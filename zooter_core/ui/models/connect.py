"""Connect a model: what runs on this machine, or an address and a key; a live answer first, then it is saved."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from zooter_core.backends.endpoint.faults import EndpointError
from zooter_core.base.errors import ZooterError
from zooter_core.config.trust import is_allowed, trust
from zooter_core.fleet.connect import connect
from zooter_core.fleet.discovery import Discovery, Gpu, Model, discover, served
from zooter_core.fleet.remote import endpoint_url
from zooter_core.ui.models import manage
from zooter_core.ui.text import code, plain
from zooter_core.ui.widgets import show_error

DISCOVERY, LISTED = "models-discovery", "models-listed"  # in the session's state
KEY_HELP = "Stays in this process and is gone when the demo ends. It is never written to a file."
VARIABLE_HELP = "The environment variable in which the demo looks for the key when it starts again."


def draw() -> None:
    """The two ways in. Nothing is contacted before a press of a button."""
    here, elsewhere = st.tabs(["On this machine", "An address"], key="connect-tabs")
    with here:
        _draw_here()
    with elsewhere:
        _draw_address()


def _draw_here() -> None:
    st.markdown("Servers (Ollama, vLLM, llama.cpp, LM Studio), GGUF files and transformers folders of this machine.")
    if st.button("Look for models", icon=":material/search:", key="primary-look"):
        with st.spinner("Looking ..."):
            st.session_state[DISCOVERY] = discover()
    discovery: Discovery | None = st.session_state.get(DISCOVERY)
    if discovery is None:
        return
    if not discovery.models:
        st.info(
            "Nothing runs on the usual ports, and no weights lie in the usual folders. Start a server and look again."
        )
        return
    for number, gpu in enumerate(discovery.gpus):
        used = 1 - gpu.free / gpu.total
        st.progress(used, f"GPU {number}, {plain(gpu.name)}: {gpu.free / 1e9:.0f} of {gpu.total / 1e9:.0f} GB free")
    _draw_choice(discovery.models, "here", discovery)


def _draw_address() -> None:
    with st.form("address", border=False):
        st.text_input("Address", key="address", placeholder="http://localhost:8000/v1")
        row = st.container(horizontal=True)
        row.text_input("Key", key="address-key", type="password", help=KEY_HELP, placeholder="If it needs one")
        row.text_input("Variable of the key", "MODEL_API_KEY", key="address-variable", help=VARIABLE_HELP)
        sent = st.form_submit_button("List its models", icon=":material/search:")
    if sent:
        st.session_state[LISTED] = None
        try:
            with st.spinner("Asking the server ..."):
                st.session_state[LISTED] = _listed()
        except (ZooterError, EndpointError) as problem:
            show_error(problem if isinstance(problem, ZooterError) else f"{problem.message}. {problem.next_step}")
    if models := st.session_state.get(LISTED):
        _draw_choice(models, "address")
    elif models is not None and not sent:
        st.info("The server lists no model that writes text.")


def _listed() -> list[Model]:
    """The models at the address in the form. The key goes to the process's memory."""
    state = st.session_state
    url = endpoint_url(state["address"])
    manage.check_host_allowed(url)
    key, variable = state["address-key"].strip(), state["address-variable"].strip()
    if not key:
        return asyncio.run(served(url, variable if os.environ.get(variable) and is_allowed(variable, url) else None))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise ZooterError("the name of an environment variable", f'"{variable}"', "For instance MODEL_API_KEY.")
    os.environ[variable] = key
    if not is_allowed(variable, url):
        trust([(variable, url)])
    return asyncio.run(served(url, variable))


def _draw_choice(models: Sequence[Model], key: str, discovery: Discovery | None = None) -> None:
    """Mark models and connect them."""
    names = {
        f"{plain(model.name)} · {plain(model.facts or model.model)} · {plain(model.place)}": model for model in models
    }
    chosen = [
        model for label, model in names.items() if st.checkbox(label, key=f"pick-{key}-{model.base_url}-{model.model}")
    ]
    gpus = discovery.gpus if discovery else ()
    st.button(
        "Connect" if len(chosen) < 2 else f"Connect {len(chosen)} models",
        icon=":material/add:", key=f"connect-{key}", disabled=not chosen, on_click=_connect, args=(chosen, gpus),
    )  # fmt: skip


def _connect(models: Sequence[Model], gpus: Sequence[Gpu]) -> None:
    folder = manage.target()
    manage.attempt(lambda: _add(folder, models, gpus))


def _add(folder: Path, models: Sequence[Model], gpus: Sequence[Gpu]) -> None:
    for model in models:
        if model.base_url:
            manage.check_host_allowed(model.base_url)
    connected = connect(folder, models, gpus)
    st.toast(f"{', '.join(map(plain, connected.names)) or 'Nothing new'} in {code(folder.name)}.")
