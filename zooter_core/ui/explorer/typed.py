"""Type and watch: probabilities, tags and the place on the map of a query, while it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.records import Decision, Message
from zooter_core.ui import problems
from zooter_core.ui.answers import CERTAINTY
from zooter_core.ui.charts import tag_badges
from zooter_core.ui.examples import EXAMPLES
from zooter_core.ui.explorer import charts_typed as charts
from zooter_core.ui.explorer import view
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

TYPED, EXAMPLE, KEPT, LINKED = "explorer-typed", "explorer-example", "explorer-kept", "explorer-linked"
WAITING = "explorer-waiting"  # a link's query that is not routed yet
PAUSE = "50ms"  # without a key pressed, before what was typed is routed: most people type slower, so each key counts


@st.fragment
def watch(engine: Ensemble, found: view.Seen | None) -> None:
    """The typed query and what the router makes of it; a change draws this part of the page alone."""
    query = _typed()
    decision: Decision | None = None
    if query.strip():
        try:
            decision = engine.route([Message("user", query)])
        except ZooterError as problem:
            problems.tell(problem)
    if found is None or found.map is None:
        _bars(decision, found)
        if found is not None:
            view.missing("a map of its training queries")
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        _bars(decision, found)
    with right:
        _map(engine, decision, found)


def _typed() -> str:
    """The query to route: typed, taken from the examples, or left there before; a link's only once it is asked for."""
    if TYPED not in st.session_state:
        linked = st.query_params.get("q", "")
        fresh = linked if linked != st.session_state.get(LINKED, "") else ""
        st.session_state[TYPED] = fresh or st.session_state.get(KEPT, "")
        st.session_state[LINKED] = linked
        st.session_state[WAITING] = fresh or st.session_state.get(WAITING)
    query = st.text_input(
        "Type a query and watch",
        key=TYPED,
        live=PAUSE,
        placeholder="What is 15% of 240?",
        icon=":material/edit:",
        help="The router reads along: bars and map change while you type. No model answers here.",
    )
    st.session_state[KEPT] = query
    waits = _waits(query)
    st.pills(
        "Or take one of these",
        EXAMPLES,
        key=EXAMPLE,
        format_func=lambda example: example.replace("$", r"\$"),
        on_change=_take,
    )
    return "" if waits else query


def _waits(query: str) -> bool:
    """Whether the query is a link's, which is routed once the visitor asks for it or changes it."""
    if not query or query != st.session_state.get(WAITING):
        _route()
        return False
    st.info("A link filled in this query. Nothing has run yet.", icon=":material/link:")
    st.button("Route it", icon=":material/alt_route:", on_click=_route)
    return True


def _route() -> None:
    """Let what is in the box be routed, though a link put it there."""
    st.session_state[WAITING] = None


def _take() -> None:
    """Put the example that was pressed into the box; it can be pressed again."""
    if chosen := st.session_state[EXAMPLE]:
        st.session_state[TYPED], st.session_state[EXAMPLE] = chosen, None


def _bars(decision: Decision | None, found: view.Seen | None) -> None:
    """Probabilities as bars and in words."""
    shown = decision.probabilities if decision else found.mean if found else None
    if shown is None:
        st.caption("Nothing routed yet.")
        return
    order = sorted(shown.items(), key=lambda item: -item[1])
    spoken = ", ".join(f"{plain(name)} {p:.0%}" for name, p in order)
    st.markdown("**Probability of giving the best answer**")
    st.echarts_chart(
        charts.bars(shown),
        key="explorer-bars",
        height=charts.bars_height(len(shown)),
        renderer="svg",
        alt=f"Probability of giving the best answer: {spoken}",
    )
    if decision is None:
        st.caption(f"Nothing routed yet. Over the training queries the router gives, on the mean: {spoken}.")
        return
    lead = f"**{plain(decision.candidate)}** would answer, {decision.margin * 100:.0f} points ahead of the next."
    st.markdown(f"{tag_badges(decision.tags)}  \n{lead}")
    st.caption(f"In words: {spoken}.")
    st.caption(f"The router is {CERTAINTY[decision.certainty]}.")


def _map(engine: Ensemble, decision: Decision | None, found: view.Seen) -> None:
    """The training queries, and the typed one among them."""
    neighbours = engine.neighbours
    if found.map is None or neighbours is None:
        return
    option = found.map
    if decision is not None:
        encoder = engine.router.encoder
        vector = encoder.sentence(encoder.embed([decision.query]))[0]
        at = neighbours.projection(vector).tolist()
        option = charts.with_query(option, at, decision.candidate, found.pool)
    st.markdown("**The training queries, by the model with the highest reward**")
    st.echarts_chart(
        option,
        key="explorer-map",
        height=420,
        alt="Map of the training queries, coloured by the model with the highest reward"
        + (", with your query" if decision else ""),
    )
    some = f" {view.MOST_PLACES:,} of {found.queries:,} are shown." if found.queries > view.MOST_PLACES else ""
    st.caption(
        "Each dot is a query that the router learned from, in the colour of the model whose answer earned the highest "
        f"reward. Queries that mean like things lie near each other; the axes have no unit.{some}"
    )
