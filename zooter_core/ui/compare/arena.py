"""The arena of the Compare page: two anonymous models answer, a visitor votes, and the next round begins."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.fleet.skills import starter_queries
from zooter_core.ui.compare import comparisons, view, votes
from zooter_core.ui.compare.comparisons import Comparison
from zooter_core.ui.widgets import show_error

WHAT = (
    "Two models answer without their names. Vote by a click, or with the keys **1** and **2**, **T** for a tie, **N** "
    "if none is good. Then the names appear, with the choices of the router and the reward model."
)


def draw(ensemble: Ensemble, comparison: Comparison | None, pool: Sequence[str]) -> None:
    """Draw the tab: a field for a query, which may be left empty for a random one, and the round.

    Raises:
        ZooterError: the query is empty or too long, or the fleet has a single model.
    """
    is_round = comparison is not None and comparison.blind and len(comparison.order) == 2
    shown = comparison if is_round else None
    if shown is None:
        st.caption(WHAT)
    with st.form("arena", border=False):
        row = st.container(horizontal=True, vertical_alignment="bottom", key="arena-row")
        # Each round has a new field: a field that kept the focus would receive the keys for voting.
        typed = row.text_input(
            "Query", key=f"arena-query-{comparison.id if comparison else ''}", label_visibility="collapsed",
            placeholder="Ask anything, or leave it empty for a query of ours", width="stretch",
        )  # fmt: skip
        with row.container(key="primary-arena", width="content"):
            begun = st.form_submit_button("Begin" if comparison is None else "New round", icon=":material/swords:")
    models = view.draw_options(pool, single=False).models
    if begun:
        start(ensemble, typed.strip(), models, comparison)
        st.rerun()
    if shown is None:
        return
    view.draw(ensemble, shown, partial(_next_round, ensemble, models, shown))
    if not shown.hidden and not shown.job.running:
        st.button(
            "All models on this query", icon=":material/compare_arrows:", on_click=_all_models, args=(ensemble, shown)
        )


def start(ensemble: Ensemble, query: str, models: Sequence[str], previous: Comparison | None) -> None:
    """Begin a round between two models; "" takes a query of the starter set."""
    query = query or random.choice(starter_queries()).text
    among = comparisons.pick_candidates(ensemble.fleet.pool, models)
    down = {name for name, response in ensemble.latest.items() if response.failed_before_first_token}
    able = tuple(name for name in among if name not in down)  # until they answer again, e.g. after Retry
    pair = votes.pick_pair(ensemble.route(query), able if len(able) > 1 else among)
    comparisons.show(comparisons.start(ensemble, query, pair, blind=True, previous=previous))


def _next_round(ensemble: Ensemble, models: Sequence[str], previous: Comparison) -> None:
    try:
        start(ensemble, "", models, previous)
    except ZooterError as problem:  # the visitor has picked a single model since
        show_error(problem)


def _all_models(ensemble: Ensemble, comparison: Comparison) -> None:
    comparisons.show(comparisons.start(ensemble, comparison.query))
    st.session_state["view"] = "One query"
