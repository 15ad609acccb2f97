"""Routing while you type: probabilities, tags and the query's place on the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from zooter_core.errors import ZooterError
from zooter_core.records import Decision, Message
from zooter_core.ui.answer_view import CERTAINTY
from zooter_core.ui.charts import tag_badges
from zooter_core.ui.error_box import show_error
from zooter_core.ui.examples import EXAMPLES
from zooter_core.ui.explorer import live_charts, picture, view
from zooter_core.ui.text import plain

if TYPE_CHECKING:
    from zooter_core.ensemble import Ensemble

# Keys of the session's state: the text in the box, the chosen example, the text on an earlier visit of the page, the
# last query from a link, and a link's query that is not routed yet.
TYPED, EXAMPLE, EARLIER, LINKED, PENDING = (
    f"explorer-{name}" for name in ("typed", "example", "earlier", "linked", "pending")
)
SIMILAR = 5  # training queries to which lines lead
MAP = 480  # pixels, the height of the map
PAUSE = "50ms"  # without a key press, before the text is routed; most people type more slowly


@st.fragment
def draw_live_routing(engine: Ensemble, learned: view.Learned | None) -> None:
    """The query and its routing. A change draws only this part of the page."""
    query = _query()
    decision: Decision | None = None
    pending = st.session_state.get(PENDING)
    routed = query if query.strip() or pending else EXAMPLES[0]  # so that the page shows a query from the start
    if routed.strip():
        try:
            decision = engine.route([Message("user", routed)])
        except ZooterError as problem:
            show_error(problem)
    example = decision is not None and not query.strip()
    if learned is not None:
        _map(engine, decision, learned, "an example" if example else "your query")
    _bars(decision, learned, example)


def _query() -> str:
    """The query to route: typed, an example, or from an earlier visit; empty while a link's query is pending."""
    if TYPED not in st.session_state:
        linked = st.query_params.get("q", "")
        new = linked if linked != st.session_state.get(LINKED, "") else ""
        st.session_state[TYPED] = new or st.session_state.get(EARLIER, "")
        st.session_state[LINKED] = linked
        st.session_state[PENDING] = new or st.session_state.get(PENDING)
    query = st.text_input(
        "Type a query and watch",
        key=TYPED,
        live=PAUSE,
        placeholder=EXAMPLES[0],
        icon=":material/edit:",
        help="Probabilities and map change while you type. No model answers here.",
    )
    st.session_state[EARLIER] = query
    pending = _is_pending(query)
    st.pills(
        "Or choose an example",
        EXAMPLES,
        key=EXAMPLE,
        format_func=lambda example: example.replace("$", r"\$"),
        on_change=_use_example,
    )
    return "" if pending else query


def _is_pending(query: str) -> bool:
    """Whether the query comes from a link and the visitor has neither changed it nor clicked to route it."""
    if not query or query != st.session_state.get(PENDING):
        _route()
        return False
    st.info("A link filled in this query. Nothing has run yet.", icon=":material/link:")
    st.button("Route it", icon=":material/alt_route:", on_click=_route)
    return True


def _route() -> None:
    """Let the query in the box be routed, even if a link filled it in."""
    st.session_state[PENDING] = None


def _use_example() -> None:
    """Put the chosen example into the box and clear the choice, so that it can be chosen again."""
    if example := st.session_state[EXAMPLE]:
        st.session_state[TYPED], st.session_state[EXAMPLE] = example, None


def _bars(decision: Decision | None, learned: view.Learned | None, example: bool) -> None:
    """Probabilities as bars and in words; without a decision the means over the training queries."""
    probabilities = decision.probabilities if decision else learned.mean if learned else None
    if probabilities is None:
        st.caption("Nothing routed yet.")
        return
    text = _in_words(probabilities)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Probability of giving the best answer**")
        st.echarts_chart(
            live_charts.bars(probabilities),
            key="explorer-bars",
            height=live_charts.bars_height(len(probabilities)),
            renderer="svg",
            alt=f"Probability of giving the best answer: {text}",
        )
    with right:
        if decision is None:
            st.caption(f"Nothing routed yet. These are the means over the training queries: {text}.")
            return
        if example:
            st.caption(f"Nothing typed yet: this is the example *{plain(decision.query)}*")
        st.markdown(f"{tag_badges(decision.tags)}  \n**{plain(decision.candidate)}** would answer.")
        st.caption(f"In words: {text}. The router is {CERTAINTY[decision.certainty]}.")
        if example and learned is not None:
            st.caption(f"On average over the training queries: {_in_words(learned.mean)}.")


def _in_words(probabilities: Mapping[str, float]) -> str:
    order = sorted(probabilities.items(), key=lambda item: -item[1])
    return ", ".join(f"{plain(name)} {p:.0%}" for name, p in order)


def _map(engine: Ensemble, decision: Decision | None, learned: view.Learned, title: str) -> None:
    """The training queries, and the query among them with lines to those that are most similar to it."""
    neighbours = engine.neighbours
    assert neighbours is not None  # `learned` comes from them
    scheme = st.context.theme.type or "light"
    option = live_charts.with_regions(learned.map, learned.regions, scheme)
    if decision is not None:
        encoder = engine.router.encoder
        vector = encoder.sentence(encoder.embed([decision.query]))[0]
        similar = neighbours.places[neighbours.nearest_rows(vector, SIMILAR)].tolist()
        point = neighbours.projection(vector).tolist()
        option = live_charts.with_query(option, point, decision.candidate, learned.pool, title, similar)
    st.markdown("**Training queries by the model with the highest reward**")
    st.echarts_chart(
        option,
        key="explorer-map",
        height=MAP,
        alt="Map of the training queries, coloured by the model with the highest reward"
        + (f", with {title}" if decision else ""),
    )
    sample = (
        f" The map shows {view.MOST_PLACES:,} of {learned.queries:,}." if learned.queries > view.MOST_PLACES else ""
    )
    st.caption(
        "Each dot is a query that the router trained on, in the colour of the model whose answer earned the highest "
        f"reward. Similar queries lie close together; the axes have no unit. Lines lead to the {SIMILAR} most similar "
        f"queries, which the plane may draw apart. Names are those of common tags.{sample}"
    )
    heading = f"{learned.queries:,} training queries by the model with the highest reward"
    st.download_button(
        "Download as a picture",
        lambda: picture.drawn(option, heading, scheme),
        "zooter-map.svg",
        "image/svg+xml",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )
