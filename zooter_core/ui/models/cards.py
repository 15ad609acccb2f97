"""A card per model: where it runs, whether it is ready, its speed and price, and its share of the queries."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from zooter_core.backends import Request, iter_responses
from zooter_core.backends.endpoint.backend import OpenAIBackend
from zooter_core.backends.gguf import choose_backend
from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Message, Response
from zooter_core.config.candidates import AUTO_BACKEND, ENDPOINT, GGUF, RECORDED, TRANSFORMERS, CandidateConfig
from zooter_core.config.fleet import GenerationConfig
from zooter_core.config.trust import on_this_machine
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.machine import Gpu, gpus
from zooter_core.fleet.skills import average_shares
from zooter_core.ui import answer_view, charts
from zooter_core.ui.markdown import message, safe
from zooter_core.ui.models import manage
from zooter_core.ui.text import clipped, plain

TRIES = {  # a short query of each kind
    "math": "What is 12 * 12?",
    "code": "Write a Python function that doubles a number",
    "knowledge": "What is the capital of France?",
    "editing": "Make this polite: Send me the report!",
    "languages": "Translate 'good morning' into French",
    "writing": "Write four lines about the sea",
    "advice": "How do I get a coffee stain out of a shirt?",
}
LONGEST_TRY = 96  # tokens
BAR = 26  # height of a bar in pixels
LONGEST = 60  # characters of a model's name that are shown
ENGINES = {AUTO_BACKEND: "", GGUF: " by llama.cpp", TRANSFORMERS: " by PyTorch"}
COLOURS = {"ready": "green", "failed": "red", "resting": "orange"}  # of states; other states are grey
SHARES = "The bars are the router's mean probability that a model answers best, by kind of query."


def draw(ensemble: Ensemble) -> None:
    """Draw the cards, side by side if there is room. The router's bars come last, as they may take a moment."""
    fleet, places = ensemble.fleet, {}
    loading = not _all_tried(ensemble)  # read first: a model may finish loading while the cards are drawn
    if len(fleet.pool) > 1:
        st.caption(SHARES)
    with st.container(key="models"):
        for candidate in fleet.candidates:
            with st.container(key=f"model-{candidate.name}", border=True):
                places[candidate.name] = _draw_card(ensemble, candidate)
    if loading:
        st.fragment(_wait_for_models, run_every=1.0)(ensemble)
    if len(fleet.pool) > 1:
        shares = _shares(ensemble)
        for name, place in places.items():
            with place:
                _draw_shares(shares.get(name, {}), fleet.pool, name)


def _wait_for_models(ensemble: Ensemble) -> None:
    if _all_tried(ensemble):
        st.rerun()


def _all_tried(ensemble: Ensemble) -> bool:
    """Whether every model has been loaded or has failed to load."""
    return all(name in ensemble.loads for name in ensemble.fleet.pool)


@st.cache_data(
    show_spinner=False, hash_funcs={Ensemble: lambda it: f"{it.fleet.hash_part('router')} {it.fleet.candidates}"}
)
def _shares(ensemble: Ensemble) -> dict[str, dict[str, float]]:
    """The router's mean probability for each model, by kind of query."""
    return average_shares(ensemble.router)


def _draw_card(ensemble: Ensemble, candidate: CandidateConfig) -> DeltaGenerator:
    """Draw a card and return the container for its bars. Its three parts are aligned with those of its neighbours."""
    name, several = candidate.name, len(ensemble.fleet.pool) > 1
    state, reason = read_state(ensemble, candidate)
    with st.container():
        _draw_facts(ensemble, candidate, state, reason)
    place = st.container(key=f"shares-{name}") if several else st.container()
    with st.container():
        with st.container(horizontal=True, gap="xsmall"):
            if st.button("Try", key=f"try-{name}", icon=":material/play_arrow:"):
                with st.spinner("Asking ..."):
                    st.session_state[f"tried-{name}"] = _try(ensemble, candidate)
                st.rerun()
            manage.buttons(candidate, alone=not several)
        answer: Response | None = st.session_state.get(f"tried-{name}")
        if state == "ready" and answer and answer.text:
            st.markdown(f"“{plain(pick_subject(ensemble, name))}”")
            answer_view.draw_thoughts(answer, f"tried-{name}")
            st.markdown(safe(answer.text))
    return place


def _draw_facts(ensemble: Ensemble, candidate: CandidateConfig, state: str, reason: str) -> None:
    colour = COLOURS.get(state, "gray")
    st.markdown(f"{charts.badge(ensemble.fleet.pool, candidate.name)} :{colour}-badge[{state}]")
    model = Path(candidate.model).name if candidate.backend in (GGUF, TRANSFORMERS) else candidate.model
    st.caption(f"{plain(clipped(model.removeprefix('package:'), LONGEST))}  \n{plain(describe_place(candidate))}")
    if candidate.description:
        st.caption(plain(candidate.description))
    if reason:
        st.markdown(f":red[{message(reason)}]")
        variable = candidate.endpoint and candidate.endpoint.api_key_env
        if variable and variable not in os.environ and manage.allowed():
            st.caption("Or type the key above, under *At an address*, beside the server's address.")
    if (number := _gpu_number(candidate)) is not None and number < len(_gpus()):
        gpu = _gpus()[number]
        st.progress(1 - gpu.free / gpu.total, describe_gpu(number, gpu))
    latest = ensemble.latest.get(candidate.name)
    speed = ", ".join(answer_view.speeds(latest, "first word after")) if latest else ""
    if facts := " · ".join(filter(None, (speed, _price(candidate)))):
        st.caption(facts)


def read_state(ensemble: Ensemble, candidate: CandidateConfig) -> tuple[str, str]:
    """A model's state in a word or two, and the problem if there is one."""
    backend, latest = ensemble.backends.get(choose_backend(candidate)), ensemble.latest.get(candidate.name)
    if isinstance(backend, OpenAIBackend):
        with suppress(ZooterError):
            if resting := backend.connection(candidate).resting():
                return "resting", f"{resting.message[:1].upper()}{resting.message[1:]}. {resting.next_step}"
    if latest is not None:
        return ("failed", str(latest.error)) if latest.failed_before_first_token else ("ready", "")
    if candidate.name not in ensemble.loads:
        return "loading", ""
    if problem := ensemble.loads[candidate.name]:
        return "failed", str(problem)
    loaded = candidate.backend == ENDPOINT or (backend and backend.sizes())
    return ("ready" if loaded else "loads when first used"), ""


def describe_place(candidate: CandidateConfig) -> str:
    if candidate.endpoint:
        where = "this machine" if on_this_machine(candidate.endpoint.base_url) else "another machine"
        return f"Server on {where}, {candidate.endpoint.host}"
    if candidate.backend == RECORDED:
        return "Recorded answers"
    number = _gpu_number(candidate)
    where = "In this process" if number is None else f"On GPU {number} of this machine"
    return where + ENGINES.get(candidate.backend, f" by {candidate.backend}")


def _gpu_number(candidate: CandidateConfig) -> int | None:
    """The index of the GPU on which fleet.toml places a model; None if there is none, or more than one."""
    kind, _, number = (candidate.device_map or "").partition(":")
    return int(number or 0) if kind == "cuda" and (number or "0").isdigit() else None


@st.cache_data(ttl=5, show_spinner=False)
def _gpus() -> tuple[Gpu, ...]:
    return gpus()


def describe_gpu(number: int, gpu: Gpu) -> str:
    return f"GPU {number}, {plain(gpu.name)}: {gpu.free / 1e9:.0f} of {gpu.total / 1e9:.0f} GB free"


def _price(candidate: CandidateConfig) -> str:
    price = candidate.usd_per_million_tokens
    return "" if price is None else "free" if price == 0 else f"\\${price:g} per million tokens"


def _draw_shares(shares: Mapping[str, float], pool: tuple[str, ...], name: str) -> None:
    hovers = [
        f"The router gives {clipped(name, LONGEST)} {share:.1%} on average over queries of the kind {kind}."
        for kind, share in shares.items()
    ]
    figure = charts.share_bars(shares, [charts.colour(pool, name)] * len(shares), hovers)
    alt = f"Mean probability of {name}: {', '.join(f'{kind} {share:.0%}' for kind, share in shares.items())}"
    charts.draw(figure, f"bars-{pool.index(name) + 1}", alt, BAR * len(shares))  # the key names the file


def pick_subject(ensemble: Ensemble, name: str) -> str:
    """A query of the kind for which the router prefers a model most."""
    if len(ensemble.fleet.pool) == 1:
        return TRIES["knowledge"]
    shares = _shares(ensemble)[name]
    return TRIES[max(shares, key=lambda kind: shares[kind])]


def _try(ensemble: Ensemble, candidate: CandidateConfig) -> Response | None:
    """Ask a model a query of its own subject and return its answer. If this fails, the model's state shows the reason.

    A request for one token comes first and is not timed: it may have to wait until the model has loaded.
    """

    def answer(query: str, tokens: int) -> Response:
        request = Request(candidate, (Message("user", query),))
        generation = GenerationConfig(max_new_tokens=tokens, temperature=0.0)
        pieces = ensemble.run_candidate(candidate.name, [request], threading.Event(), generation)
        ((_, response),) = iter_responses(pieces)
        return response

    try:
        query = pick_subject(ensemble, candidate.name)
        response = answer(query, 1)
        if response.error is None:
            response = answer(query, LONGEST_TRY)
    except ZooterError as problem:
        ensemble.latest.pop(candidate.name, None)
        ensemble.loads[candidate.name] = problem
        return None
    ensemble.latest[candidate.name] = response
    return response
