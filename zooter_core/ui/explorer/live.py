"""Routing while you type: probabilities, tags and the query's place on the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from zooter_core.base.errors import ZooterError
from zooter_core.base.records import Decision, Message
from zooter_core.fleet.ensemble import Ensemble
from zooter_core.ui import links
from zooter_core.ui.answer_view import CERTAINTY
from zooter_core.ui.charts import BOLD, CENTRED, INKS, picture, tag_badges, words
from zooter_core.ui.examples import EXAMPLES
from zooter_core.ui.explorer import live_charts, view
from zooter_core.ui.explorer.live_charts import LINES, QUERY, REGIONS
from zooter_core.ui.text import plain
from zooter_core.ui.widgets import download, show_error

WIDTH, HEIGHT = 1200, 720  # pixels
HEAD, EDGE = 84, 24  # pixels above the map, and at its sides


def drawn(option: Mapping[str, Any], title: str, scheme: str = "light") -> str:
    """The map's dots, regions and query, below a title and a legend.

    Args:
        option: of the chart, by `live_charts`.
    """
    ground, ink, _ = INKS[scheme]
    low, high = ([axis[end] for axis in (option["xAxis"], option["yAxis"])] for end in ("min", "max"))

    def place(point: Any) -> tuple[float, float]:
        x, y = ((point[n] - low[n]) / (high[n] - low[n]) for n in (0, 1))
        return EDGE + x * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y * (HEIGHT - HEAD - EDGE)

    body = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{ground}"/>', words(EDGE, 36, title, 20, ink)]
    left = float(EDGE)
    for series in option["series"]:
        kind = series.get("id")
        if kind == REGIONS:
            outline = f'stroke="{ground}" stroke-width="4" paint-order="stroke" {CENTRED} {BOLD}'
            body += [words(*place(item["value"]), item["name"], 15, ink, outline) for item in series["data"]]
        elif kind == LINES:
            body += [_line(place, item["coords"], series["lineStyle"]["color"]) for item in series["data"]]
        else:
            size, fill = 9 if kind == QUERY else 4, series["itemStyle"]["color"]
            body += [_mark(series["symbol"], *place(item), size, fill) for item in series["data"]]
            body.append(_mark(series["symbol"], left + 5, 59, 5, fill))
            body.append(words(left + 16, 64, series["name"], 14, ink))
            left += 40 + 7.5 * len(series["name"])
    return picture(WIDTH, HEIGHT, "".join(body))


def _line(place: Callable[[Any], tuple[float, float]], ends: Any, stroke: str) -> str:
    (x1, y1), (x2, y2) = map(place, ends)
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="1.5"/>'


def _mark(symbol: str, x: float, y: float, size: float, fill: str) -> str:
    """A dot in the shape that the chart gives it, as far as there is one for it here."""
    paths = {"triangle": "M0 -1L1 .8L-1 .8Z", "diamond": "M0 -1.2L1 0L0 1.2L-1 0Z", "rect": "M-.9 -.9H.9V.9H-.9Z"}
    if symbol not in paths:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{fill}" fill-opacity="0.8"/>'
    at = f"translate({x:.1f} {y:.1f}) scale({size:g})"
    return f'<path d="{paths[symbol]}" transform="{at}" fill="{fill}" fill-opacity="0.8"/>'


# Keys of the session's state: the text in the box, the chosen example, and a link's query that is not routed yet.
TYPED, EXAMPLE, PENDING = "explorer-typed", "explorer-example", "explorer-pending"
SIMILAR = 5  # training queries to which lines lead
MAP = 480  # pixels, the height of the map
PAUSE = "50ms"  # without a key press, before the text is routed; most people type more slowly


@st.fragment
def draw_live_routing(ensemble: Ensemble, learned: view.Learned | None) -> None:
    """The query and its routing. A change draws only this part of the page."""
    query = _query()
    decision: Decision | None = None
    # Without a query, an example shows what the page does.
    if routed := query.strip() or ("" if st.session_state.get(PENDING) else EXAMPLES[0]):
        try:
            decision = ensemble.route([Message("user", routed)])
        except ZooterError as problem:
            show_error(problem)
    example = decision is not None and not query.strip()
    if learned is not None:
        _map(ensemble, decision, learned, "an example" if example else "your query")
    _bars(decision, learned, example)


def _query() -> str:
    """The query to route: typed, or an example; empty while a link's query is pending."""
    if links.prefill(TYPED):
        st.session_state[PENDING] = st.session_state[TYPED]
    query = st.text_input(
        "Type a query and watch",
        key=TYPED,
        persist_state="session",
        live=PAUSE,
        placeholder=EXAMPLES[0],
        icon=":material/edit:",
        help="Probabilities and map change while you type. No model answers here.",
    )
    pending = bool(query) and query == st.session_state.get(PENDING)
    if pending:
        st.info("A link filled in this query. Nothing has run yet.", icon=":material/link:")
        st.button("Route it", icon=":material/alt_route:", on_click=_route)
    else:
        _route()
    st.pills(
        "Or choose an example",
        EXAMPLES,
        key=EXAMPLE,
        format_func=lambda example: example.replace("$", r"\$"),
        on_change=_use_example,
    )
    return "" if pending else query


def _route() -> None:
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
            height=34 * len(probabilities) + 12,
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


def _map(ensemble: Ensemble, decision: Decision | None, learned: view.Learned, title: str) -> None:
    """The training queries, and the query among them with lines to those that are most similar to it."""
    neighbours = ensemble.neighbours
    assert neighbours is not None  # `learned` comes from them
    scheme = st.context.theme.type or "light"
    option = live_charts.with_regions(learned.map, learned.regions, scheme)
    if decision is not None:
        encoder = ensemble.router.encoder
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
    cut = learned.queries > view.MOST_PLACES
    sample = f" The map shows {view.MOST_PLACES:,} of {learned.queries:,}." if cut else ""
    st.caption(
        "Each dot is a query that the router trained on, in the colour of the model whose answer earned the highest "
        f"reward. Similar queries lie close together; the axes have no unit. Lines lead to the {SIMILAR} most similar "
        f"queries, even where they are far apart on the map. The names are common tags.{sample}"
    )
    heading = f"{learned.queries:,} training queries by the model with the highest reward"
    text = partial(drawn, option, heading, scheme)
    download("Download as a picture", text, "zooter-map.svg", type="tertiary")
