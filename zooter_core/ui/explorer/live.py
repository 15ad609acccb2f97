"""Routing while you type: probabilities, tags and the query's place on the map."""

from __future__ import annotations

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision, Message
from zooter_core.data import prices
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import charts
from zooter_core.ui.explorer import query_map, view
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import EXAMPLES, show_error

TYPED, EXAMPLE = "explorer-typed", "explorer-example"  # in the session's state
SIMILAR = 5  # training queries with a line to the query
MAP = 560  # pixels, the height of the map
PAUSE = "100ms"  # after the last key press, before the text is routed


@st.fragment
def draw_live_routing(ensemble: Ensemble, learned: view.Learned | None) -> None:
    """Draw the query and its routing. A change redraws only this part of the page."""
    query = st.text_input(
        "Type a query and watch",
        key=TYPED,
        persist_state="session",
        live=PAUSE,
        placeholder=EXAMPLES[0],
        icon=":material/edit:",
        help="Probabilities and map change while you type. No model answers here.",
    ).strip()
    st.pills("Or choose an example", EXAMPLES, key=EXAMPLE, on_change=_use_example)
    try:  # without a query, an example shows what the page does
        decision = ensemble.route([Message("user", query or EXAMPLES[0])])
    except ZooterError as problem:
        show_error(problem)
        return
    if learned is None:
        _draw_bars(decision, example=not query)
        return
    with st.container(key="beside-map"):
        with st.container():  # above the map, which fills the screen of a phone; beside it on a wide screen
            _draw_bars(decision, example=not query)
        with st.container():
            _draw_map(ensemble, decision, learned, "your query" if query else "an example")


def _use_example() -> None:
    """Put the chosen example into the box and clear the choice, so that it can be chosen again."""
    if example := st.session_state[EXAMPLE]:
        st.session_state[TYPED], st.session_state[EXAMPLE] = example, None


def _draw_bars(decision: Decision, example: bool) -> None:
    """Draw which model would answer and why: probabilities as bars and in words."""
    probabilities = decision.probabilities
    with st.container(key="halves-bars"):
        with st.container():
            st.markdown("**How likely each model is to answer best**")
            alt = f"How likely each model is to answer best: {charts.in_words(probabilities)}"
            figure = charts.probability_bars(probabilities, list(probabilities))
            charts.redraw(figure, "explorer-bars", alt, charts.BAR * len(probabilities) + 12)
        with st.container():
            if example:
                st.caption(f"Nothing typed yet: this is the example *{plain(decision.query)}*")
            badges = charts.tag_badges(charts.shown_tags(decision.tags))
            st.markdown(f"{badges}  \n**{plain(decision.candidate)}** would answer.")
            if reason := prices.why(decision):
                st.caption(plain(reason))
            certainty = charts.CERTAINTY[decision.certainty]
            st.caption(f"Probabilities: {plain(charts.in_words(probabilities))}. The router is {certainty}.")


def _draw_map(ensemble: Ensemble, decision: Decision, learned: view.Learned, title: str) -> None:
    """Draw the training queries, and over them the query with lines to the most similar ones."""
    neighbours = ensemble.neighbours
    assert neighbours is not None  # `learned` was computed from them
    st.markdown("**Training queries by the model with the highest reward**")
    with st.container(key="map"):
        alt = "Map of the training queries, coloured by the model with the highest reward"
        charts.draw(learned.map, "explorer-map", alt, MAP)
        encoder = ensemble.router.encoder
        vector = encoder.sentence(encoder.embed([decision.query]))[0]
        similar = learned.spread(neighbours.places[neighbours.nearest_rows(vector, SIMILAR)])
        point = learned.spread(neighbours.projection(vector))
        hue = charts.colour(learned.pool, decision.candidate)
        st.html(query_map.query(learned.map, point, hue, title, similar, MAP))
    cut = learned.queries > view.MOST_PLACES
    sample = f" The map shows {view.MOST_PLACES:,} of {learned.queries:,}." if cut else ""
    st.caption(
        "Each dot is a query that the router trained on, in the colour of the model whose answer earned the highest "
        f"reward. Similar queries lie close together; the axes have no unit. Lines lead to the {SIMILAR} most similar "
        f"queries, even where they are far apart on the map. The names are common tags.{sample}"
    )
