"""A card for each model: where it runs, whether it is ready, its speed and price, and what the router gives it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress

import streamlit as st

from zooter_core.backends import Request, iter_responses
from zooter_core.backends.endpoint.backend import OpenAIBackend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import ENDPOINT, CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.config.trust import on_this_machine
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import shares_of
from zooter_core.ui import charts
from zooter_core.ui.markdown import safe
from zooter_core.ui.models import manage
from zooter_core.ui.text import code, plain

TRY = "What is 2 + 2? Answer in one word."
BLOCKS = 10  # of a bar


def draw(ensemble: Ensemble) -> None:
    """The cards, two beside each other where there is room, and what the router goes by."""
    if note := ensemble.router.note:
        st.caption(safe(note))
    fleet = ensemble.fleet
    shares = _shares(f"{fleet.hash_of('router')} {fleet.candidates}", ensemble)
    with st.container(key="models", horizontal=True, gap="small"):
        for candidate in ensemble.fleet.candidates:
            with st.container(key=f"model-{candidate.name}", border=True):
                _draw_card(ensemble, candidate, shares.get(candidate.name, {}))


@st.cache_data(show_spinner=False)
def _shares(version: str, _ensemble: Ensemble) -> dict[str, dict[str, float]]:
    """What the router gives each model, by kind of query. `version` changes with the fleet."""
    return shares_of(_ensemble.router)


def _draw_card(ensemble: Ensemble, candidate: CandidateConfig, shares: Mapping[str, float]) -> None:
    pool, name = ensemble.fleet.pool, candidate.name
    state, reason = state_of(ensemble, candidate)
    colours = {"ready": "green", "loads when first used": "gray"}
    st.markdown(f"{charts.badge(pool, name)} :{colours.get(state, 'orange')}-badge[{state}]")
    st.caption(f"{place_of(candidate)}  \n{code(candidate.model)}")
    if candidate.description:
        st.caption(plain(candidate.description))
    if reason:
        st.caption(safe(reason))
    facts = [speed for response in [ensemble.latest.get(name)] if response and (speed := _speed(response))]
    facts += [price] if (price := _price(candidate)) else []
    if facts:
        st.caption(" · ".join(facts))
    if shares:
        st.markdown(
            _bars(shares, charts.colour_name(pool, name)),
            help="The router's mean probability for this model, over queries of each kind.",
        )
    with st.container(horizontal=True, gap="xsmall"):
        if st.button("Try", key=f"try-{name}", icon=":material/play_arrow:"):
            st.session_state[f"tried-{name}"] = _try(ensemble, candidate)
        manage.buttons(candidate)
    if answer := st.session_state.get(f"tried-{name}"):
        st.markdown(answer)


def state_of(ensemble: Ensemble, candidate: CandidateConfig) -> tuple[str, str]:
    """A model's state in a word or two, and why it is not ready if it rests."""
    latest = ensemble.latest.get(candidate.name)
    if candidate.backend == ENDPOINT:
        backend = ensemble.backends.get(ENDPOINT)
        if isinstance(backend, OpenAIBackend):
            with suppress(ZooterError):
                if resting := backend.connection(candidate).resting():
                    return "resting", resting.message
        if latest is not None and latest.error is not None:
            return "failed", str(latest.error)
        return "ready", ""
    if latest is not None and latest.error is not None:
        return "failed", str(latest.error)
    loaded = candidate.backend in ensemble.backends and bool(ensemble.backends[candidate.backend].sizes())
    return ("ready" if loaded or latest else "loads when first used"), ""


def place_of(candidate: CandidateConfig) -> str:
    """Where a model runs, for people."""
    if candidate.endpoint:
        where = "this machine" if on_this_machine(candidate.endpoint.base_url) else "another machine"
        return f"Server on {where}: {code(candidate.endpoint.host)}"
    device = candidate.device_map or ""
    if device.startswith("cuda"):
        return f"GPU {device.partition(':')[2] or '0'} of this machine ({candidate.backend})"
    return f"In this process ({candidate.backend})"


def _speed(response: Response) -> str:
    first, speed = response.first_token_seconds, response.tokens_per_second
    parts = [f"first word {first:.1f} s"] if first is not None else []
    return ", ".join([*parts, f"{speed:.0f} tokens/s"] if speed else parts)


def _price(candidate: CandidateConfig) -> str:
    price = candidate.usd_per_million_tokens
    return "" if price is None else "free" if price == 0 else f"\\${price:g} a million tokens"


def _bars(shares: Mapping[str, float], colour: str) -> str:
    """A bar a kind of query, as lines of text."""
    lines = [
        f":{colour}[{'█' * (full := round(BLOCKS * share))}]:gray[{'░' * (BLOCKS - full)}] {plain(kind)} {share:.0%}"
        for kind, share in shares.items()
    ]
    return "  \n".join(lines)


def _try(ensemble: Ensemble, candidate: CandidateConfig) -> str:
    """Ask a model something small; its answer or its error, as Markdown."""
    generation = GenerationConfig(max_new_tokens=24, temperature=0.0)
    request = Request(candidate, (Message("user", TRY),))
    with st.spinner("Asking ..."):
        try:
            pieces = ensemble.run_candidate(candidate.name, [request], threading.Event(), generation)
            ((_, response),) = iter_responses(pieces)
        except ZooterError as problem:
            return f":red[{safe(str(problem))}]"
    ensemble.latest[candidate.name] = response
    if response.error is not None and not response.text:
        return f":red[{safe(str(response.error))}]"
    return f":green[“{plain(response.text)}”] {_speed(response)}"
